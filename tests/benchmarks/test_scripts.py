"""The benchmark scripts: what they train, and their exit codes."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkError
from benchmarks.speed.result import BenchmarkResult, SideResult
from sam2lora.runs import ResumedEvent, RunFolder, StartedEvent, ValidationEvent
from sam2lora.training.settings import TrainSettings
from scripts.nano_parts import TEST_IMAGES

FOLDER = Path(__file__).parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exit_code(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code


def test_learn_from_scratch_starts_with_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("learn_from_scratch")
    (tmp_path / "nano.safetensors").touch()
    started: list[TrainSettings] = []

    def pretend(path: Path, settings: TrainSettings) -> list[ValidationEvent]:
        started.append(settings)
        return [
            ValidationEvent(
                step=step,
                dice={},
                mean=0.7 + step * len(started) / 10,
                loss=1 - step,
                best=None,
                best_step=None,
            )
            for step in (0, 1)
        ]

    monkeypatch.setattr(module, "run_and_show", pretend)
    monkeypatch.setattr(module, "best_adapter_folder", lambda path: tmp_path)
    assert exit_code(module, monkeypatch, tmp_path, tmp_path / "out") == 0
    base, adapter = started
    assert (base.train, base.from_scratch) == ("base", True)
    assert (adapter.train, adapter.model) == ("adapter", str(tmp_path / "nano.safetensors"))


@pytest.mark.parametrize(
    ("kills", "lost", "same", "code"),
    [(6, 5, True, 0), (0, 0, True, 1), (6, 6, True, 1), (6, 5, False, 1)],
    ids=["few steps lost", "never killed", "too many steps lost", "different curve"],
)
def test_kill_and_resume_fails_without_kills_or_with_differences(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
    lost: int,
    same: bool,
    code: int,
) -> None:
    module = load("kill_and_resume")
    after_event: list[bool] = []

    def start(run: RunFolder, **options: Any) -> bool:
        if options and len(after_event) < kills:
            after_event.append(options["after_event"])
            return True
        return False

    monkeypatch.setattr(module, "start", start)
    monkeypatch.setattr(module, "draw_images", lambda folder: folder)
    monkeypatch.setattr(module, "progress", lambda run: (20, lost))
    monkeypatch.setattr(module, "compare", lambda killed, alone: same)
    assert exit_code(module, monkeypatch, tmp_path, "--kills", 6) == code
    assert sum(after_event) == 2 * kills // 3


def test_kill_waits_for_the_first_event_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, slept = load("kill_and_resume"), []
    run = RunFolder.create(tmp_path / "run", "{}")
    run.append(StartedEvent(target="disc", base="nano", steps=9))  # of an earlier process

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            run.append(ResumedEvent(step=5))

    child = SimpleNamespace(poll=lambda: None, kill=lambda: None, wait=lambda: -9)
    monkeypatch.setattr(module, "subprocess", SimpleNamespace(Popen=lambda *_, **__: child))
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
    assert module.start(run, kill_after=7.0, after_event=True)
    assert slept == [0.02, 0.02, 0.02, 7.0]
    assert module.start(run, kill_after=7.0)
    assert slept[4:] == [7.0]


@pytest.fixture
def fake_benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that replaces a script's measurements, and returns those requested."""
    requested: list[tuple[str, Any]] = []

    def run(name: Any, settings: Any, *, only: Any = None) -> BenchmarkResult:
        requested.append((name, settings))
        if settings.base == "large":
            raise BenchmarkError("out of memory")
        side = SideResult(clock=(1.0,), processor=(1.0,), before=1, peak=2 << 20)
        names = only or (BENCHMARKS[name].peer, *BENCHMARKS[name].sides)
        return BenchmarkResult(
            question=name,
            settings=settings,
            machine={},
            device="cpu",
            threads=1,
            sides=dict.fromkeys(names, side),
        )

    def replace(module: ModuleType) -> list[tuple[str, Any]]:
        monkeypatch.setattr(module, "run_benchmark", run)
        return requested

    return replace


def test_table_measures_each_benchmark_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_benchmarks: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = load("speed/table")
    requested = fake_benchmarks(module)
    for options in ([], ["--table"], []):
        monkeypatch.setattr(sys, "argv", ["speed/table", str(tmp_path / "out.json"), *options])
        module.main()
    assert len(requested) == 2 * (len(BENCHMARKS) + 1)
    tables = capsys.readouterr().out.split("| benchmark")[1:]
    assert tables[0] == tables[1] == tables[2]
    assert "train, tiny | low-memory" in tables[0]


def test_scaling_is_plotted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_benchmarks: Any
) -> None:
    module = load("speed/scaling")
    fake_benchmarks(module)
    monkeypatch.setattr(module, "tiles", lambda base, by: [(1, 0.5, 1e6), (9, 4.5, 2e6)])
    monkeypatch.setattr(sys, "argv", ["speed/scaling", str(tmp_path)])
    module.main()
    curves = json.loads((tmp_path / "performance-scaling.json").read_text())
    assert curves["tiles of an image"]["segment"][1] == [9, 4.5, 2e6]
    assert (tmp_path / "performance-scaling.png").stat().st_size > 10_000


def test_gpu_script_continues_after_a_failed_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_benchmarks: Any
) -> None:
    module, out = load("speed/gpu"), tmp_path / "out.json"
    fake_benchmarks(module)
    monkeypatch.setattr(module, "images_per_second", lambda *_: 2.5)
    options = ["--device", "cpu", "--bases", "large", "tiny", "--ranks", "4"]
    monkeypatch.setattr(sys, "argv", ["speed/gpu", str(out), *options])
    module.main()
    found = json.loads(out.read_text())
    assert found["train/large"] == {"error": "out of memory"}
    assert found["predict/large/tiles/batch 16"] == 2.5
    assert list(found["memory/tiny/rank 4/low-memory"]["sides"]) == ["low-memory"]


@pytest.mark.parametrize(
    ("idle", "training", "code"),
    [((0.01,), (0.05, 0.09), 0), ((0.01,), (0.2,), 1), ((0.3,), (0.2,), 0)],
    ids=["smooth", "the training stalls", "something else stalls"],
)
def test_viewer_stalls_fails_only_if_the_training_causes_stalls(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    idle: tuple[float, ...],
    training: tuple[float, ...],
    code: int,
) -> None:
    module = load("viewer_stalls")
    found = (module.Stalls(list(idle)), module.Stalls(list(training)))
    monkeypatch.setattr(module, "measure", lambda folder, seconds: found)
    for name in ("NAPARI_CONFIG", "SAM2LORA_RUNS", "SAM2LORA_ADAPTERS", "SAM2LORA_CORRECTIONS"):
        monkeypatch.setenv(name, "")  # the benchmark sets it
    assert exit_code(module, monkeypatch) == code
    assert f"longest {1000 * max(training):.0f} ms" in capsys.readouterr().out


def test_stall_is_the_delay_of_a_timer_event() -> None:
    module = load("viewer_stalls")
    stalls = module.find_stalls([0.0, 0.01, 0.03, 0.18])
    assert stalls.late == pytest.approx([0, 0.01, 0.14])
    assert stalls.above == 1


@pytest.mark.parametrize(("first", "code"), [(40.0, 0), (None, 1)])
def test_quick_adapt_fails_if_the_adapter_does_not_improve(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    first: float | None,
    code: int,
) -> None:
    module = load("quick_adapt")
    figures = [module.Figures(n, first, 60, 50, 150, (0.8, 0.85), (0.7, 0.75), 12) for n in (1, 5)]
    monkeypatch.setattr(module, "measure", lambda case, data, preset, images: figures)
    for name in ("NAPARI_CONFIG", "SAM2LORA_RUNS", "SAM2LORA_ADAPTERS", "SAM2LORA_CORRECTIONS"):
        monkeypatch.setenv(name, "")  # the benchmark sets it
    monkeypatch.setattr(sys, "argv", ["quick_adapt", str(tmp_path), "--only", "hrf"])
    if code:
        with pytest.raises(SystemExit, match=r"Not better .*: hrf \(1\), hrf \(5\)"):
            module.main()
    else:
        module.main()
    printed = capsys.readouterr().out
    assert printed.count("0.8000 0.8500 +0.0500 | 0.7000 0.7500 +0.0500 | 12") == 2


def test_grading_measures_a_session(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module := load("grading"), "WRITES", 1)
    assert exit_code(module, monkeypatch, "--images", 5, "--by", "processor") == 0
    printed = capsys.readouterr().out
    assert "5 images of 64 pixels, by processor" in printed
    assert "a step" in printed


def test_variety_leaves_a_dataset_out_and_scores_no_test_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load("variety")
    trained: list[TrainSettings] = []

    def pretend(command: list[str], *, check: bool) -> None:
        if command[3] == "train":
            folder = Path(command[4])
            trained.append(
                TrainSettings.model_validate_json(RunFolder(folder).settings.read_text())
            )
        else:
            report = Path(command[command.index("--out") + 1])
            report.mkdir(parents=True)
            (report / "per_image.csv").write_text("dice\n0.5\n0.75\n")

    monkeypatch.setattr(module.subprocess, "run", pretend)
    monkeypatch.setattr(module, "best_adapter", lambda run: SimpleNamespace(folder=run))
    data, out = tmp_path / "data", tmp_path / "out"
    arguments = [str(module.__file__), str(data), str(out), "--target", "disc"]
    monkeypatch.setattr(sys, "argv", arguments)
    module.main()
    assert [run.augment.style_share for run in trained] == [0, 0.5] * 3
    for number, name in enumerate(module.SCORED["disc"]):
        roots = {source.root for source in trained[2 * number].data}
        assert str(data / name) not in roots
        assert len(roots) == 5
    assert capsys.readouterr().out.count("0.6250") == 6
    for scored in module.SCORED.values():
        for name, chosen in scored.items():
            kept = TEST_IMAGES[name]
            pattern = chosen[chosen.index("--include") + 1]
            if kept is not None:
                assert not any(
                    re.search(kept, stem) and re.search(pattern, stem) for stem in stems(name)
                )


def stems(dataset: str) -> list[str]:
    """Return the names that images of a dataset could have."""
    if dataset == "CHASEDB1":
        return [f"Image_{number:02}{eye}" for number in range(1, 15) for eye in "LR"]
    if dataset == "HRF":
        return [f"{number:02}_{kind}" for number in range(1, 16) for kind in ("h", "dr", "g")]
    return [f"image_{number:03}" for number in range(1, 111)]

"""The benchmarks: what they train, and that their exit code can be believed."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkError
from benchmarks.speed.result import BenchmarkResult, SideResult
from sam2lora.runs import ResumedEvent, RunFolder, StartedEvent, ValidationEvent
from sam2lora.training.settings import TrainSettings

FOLDER = Path(__file__).parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exit_code(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> object:
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code


def test_learning_from_scratch_begins_with_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("learn_from_scratch")
    (tmp_path / "nano.safetensors").touch()
    begun: list[TrainSettings] = []

    def pretend(path: Path, settings: TrainSettings) -> list[ValidationEvent]:
        begun.append(settings)
        return [
            ValidationEvent(
                step=step,
                dice={},
                mean=0.7 + step * len(begun) / 10,
                loss=1 - step,
                best=None,
                best_step=None,
            )
            for step in (0, 1)
        ]

    monkeypatch.setattr(module, "run_and_show", pretend)
    monkeypatch.setattr(module, "best_adapter_folder", lambda path: tmp_path)
    assert exit_code(module, monkeypatch, tmp_path, tmp_path / "out") == 0
    base, adapter = begun
    assert (base.train, base.from_scratch) == ("base", True)
    assert (adapter.train, adapter.model) == ("adapter", str(tmp_path / "nano.safetensors"))


@pytest.mark.parametrize(
    ("kills", "lost", "same", "code"),
    [(6, 5, True, 0), (0, 0, True, 1), (6, 6, True, 1), (6, 5, False, 1)],
    ids=["as promised", "never killed", "too much lost", "another curve"],
)
def test_kill_and_resume_succeeds_only_if_it_showed_something(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
    lost: int,
    same: bool,
    code: int,
) -> None:
    module = load("kill_and_resume")
    once_begun: list[bool] = []

    def start(run: RunFolder, **how: Any) -> bool:
        if how and len(once_begun) < kills:
            once_begun.append(how["once_begun"])
            return True
        return False

    monkeypatch.setattr(module, "start", start)
    monkeypatch.setattr(module, "draw_images", lambda folder: folder)
    monkeypatch.setattr(module, "progress", lambda run: (20, lost))
    monkeypatch.setattr(module, "compare", lambda killed, alone: same)
    assert exit_code(module, monkeypatch, tmp_path, "--kills", 6) == code
    assert sum(once_begun) == 2 * kills // 3


def test_a_kill_waits_for_the_training_to_begin(
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
    assert module.start(run, kill_after=7.0, once_begun=True)
    assert slept == [0.02, 0.02, 0.02, 7.0]
    assert module.start(run, kill_after=7.0)
    assert slept[4:] == [7.0]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a benchmark's questions be answered at once; give what was asked."""
    asked: list[tuple[str, Any]] = []

    def run(question: Any, settings: Any, *, only: Any = None) -> BenchmarkResult:
        asked.append((question, settings))
        if settings.base == "large":
            raise BenchmarkError("out of memory")
        side = SideResult(clock=(1.0,), processor=(1.0,), before=1, peak=2 << 20)
        names = only or (BENCHMARKS[question].peer, *BENCHMARKS[question].sides)
        return BenchmarkResult(
            question=question,
            settings=settings,
            machine={},
            device="cpu",
            threads=1,
            sides=dict.fromkeys(names, side),
        )

    def replace(module: ModuleType) -> list[tuple[str, Any]]:
        monkeypatch.setattr(module, "run_benchmark", run)
        return asked

    return replace


def test_all_questions_are_measured_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = load("speed/table")
    asked = answers(module)
    for words in ([], ["--table"], []):
        monkeypatch.setattr(sys, "argv", ["speed/table", str(tmp_path / "out.json"), *words])
        module.main()
    assert len(asked) == 2 * (len(BENCHMARKS) + 1)
    tables = capsys.readouterr().out.split("| question")[1:]
    assert tables[0] == tables[1] == tables[2]
    assert "train, tiny | low-memory" in tables[0]


def test_scaling_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Any) -> None:
    module = load("speed/scaling")
    answers(module)
    monkeypatch.setattr(module, "tiles", lambda base, by: [(1, 0.5, 1e6), (9, 4.5, 2e6)])
    monkeypatch.setattr(sys, "argv", ["speed/scaling", str(tmp_path)])
    module.main()
    curves = json.loads((tmp_path / "performance-scaling.json").read_text())
    assert curves["tiles of an image"]["segment"][1] == [9, 4.5, 2e6]
    assert (tmp_path / "performance-scaling.png").stat().st_size > 10_000


def test_a_part_that_fails_does_not_end_the_gpu_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Any
) -> None:
    module, out = load("speed/gpu"), tmp_path / "out.json"
    answers(module)
    monkeypatch.setattr(module, "images_a_second", lambda *_: 2.5)
    words = ["--device", "cpu", "--bases", "large", "tiny", "--ranks", "4"]
    monkeypatch.setattr(sys, "argv", ["speed/gpu", str(out), *words])
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
def test_stalls_count_if_the_training_is_to_blame(
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


def test_a_stall_is_what_a_tick_is_late() -> None:
    module = load("viewer_stalls")
    stalls = module.late([0.0, 0.01, 0.03, 0.18])
    assert stalls.late == pytest.approx([0, 0.01, 0.14])
    assert stalls.above == 1


@pytest.mark.parametrize(("first", "code"), [(40.0, 0), (None, 1)])
def test_quick_adapt_fails_where_it_does_not_help(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    first: float | None,
    code: int,
) -> None:
    module = load("quick_adapt")
    figures = module.Figures(first, 60, 50, 150, (0.8, 0.85), (0.7, 0.75), 12)
    monkeypatch.setattr(module, "measure", lambda case, data, preset: figures)
    for name in ("NAPARI_CONFIG", "SAM2LORA_RUNS", "SAM2LORA_ADAPTERS", "SAM2LORA_CORRECTIONS"):
        monkeypatch.setenv(name, "")  # the benchmark sets it
    monkeypatch.setattr(sys, "argv", ["quick_adapt", str(tmp_path), "--only", "hrf"])
    if code:
        with pytest.raises(SystemExit, match=r"Not better .*: hrf"):
            module.main()
    else:
        module.main()
    assert "0.8000 0.8500 +0.0500 | 0.7000 0.7500 +0.0500 | 12" in capsys.readouterr().out

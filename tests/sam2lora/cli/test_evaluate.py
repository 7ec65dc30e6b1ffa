"""`sam2lora evaluate`: report, output and bad input."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam2lora.adapters.card import AdapterCard, now
from sam2lora.adapters.lora import add_lora, lora_tensors
from sam2lora.adapters.serialization import save_adapter
from sam2lora.evaluation import read_report
from sam2lora.models.loading import LoadedModel
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.targets import TARGETS, Target, save_target

SPOT = Target(name="spot", label=9, color="#112233", threshold=0.5)
SIDE = 64
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def spot() -> None:
    save_target(SPOT)


@pytest.fixture(autouse=True)
def small_network(pocket_base: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the loading of models by a small network with random weights."""

    def load(model: str, *, progress: object) -> LoadedModel:
        return replace(pocket_base, network=copy.deepcopy(pocket_base.network))

    monkeypatch.setattr("sam2lora.inference.pipeline.load_base", load)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the plots and pictures of reports, which take most of the time."""
    for name in ("save_plots", "save_galleries"):
        monkeypatch.setattr(
            f"sam2lora.evaluation.report.writer.{name}", lambda folder, report: None
        )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a network is loaded: input must be checked before."""

    def load(model: str, *, progress: object) -> LoadedModel:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("sam2lora.inference.pipeline.load_base", load)


def write_dataset(root: Path, names: str = "ab", *, target: str = "spot", empty: str = "") -> Path:
    """Write a plain folder of images with a square each; masks in `empty` are empty."""
    for name in names:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[20:40, 10:40] = 0 if name in empty else 255
        pixels = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        for place, content in ((f"masks/{target}", mask), ("images", pixels)):
            (root / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(root / place / f"{name}.png")
    return root


def write_chase(root: Path, *, graders: int = 2) -> Path:
    root.mkdir()
    for name in ("Image_01L", "Image_01R"):
        Image.fromarray(RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(
            root / f"{name}.jpg"
        )
        for number in ("1st", "2nd")[:graders]:
            mask = np.zeros((SIDE, SIDE), bool)
            mask[20:36, (20 if number == "1st" else 24) :][:, :16] = True
            Image.fromarray(mask).save(root / f"{name}_{number}HO.png")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "mine")


@pytest.fixture
def make_adapter(pocket_base: LoadedModel, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an adapter and returns its folder."""

    def make(name: str, *, target: Target = SPOT, seed: int = 1, identity: str = "") -> Path:
        lora = LoraSettings(rank=4, alpha=8)
        tensors = lora_tensors(add_lora(copy.deepcopy(pocket_base.network), lora, seed=seed))
        generator = torch.Generator().manual_seed(seed)
        for tensor in tensors.values():
            tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.05)
        card = AdapterCard(
            name=name,
            target=target,
            base={"name": "nano", "identity": identity or pocket_base.weights_sha256},
            geometry=GeometrySettings(),
            lora=lora,
            threshold=0.4,
            trainable=1,
            share=0.1,
            created=now(),
        )
        return save_adapter(tensors, card, tmp_path / "adapters" / name).folder

    return make


def test_report_is_written_and_its_scores_are_printed(run_cli, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = run_cli("evaluate", data, "--target", "spot", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    report = read_report(out)
    dice = report.cells[0].per_image["dice"].mean
    assert ran.out.splitlines() == [
        f"mine\tnano without adapter\tnone\t{dice:.4f}\t2",
        f"Report: {out / 'report.md'}",
    ]
    assert report.command.startswith("sam2lora evaluate ")
    assert report.command.endswith(str(out))
    assert (report.settings.protocol, report.machine["device"]) == ("literature", "cpu")


def test_interactive_corrects_each_image_and_reports_it(
    run_cli, tmp_path: Path, make_adapter
) -> None:
    data = write_dataset(tmp_path / "mine", "a")
    out = tmp_path / "out"
    args = ("--target", "spot", "--regimes", "none", "--interactive", "--out", out)
    ran = run_cli("evaluate", data, *args, "--adapter", make_adapter("first"))
    assert (ran.code, ran.err) == (0, "")
    (entry,) = read_report(out).images
    kinds = [(found.start, found.placement, found.draw) for found in entry.corrections]
    random = [("automatic", "random", draw) for draw in range(5)]
    assert kinds == [("automatic", "middle", 0), *random, ("nothing", "middle", 0)]
    middle, *_, from_nothing = entry.corrections
    assert middle.effects
    assert all(effect.honoured for effect in middle.effects)
    assert middle.dice[-1] > middle.dice[0]
    assert from_nothing.dice[0] == 0
    assert "## Corrections by clicks" in (out / "report.md").read_text(encoding="utf-8")
    assert (out / "clicks.png").is_file()
    refused = run_cli("evaluate", data, "--target", "spot", "--interactive", "--regimes", "2p")
    assert refused.code == 2


@pytest.mark.usefixtures("no_pictures")
def test_all_options_reach_the_report(run_cli, data: Path, tmp_path: Path) -> None:
    args = ("--regimes", "2p", "--tta", "--seed", "7", "--protocol", "paper", "--split", "all")
    more = ("--device", "cpu", "--precision", "float32", "--layout", "folder")
    args += ("--include", "[ac]", "--exclude", "c", "--field-size", "400", "--field-size", "600")
    ran = run_cli("evaluate", data, "--target", "spot", "--out", tmp_path / "out", *args, *more)
    assert ran.code == 0
    report = read_report(tmp_path / "out")
    settings = report.settings
    assert (settings.protocol, settings.seed, settings.flips) == ("paper", 7, True)
    assert (settings.include, settings.exclude) == ("[ac]", "c")
    assert settings.field_sizes == (400, 600)
    assert {image.image for image in report.images} == {"a"}
    assert [cell.regime for cell in report.cells] == ["2p"]
    assert report.machine["precision"] == "float32"
    assert Image.open(tmp_path / "out" / report.images[0].truth).size == (1024, 1024)


@pytest.mark.usefixtures("no_pictures")
def test_every_model_is_scored_on_every_dataset(
    run_cli, data: Path, tmp_path: Path, make_adapter
) -> None:
    other = write_dataset(tmp_path / "other", "xy")
    adapters = [w for n in (1, 2) for w in ("--adapter", make_adapter(f"v{n}", seed=n))]
    out = tmp_path / "out"
    args = ("--target", "spot", *adapters, "--bare", "--out", out)
    ran = run_cli("evaluate", data, other, *args)
    assert ran.code == 0
    report = read_report(out)
    assert [model.name for model in report.models] == ["v1", "v2", "nano without adapter"]
    assert len(report.cells) == 6
    assert [model.threshold for model in report.models] == [0.4, 0.4, 0.5]
    aucs = {cell.model: cell.per_image["auc"].mean for cell in report.cells[::2]}
    assert len(set(aucs.values())) == 3


@pytest.mark.usefixtures("no_pictures")
def test_second_grader_needs_no_network(run_cli, tmp_path: Path, no_network: None) -> None:
    root, out = write_chase(tmp_path / "chase"), tmp_path / "out"
    ran = run_cli("evaluate", root, "--target", "vessel", "--second-grader", "--out", out)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "CHASE_DB1\tgrader 2\tnone\t0.7500\t2")
    assert read_report(out).machine["device"] == "none"


@pytest.mark.usefixtures("no_pictures")
def test_second_grader_can_be_scored_with_a_network(run_cli, tmp_path: Path, make_adapter) -> None:
    root, out = write_chase(tmp_path / "chase"), tmp_path / "out"
    adapter = make_adapter("v1", target=TARGETS["vessel"])
    args = ("--target", "vessel", "--second-grader", "--adapter", adapter, "--out", out)
    assert run_cli("evaluate", root, *args).code == 0
    assert [model.name for model in read_report(out).models] == ["v1", "grader 2"]


@pytest.mark.usefixtures("no_pictures")
def test_unreadable_image_is_listed_with_exit_code_1(run_cli, data: Path, tmp_path: Path) -> None:
    (data / "images" / "a.png").write_text("no picture")
    out = tmp_path / "out"
    ran = run_cli("evaluate", data, "--target", "spot", "--out", out, "--regimes", "none,1p")
    assert ran.code == 1
    assert ran.out.splitlines()[0].endswith("\t1")
    assert ran.err.splitlines()[0] == "1 failed:"
    assert ran.err.splitlines()[1].startswith(f"{data / 'images' / 'a.png'}\t")
    assert [cell.failed for cell in read_report(out).cells] == [1, 1]


@pytest.mark.usefixtures("no_pictures")
def test_images_without_sampled_prompts_are_reported_but_no_failure(
    run_cli, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path / "mine", "abc", empty="b")
    args = ("--target", "spot", "--regimes", "none,box", "--out", tmp_path / "out")
    ran = run_cli("evaluate", root, *args)
    assert ran.code == 0
    assert "regime box can be sampled for 1 of 3 images" in ran.err
    assert [line.split("\t")[-1] for line in ran.out.splitlines()[:2]] == ["3", "2"]


BAD = {
    "an unknown target": (["--target", "nonsense"], "No target is called 'nonsense'"),
    "a target without masks": (["--target", "disc"], "disc"),
    "a missing split": (
        ["--target", "spot", "--split", "test"],
        "There is no official split",
    ),
    "an unknown regime": (["--target", "spot", "--regimes", "9p"], "Available: none, 1p"),
    "an invalid filter": (
        ["--target", "spot", "--include", "(a"],
        "'(a' is not a regular expression",
    ),
    "a filter that leaves no image": (
        ["--target", "spot", "--exclude", "."],
        "none of its 2 images is left by include None and exclude '.'",
    ),
    "an unknown protocol": (["--target", "spot", "--protocol", "own"], "literature"),
    "a negative seed": (["--target", "spot", "--seed", "-1"], "equal to 0"),
    "no target": ([], "--target vessel"),
    "a missing second grader": (
        ["--target", "spot", "--second-grader"],
        "none of the 2 images has a mask of spot by grader 2",
    ),
    "a second grader against the union": (
        ["--target", "spot", "--second-grader", "--protocol", "paper"],
        "Use the protocol 'literature'",
    ),
    "two reports and a dataset": (
        ["--target", "spot", "--compare", "a", "b"],
        "--compare takes two existing reports",
    ),
}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(("args", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_message_and_exit_code_2_before_loading(
    run_cli, data: Path, tmp_path: Path, args: list[str], message: str
) -> None:
    ran = run_cli("evaluate", data, *args, "--out", tmp_path / "out")
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.usefixtures("no_network")
def test_mask_of_another_size_is_refused_before_loading(
    run_cli, data: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(data / "masks" / "spot" / "b.png")
    ran = run_cli("evaluate", data, "--target", "spot", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "b.png: is 8 × 9, but its image" in ran.err


@pytest.mark.usefixtures("no_network")
def test_folder_that_is_no_report_is_not_replaced(run_cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    ran = run_cli("evaluate", data, "--target", "spot", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "is not empty and not a report" in ran.err
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


def test_adapters_of_another_target_or_base_are_refused(
    run_cli, data: Path, tmp_path: Path, make_adapter
) -> None:
    other = Target(name="dot", label=10, color="#112233")
    for folder, message in (
        (make_adapter("a", target=other), "segments 'dot', not 'spot'"),
        (make_adapter("b", identity="1" * 64), "is for the base model"),
        ("nowhere", "There is no adapter called 'nowhere'"),
    ):
        args = ("--target", "spot", "--adapter", folder, "--out", tmp_path / "out")
        ran = run_cli("evaluate", data, *args)
        assert ran.code == 2
        assert message in ran.err
        assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_pictures")
def test_two_reports_are_compared(run_cli, data: Path, tmp_path: Path, make_adapter) -> None:
    a, b, out = (tmp_path / name for name in ("a", "b", "out"))
    both = [w for n in (1, 2) for w in ("--adapter", make_adapter(f"v{n}", seed=n))]
    assert run_cli("evaluate", data, "--target", "spot", "--out", a, *both).code == 0
    assert run_cli("evaluate", data, "--target", "spot", "--out", b, *both[:2]).code == 0
    ran = run_cli("evaluate", "--compare", a, b, "--adapter", "v2", "--adapter", "v1", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    content = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert (content["a"]["model"], content["b"]["model"]) == ("v2", "v1")
    dice = content["differences"][0]
    assert f"{dice['difference']:+.4f}" in ran.out
    assert f"Comparison: {out / 'comparison.md'}" in ran.out
    same = run_cli("evaluate", "--compare", b, b, "--out", out)
    assert (same.code, "+0.0000 to +0.0000" in same.out) == (0, True)


@pytest.mark.parametrize(
    "args",
    [
        *(("--regimes", "1p"), ("--protocol", "literature"), ("--split", "all"), ("--tta",)),
        ("--field-size", "880"),
        *(("--layout", "folder"), ("--device", "cpu"), ("--precision", "float32")),
        *(("--include", "a"), ("--exclude", "a"), ("--second-grader",), ("--bare",)),
    ],
    ids=lambda args: args[0],
)
def test_options_without_effect_on_a_comparison_are_refused(
    run_cli, tmp_path: Path, args: tuple[str, ...]
) -> None:
    ran = run_cli("evaluate", "--compare", "a", "b", *args, "--out", tmp_path / "out")
    assert ran.code == 2
    assert f"not with {args[0]}." in " ".join(ran.err.split())


def test_reports_that_cannot_be_compared_are_refused(run_cli, tmp_path: Path) -> None:
    ran = run_cli("evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "o")
    assert ran.code == 2
    assert "Give a folder written by" in ran.err
    thrice = [word for _ in range(3) for word in ("--adapter", "x")]
    args = ("--compare", tmp_path, tmp_path, *thrice, "--out", tmp_path / "o")
    assert "at most twice" in run_cli("evaluate", *args).err

"""`sam2lora evaluate`: what it writes, what it says, and what becomes of bad input."""

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
    """Let the command load a small network with random weights of its own."""

    def load(model: str, *, progress: object) -> LoadedModel:
        return replace(pocket_base, network=copy.deepcopy(pocket_base.network))

    monkeypatch.setattr("sam2lora.inference.pipeline.load_base", load)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots and pictures of reports out: they take most of the time."""
    for name in ("save_plots", "save_galleries"):
        monkeypatch.setattr(
            f"sam2lora.evaluation.report.writer.{name}", lambda folder, report: None
        )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any loading of a network fail: nothing may be done before input is checked."""

    def load(model: str, *, progress: object) -> LoadedModel:
        raise AssertionError("the work has begun")

    monkeypatch.setattr("sam2lora.inference.pipeline.load_base", load)


def write_set(root: Path, names: str = "ab", *, target: str = "spot", empty: str = "") -> Path:
    """Write a plain folder of images with a square each, but for those in `empty`."""
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
    return write_set(tmp_path / "mine")


@pytest.fixture
def make_adapter(pocket_base: LoadedModel, tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes an adapter to a folder and gives the folder."""

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


def test_a_report_is_made_and_the_result_is_said(run_cli, data: Path, tmp_path: Path) -> None:
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


@pytest.mark.usefixtures("no_pictures")
def test_all_options_reach_the_report(run_cli, data: Path, tmp_path: Path) -> None:
    words = ("--regimes", "2p", "--tta", "--seed", "7", "--protocol", "paper", "--split", "all")
    more = ("--device", "cpu", "--precision", "float32", "--layout", "folder")
    words += ("--include", "[ac]", "--exclude", "c")
    ran = run_cli("evaluate", data, "--target", "spot", "--out", tmp_path / "out", *words, *more)
    assert ran.code == 0
    report = read_report(tmp_path / "out")
    settings = report.settings
    assert (settings.protocol, settings.seed, settings.flips) == ("paper", 7, True)
    assert (settings.include, settings.exclude) == ("[ac]", "c")
    assert {one.image for one in report.images} == {"a"}
    assert [cell.regime for cell in report.cells] == ["2p"]
    assert report.machine["precision"] == "float32"
    assert Image.open(tmp_path / "out" / report.images[0].truth).size == (1024, 1024)


@pytest.mark.usefixtures("no_pictures")
def test_several_adapters_sets_and_the_bare_base_make_a_matrix(
    run_cli, data: Path, tmp_path: Path, make_adapter
) -> None:
    other = write_set(tmp_path / "other", "xy")
    adapters = [w for n in (1, 2) for w in ("--adapter", make_adapter(f"v{n}", seed=n))]
    out = tmp_path / "out"
    words = ("--target", "spot", *adapters, "--bare", "--out", out)
    ran = run_cli("evaluate", data, other, *words)
    assert ran.code == 0
    report = read_report(out)
    assert [model.name for model in report.models] == ["v1", "v2", "nano without adapter"]
    assert len(report.cells) == 6
    assert [model.threshold for model in report.models] == [0.4, 0.4, 0.5]
    aucs = {cell.model: cell.per_image["auc"].mean for cell in report.cells[::2]}
    assert len(set(aucs.values())) == 3


@pytest.mark.usefixtures("no_pictures")
def test_a_second_grader_needs_no_network(run_cli, tmp_path: Path, no_network: None) -> None:
    root, out = write_chase(tmp_path / "chase"), tmp_path / "out"
    ran = run_cli("evaluate", root, "--target", "vessel", "--second-grader", "--out", out)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "CHASE_DB1\tgrader 2\tnone\t0.7500\t2")
    assert read_report(out).machine["device"] == "none"


@pytest.mark.usefixtures("no_pictures")
def test_a_second_grader_can_stand_beside_a_network(run_cli, tmp_path: Path, make_adapter) -> None:
    root, out = write_chase(tmp_path / "chase"), tmp_path / "out"
    adapter = make_adapter("v1", target=TARGETS["vessel"])
    words = ("--target", "vessel", "--second-grader", "--adapter", adapter, "--out", out)
    assert run_cli("evaluate", root, *words).code == 0
    assert [one.name for one in read_report(out).models] == ["v1", "grader 2"]


@pytest.mark.usefixtures("no_pictures")
def test_an_image_that_cannot_be_read_is_named_and_the_code_is_1(
    run_cli, data: Path, tmp_path: Path
) -> None:
    (data / "images" / "a.png").write_text("no picture")
    out = tmp_path / "out"
    ran = run_cli("evaluate", data, "--target", "spot", "--out", out, "--regimes", "none,1p")
    assert ran.code == 1
    assert ran.out.splitlines()[0].endswith("\t1")
    assert ran.err.splitlines()[0] == "1 failed:"
    assert ran.err.splitlines()[1].startswith(f"{data / 'images' / 'a.png'}\t")
    assert [cell.failed for cell in read_report(out).cells] == [1, 1]


@pytest.mark.usefixtures("no_pictures")
def test_prompts_that_cannot_be_drawn_are_said_and_are_no_failure(run_cli, tmp_path: Path) -> None:
    root = write_set(tmp_path / "mine", "abc", empty="b")
    words = ("--target", "spot", "--regimes", "none,box", "--out", tmp_path / "out")
    ran = run_cli("evaluate", root, *words)
    assert ran.code == 0
    assert "regime box can be drawn for 1 of 3 images" in ran.err
    assert [line.split("\t")[-1] for line in ran.out.splitlines()[:2]] == ["3", "2"]


BAD = {
    "an unknown target": (["--target", "nonsense"], "No target is called 'nonsense'"),
    "a target the set has not": (["--target", "disc"], "disc"),
    "a split that is not there": (
        ["--target", "spot", "--split", "test"],
        "There is no official split",
    ),
    "an unknown regime": (["--target", "spot", "--regimes", "9p"], "Available: none, 1p"),
    "a filter that is none": (
        ["--target", "spot", "--include", "(a"],
        "'(a' is not a regular expression",
    ),
    "a filter that leaves nothing": (
        ["--target", "spot", "--exclude", "."],
        "none of its 2 images is left by include None and exclude '.'",
    ),
    "an unknown protocol": (["--target", "spot", "--protocol", "own"], "literature"),
    "a negative seed": (["--target", "spot", "--seed", "-1"], "equal to 0"),
    "no target": ([], "--target vessel"),
    "a second grader that is not there": (
        ["--target", "spot", "--second-grader"],
        "none of the 2 images has a mask of spot by grader 2",
    ),
    "a second grader against the union": (
        ["--target", "spot", "--second-grader", "--protocol", "paper"],
        "Use the protocol 'literature'",
    ),
    "two reports and data sets": (
        ["--target", "spot", "--compare", "a", "b"],
        "--compare takes two reports",
    ),
}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_message_and_code_2_before_any_work(
    run_cli, data: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    ran = run_cli("evaluate", data, *words, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.usefixtures("no_network")
def test_a_mask_of_another_size_is_named_before_any_work(
    run_cli, data: Path, tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(data / "masks" / "spot" / "b.png")
    ran = run_cli("evaluate", data, "--target", "spot", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "b.png: is 8 × 9, but its image" in ran.err


@pytest.mark.usefixtures("no_network")
def test_a_folder_that_is_no_report_is_left_alone(run_cli, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    ran = run_cli("evaluate", data, "--target", "spot", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "is not empty and not a report" in ran.err
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


def test_adapters_that_do_not_fit_are_refused(
    run_cli, data: Path, tmp_path: Path, make_adapter
) -> None:
    other = Target(name="dot", label=10, color="#112233")
    for folder, said in (
        (make_adapter("a", target=other), "segments 'dot', not 'spot'"),
        (make_adapter("b", identity="1" * 64), "is for the base model"),
        ("nowhere", "There is no adapter called 'nowhere'"),
    ):
        words = ("--target", "spot", "--adapter", folder, "--out", tmp_path / "out")
        ran = run_cli("evaluate", data, *words)
        assert ran.code == 2
        assert said in ran.err
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
    "words",
    [
        *(("--regimes", "1p"), ("--protocol", "literature"), ("--split", "all"), ("--tta",)),
        *(("--layout", "folder"), ("--device", "cpu"), ("--precision", "float32")),
        *(("--include", "a"), ("--exclude", "a"), ("--second-grader",), ("--bare",)),
    ],
    ids=lambda words: words[0],
)
def test_what_a_comparison_does_not_use_is_refused(
    run_cli, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ran = run_cli("evaluate", "--compare", "a", "b", *words, "--out", tmp_path / "out")
    assert ran.code == 2
    assert f"not with {words[0]}." in " ".join(ran.err.split())


def test_reports_that_cannot_be_compared_are_refused(run_cli, tmp_path: Path) -> None:
    ran = run_cli("evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "o")
    assert ran.code == 2
    assert "Give a folder written by" in ran.err
    thrice = [word for _ in range(3) for word in ("--adapter", "x")]
    words = ("--compare", tmp_path, tmp_path, *thrice, "--out", tmp_path / "o")
    assert "at most twice" in run_cli("evaluate", *words).err

"""`sam2lora predict`, `train` and `evaluate` for a target that is a point."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sam2lora.annotations.points import read_point
from sam2lora.cli.points import device_text
from sam2lora.runs import ValidationEvent, best_adapter, read_events

Run = Callable[..., "object"]


@pytest.fixture
def table(eyes: Path, tmp_path: Path) -> Path:
    (tmp_path / "eyes").symlink_to(eyes)
    rows = [
        f"eyes,p0{number}_{side},{place}\n"
        for number in range(4)
        for side in ("left", "right")
        for place in ("fovea,64,70,,", "disc,40,60,10,10")
    ]
    path = tmp_path / "own.csv"
    path.write_text("dataset,image,structure,cx,cy,rx,ry\n" + "".join(rows))
    return path


def test_fovea_is_trained_evaluated_and_predicted(
    table: Path, eyes: Path, tmp_path: Path, run_cli: Callable[..., object]
) -> None:
    run, report, out = tmp_path / "run", tmp_path / "report", tmp_path / "out"
    options = ("--target", "fovea", "--steps", 1, "--batch", 1, "--set", "validation.images=1")
    trained = run_cli("train", run, "--data", table, *options)
    assert trained.code == 0, trained.err
    assert "validation closeness" in trained.out + trained.err
    assert "Dice" not in trained.out + trained.err
    events, _ = read_events(run / "events.jsonl")
    assert any(isinstance(event, ValidationEvent) for event in events)
    best = best_adapter(run)
    assert best is not None
    card = json.loads((best.folder / "sam2lora.json").read_text())
    assert card["target"]["kind"] == "point"
    assert 0 <= card["validation"]["closeness"] <= 1
    assert "dice" not in card["validation"]

    arguments = ("--target", "fovea", "--adapter", run, "--out", report)
    evaluated = run_cli("evaluate", table, *arguments)
    assert evaluated.code == 0, evaluated.err
    assert "Dice" not in evaluated.out
    assert (report / "points.json").is_file()

    image = eyes / "images" / "p00_left.png"
    arguments = ("--target", "fovea", "--target", "disc", "--out", out)
    predicted = run_cli("predict", image, *arguments, "--adapter", run)
    assert predicted.code != 0  # that adapter is none of the disc
    predicted = run_cli("predict", image, "--target", "fovea", "--adapter", run, "--out", out)
    assert predicted.code == 0, predicted.err
    point = read_point(out / "p00_left_fovea.json")
    assert 0 <= point.x < 128
    assert point.confidence < 1
    clicked = run_cli(
        *("predict", image, "--target", "fovea", "--point", "64,60,+", "--out", out, "--keep")
    )
    assert "1 existing" in clicked.out
    run_cli("predict", image, "--target", "fovea", "--point", "64,60,+", "--out", out)
    assert (read_point(out / "p00_left_fovea.json").x, point.target) == (64, "fovea")


@pytest.mark.parametrize("option", [("--bare",), ("--second-grader",), ("--regimes", "box")])
def test_options_of_masks_are_refused(
    table: Path, tmp_path: Path, option: tuple[str, ...], run_cli: Callable[..., object]
) -> None:
    arguments = (table, "--target", "fovea", "--out", tmp_path / "report", *option)
    result = run_cli("evaluate", *arguments)
    assert result.code == 2
    assert "is a point" in result.err


def test_device_of_a_report_is_that_of_the_workers() -> None:
    predictor = SimpleNamespace(device="cpu")
    assert device_text(predictor, None) == "cpu"
    shared = SimpleNamespace(device="cuda")
    assert device_text(predictor, shared) == "workers of a cluster (cuda)"

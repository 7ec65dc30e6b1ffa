"""Cup/disc ratios from two reports: known heights, and reports that do not match."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import OutputError, ReportError
from sam2lora.evaluation import (
    EvaluateSettings,
    Side,
    cup_disc_ratios,
    network_candidate,
    plan_parts,
    write_cup_disc,
    write_report,
)

from ..conftest import Oracle, make_case, save, square

NAMES = ("a", "b", "c")
CUPS = {"a": 10, "b": 5, "c": 10}  # heights; each disc's is 20
FOUND = {"a": {"disc": 20, "cup": 15}, "b": {"disc": 10, "cup": 5}, "c": {"disc": 0, "cup": 5}}


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    """Write a dataset of three images with reference ratios 0.5, 0.25 and 0.5."""
    root = tmp_path / "eyes"
    for name in NAMES:
        save(root / "images" / f"{name}.png", make_case(name).pixels)
        save(root / "masks" / "disc" / f"{name}.png", square(20, 20, 20))
        save(root / "masks" / "cup" / f"{name}.png", square(20, 20, CUPS[name]))
    return root


@pytest.fixture
def write(tmp_path: Path, eyes: Path, no_pictures: None) -> Callable[..., Path]:
    """Return a function that writes a report on one target."""

    def write(target: str, name: str = "", **changes: object) -> Path:
        settings = EvaluateSettings(target=target, **changes)
        heights = {make_case(eye).pixels.tobytes(): FOUND[eye][target] for eye in NAMES}

        def respond(prepared, prompts) -> np.ndarray:
            height = heights.get(prepared.pixels.tobytes(), 20)
            return square(20, 20, height, size=len(prepared.pixels))

        out = tmp_path / (name or target)
        parts = plan_parts([eyes], settings)
        write_report(
            out, [network_candidate(Oracle(respond), settings)], parts, settings, command="x"
        )
        return out

    return write


def test_ratios_equal_the_ratios_of_heights(write) -> None:
    entries = cup_disc_ratios(Side(write("disc")), Side(write("cup")))
    found = {entry.image: (entry.found, entry.truth, entry.error) for entry in entries}
    assert found == {
        "a": (0.75, 0.5, 0.25),
        "b": (0.5, 0.25, 0.25),
        "c": (None, 0.5, None),  # no disc was found
    }


def test_files_list_each_image_and_the_means(write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sides = [Side(write("disc")), Side(write("cup"))]
    for _ in range(2):  # the second time replaces the first
        entries = write_cup_disc(out, *sides, command="sam2lora z")
    assert {path.name for path in out.iterdir()} == {"cup_disc.csv", "cup_disc.md"}
    with (out / "cup_disc.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == [entry.image for entry in entries] == list(NAMES)
    assert [row["error"] for row in rows] == ["0.25", "0.25", ""]
    text = (out / "cup_disc.md").read_text(encoding="utf-8")
    assert "| eyes | none | 0.250 | 0.625 | 0.375 | 2 of 3 |" in text
    assert "sam2lora z" in text


def test_only_images_in_both_reports_count(write) -> None:
    disc, cup = Side(write("disc")), Side(write("cup", include="b"))
    assert [entry.image for entry in cup_disc_ratios(disc, cup)] == ["b"]
    other = Side(write("disc", "other", exclude="b"))
    with pytest.raises(ReportError, match="no scored image and regime in common"):
        cup_disc_ratios(other, cup)


def test_mismatched_reports_are_refused(write, tmp_path: Path) -> None:
    disc, cup = Side(write("disc")), Side(write("cup"))
    with pytest.raises(ReportError, match=r"cup: evaluates 'cup', not 'disc'. Give the report on"):
        cup_disc_ratios(cup, disc)
    with pytest.raises(ReportError, match=r"protocol 'literature' and .* 'paper'"):
        cup_disc_ratios(disc, Side(write("cup", "paper", protocol="paper")))
    with pytest.raises(OutputError, match="would replace the report"):
        write_cup_disc(cup.folder, disc, cup, command="x")
    mask = next((cup.folder / "masks").rglob("a*.png"))
    save(mask, square(1, 1, 3, size=32))
    with pytest.raises(ReportError, match="have different sizes"):
        cup_disc_ratios(disc, cup)

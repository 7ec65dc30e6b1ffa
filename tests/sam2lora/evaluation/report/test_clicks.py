"""The section of a report on corrections by clicks."""

from pathlib import Path

import pytest
from PIL import Image

from sam2lora.evaluation.interactive import ClickEffect, ClickSequence
from sam2lora.evaluation.report.clicks import PLOT, click_figure, click_lines, has_corrections
from sam2lora.evaluation.report.schema import ImageEntry, Report

EFFECT = ClickEffect(honoured=True, mended=0.5, harm=0.001, area=40, harmed=3)


def corrections(first: float, last: float) -> tuple[ClickSequence, ...]:
    dice = (first, *(10 * (last,)))
    middle = ClickSequence(start="automatic", placement="middle", dice=dice, effects=(EFFECT,))
    draws = tuple(
        ClickSequence(
            start="automatic", placement="random", draw=number, dice=(first, last - 0.1 * number)
        )
        for number in range(2)
    )
    nothing = ClickSequence(start="nothing", placement="middle", dice=(0.0, last))
    return (middle, *draws, nothing)


def entry(name: str, found: tuple[ClickSequence, ...] = ()) -> ImageEntry:
    return ImageEntry(
        model="nano-disc",
        dataset="A",
        image=name,
        regime="none",
        status="scored",
        corrections=found,
    )


@pytest.fixture
def report() -> Report:
    images = (entry("1", corrections(0.8, 0.96)), entry("2", corrections(0.9, 0.88)))
    return Report.model_construct(images=images, models=())


def test_report_without_corrections_has_no_section() -> None:
    report = Report.model_construct(images=(entry("1"),), models=())
    assert not has_corrections(report)
    assert click_lines(report) == []


def test_section_has_means_shares_and_spread(report: Report) -> None:
    lines = click_lines(report)
    middle = next(line for line in lines if "in the middle of the largest error |" in line)
    cells = [cell.strip() for cell in middle.strip("|").split("|")]
    assert cells[:3] == ["nano-disc", "A", "in the middle of the largest error"]
    assert cells[3:5] == ["0.850", "0.920"]
    assert cells[9:] == ["0.5", "0.5", "5.5", "50 %", "–"]
    at_random = next(line for line in lines if "at a random place in it | 0" in line)
    assert at_random.strip("| ").endswith("0.050")
    single = next(line for line in lines if "| 2 | 1.000 | 0.500 | 0.0010 |" in line)
    assert "in the middle" in single


def test_curve_is_drawn(report: Report, tmp_path: Path) -> None:
    click_figure(report).savefig(tmp_path / PLOT)
    with Image.open(tmp_path / PLOT) as picture:
        assert min(picture.size) > 300

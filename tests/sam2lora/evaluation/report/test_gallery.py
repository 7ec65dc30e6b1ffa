"""Galleries of a report: which images are shown, and which part of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.errors import ReportError
from sam2lora.evaluation import EvaluateSettings, network_candidate, plan_parts
from sam2lora.evaluation.report.gallery import (
    GalleryRow,
    gallery_names,
    mask_to_rgb,
    picture_range,
    read_report_mask,
    save_galleries,
    save_rows,
)
from sam2lora.evaluation.report.writer import write_report

from ..conftest import SIDE, SPOT, VESSEL, always, make_case, make_report, square

SPOTS = make_report(target=SPOT, settings=EvaluateSettings(target="spot"))
VESSELS = make_report(target=VESSEL)


def test_compact_structures_are_cropped_with_padding_and_vessels_are_not() -> None:
    mask = square(30, 20, 10)
    assert mask_to_rgb(mask)[picture_range(VESSELS, mask)].shape[:2] == (SIDE, SIDE)
    rows, columns = picture_range(SPOTS, mask)
    assert rows.stop - rows.start == columns.stop - columns.start == 16
    assert rows.start < 20
    assert rows.stop > 30
    assert (columns.start + columns.stop) / 2 == pytest.approx(35, abs=1)
    assert mask_to_rgb(mask)[picture_range(SPOTS, np.zeros_like(mask))].shape[:2] == (SIDE, SIDE)


@pytest.mark.parametrize("corner", [(0, 0), (54, 54), (0, 54)])
def test_structure_at_the_edge_is_shown_completely(corner: tuple[int, int]) -> None:
    mask = square(*corner, 10)
    assert mask[picture_range(SPOTS, mask)].sum() == 100
    assert mask[picture_range(SPOTS, mask)].shape == (16, 16)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_gallery_shows_best_median_and_worst_image(
    count: int, write_set, spot, tmp_path: Path, monkeypatch
) -> None:
    """The reference of image n is shifted by n columns, so the order of Dice is known."""
    cases = {
        f"{n}": make_case(f"{n}", reference=square(20 + n, 20, 16)) for n in reversed(range(count))
    }
    settings = EvaluateSettings(target="spot")
    parts = plan_parts([write_set("mine", cases)], settings)
    candidates = [network_candidate(always(square(20, 20, 16)), settings)]
    report = write_report(tmp_path / "out", candidates, parts, settings, command="x")
    shown: list[str] = []
    monkeypatch.setattr(
        "sam2lora.evaluation.report.gallery.save_rows",
        lambda path, rows, title: shown.extend(row.text for row in rows),
    )
    save_galleries(tmp_path / "out", report)
    expected = {1: ["best: mine 0"], 2: ["best: mine 0", "worst: mine 1"]}.get(
        count, ["best: mine 0", f"median: mine {count // 2}", f"worst: mine {count - 1}"]
    )
    assert [text.split(",")[0] for text in shown] == expected
    assert shown[0].endswith("Dice 1.000")


def test_rows_of_different_shapes_and_odd_names_are_drawn(tmp_path: Path) -> None:
    wide, high = (np.full((*size, 3), 128, np.uint8) for size in ((20, 50), (900, 300)))
    window = np.s_[:, :]
    rows = [
        GalleryRow.of("$_$ <b>", {"image": wide, "reference": wide}, window),
        GalleryRow.of("x", {"image": high, "reference": high}, window),
    ]
    save_rows(tmp_path / "p.png", rows, title="a $ b")
    assert Image.open(tmp_path / "p.png").size[1] > 1000


def test_gallery_files_are_named_by_regime_except_the_first() -> None:
    names = gallery_names(("none", "5p1n+box"))
    assert names == {"overview.png": "none", "overview_5p1n+box.png": "5p1n+box"}


def test_missing_mask_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"A mask of the report cannot be read: .*gone\.png"):
        read_report_mask(tmp_path / "gone.png")

"""Contact sheets of rim sectors, by `scripts/rim_sheets.py`."""

from pathlib import Path

import numpy as np
from PIL import Image

from sam2lora.cohort import find_records
from scripts import rim_sheets


def folder_of_eyes(folder: Path) -> Path:
    """Write three images with a disc; the second one's cup is outside of it, the third has none."""
    y, x = np.ogrid[:200, :200]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    pixels = np.where(np.hypot(x - 100, y - 100)[..., None] <= 95, (180, 90, 40), 0)
    for number, place in enumerate((100, 130, None)):
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"eye{number}.png")
        masks = {"disc": np.hypot(x - 100, y - 100) <= 30}
        if place is not None:
            masks["cup"] = np.hypot(x - place, y - 100) <= 12
        for name, mask in masks.items():
            image = Image.fromarray(mask.astype(np.uint8) * 255)
            image.save(folder / "masks" / f"eye{number}_{name}.png")
    return folder


def test_sheet_has_the_doubtful_ones_first_and_the_sectors(tmp_path: Path):
    records = find_records([folder_of_eyes(tmp_path / "eyes")])
    (sheet,) = rim_sheets.draw_sheets(tmp_path / "out", records)
    picture = np.asarray(Image.open(sheet))
    side = rim_sheets.SIDE
    assert picture.shape[1] == 2 * side
    white = (picture[:side] == 255).all(axis=2)
    assert white[:, :side].any()
    assert white[:, side:].any()
    first, second = (rim_sheets.draw_record(records[number]) for number in (1, 0))
    assert first.order < second.order
    assert any("outside the disc" in warning for warning in first.found.warnings)
    np.testing.assert_array_equal(picture[:, :side], first.tile)

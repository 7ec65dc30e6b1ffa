"""Masks drawn before the EXIF orientation was applied are told by their size or by the image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets.unturned import how_drawn, is_drawn_unturned, turned_upright
from sam2lora.images.decoded_image import turn_upright

SHAPE = (60, 90)


def disk(shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - 20, columns - 25) < 9


def photograph(path: Path, orientation: int, stored: np.ndarray, *, bright: int) -> Path:
    """Write an image with the disc at `stored`, `bright` grey levels brighter."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.where(stored[..., None], 100 + bright, 100).astype(np.uint8).repeat(3, axis=2)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("shape", [SHAPE, (70, 70)])
def test_mask_of_the_stored_pixels_is_turned(
    tmp_path: Path, orientation: int, shape: tuple[int, int]
) -> None:
    stored = disk(shape)
    image = photograph(tmp_path / "a.png", orientation, stored, bright=60)
    upright = turn_upright(stored, orientation)
    found = turned_upright(stored, upright.shape, image, target="disc")
    np.testing.assert_array_equal(found, upright)
    again = turned_upright(upright, upright.shape, image, target="disc")
    np.testing.assert_array_equal(again, upright)


def test_mask_of_an_upright_image_stays(tmp_path: Path) -> None:
    stored = disk(SHAPE)
    image = photograph(tmp_path / "a.png", 1, stored, bright=60)
    assert how_drawn(stored, SHAPE, image, target="disc") == "upright"


def test_image_that_shows_nothing_leaves_it_unclear(tmp_path: Path) -> None:
    stored = disk(SHAPE)
    image = photograph(tmp_path / "a.png", 3, stored, bright=0)
    assert how_drawn(stored, SHAPE, image, target="disc") == "unclear"
    assert how_drawn(stored, SHAPE, image, target="drusen") == "unclear"
    assert how_drawn(stored, SHAPE, image, target="") == "upright"
    np.testing.assert_array_equal(turned_upright(stored, SHAPE, image, target="disc"), stored)


def test_size_tells_for_images_on_their_side(tmp_path: Path) -> None:
    image = photograph(tmp_path / "a.png", 6, disk(SHAPE), bright=0)
    assert is_drawn_unturned(SHAPE, SHAPE[::-1], image)
    assert not is_drawn_unturned(SHAPE[::-1], SHAPE[::-1], image)

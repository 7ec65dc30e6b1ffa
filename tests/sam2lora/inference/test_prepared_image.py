"""The windows of each input mode, and the crop."""

import numpy as np
import pytest

from sam2lora.errors import ImageError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.prepared_image import PreparedImage, extent_of, windows_of
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import Window
from sam2lora.transforms.zoom import crop_around

ROWS, COLUMNS = np.ogrid[:600, :800]
FIELD = FieldOfView(np.hypot(COLUMNS - 400, ROWS - 300) <= 280, (400, 300), 560)
PREPARED = PreparedImage.of(np.zeros((600, 800, 3), np.uint8), field=FIELD)
ZOOM = GeometrySettings(detail="zoom", zoom_share=0.25)


def test_image_below_the_smallest_size_is_refused() -> None:
    assert PreparedImage.of(np.zeros((16, 16, 3), np.uint8)).shape == (16, 16)
    with pytest.raises(ImageError, match=r"15 × 200 pixels.*at least 16 × 16"):
        PreparedImage.of(np.zeros((200, 15, 3), np.uint8))


def test_key_depends_on_pixels_and_shape() -> None:
    pixels = np.zeros((600, 800, 3), np.uint8)
    assert PreparedImage.of(pixels, field=FIELD).key == PREPARED.key
    pixels[0, 0, 0] = 1
    assert PreparedImage.of(pixels, field=FIELD).key != PREPARED.key
    turned = np.zeros((800, 600, 3), np.uint8)
    assert PreparedImage.of(turned).key != PREPARED.key


def test_windows_of_each_input_mode() -> None:
    (whole,) = windows_of(PREPARED, GeometrySettings(detail="whole"), 512)
    assert windows_of(PREPARED, ZOOM, 512) == [whole]
    assert whole.width == pytest.approx(560 * 1.02)
    (stretched,) = windows_of(PREPARED, GeometrySettings(detail="squash"), 512)
    assert (stretched.width, stretched.height) == (800, 600)
    tiles = windows_of(PREPARED, GeometrySettings(detail="tiles", field_size=1024), 512)
    assert len(tiles) > 4
    assert tiles[0].width == pytest.approx(512 * 560 / 1024)


def crop_of(
    prepared: PreparedImage,
    geometry: GeometrySettings,
    whole: Window,
    logits: np.ndarray,
    prompts: Prompts,
) -> Window:
    """Return the crop around what a first look found."""
    extent = extent_of(prepared, whole, logits, prompts)
    return crop_around(geometry, prepared.field, extent, whole.size)


def first_logits(*blobs: tuple[int, int, int]) -> np.ndarray:
    """Create logits of 128² over the field of view with discs at (x, y, radius)."""
    rows, columns = np.ogrid[:128, :128]
    logits = np.full((128, 128), -5, np.float32)
    for x, y, radius in blobs:
        logits[np.hypot(columns - x, rows - y) <= radius] = 5
    return logits


def test_crop_is_around_the_largest_component() -> None:
    (whole,) = windows_of(PREPARED, ZOOM, 512)
    crop = crop_of(PREPARED, ZOOM, whole, first_logits((90, 40, 10), (10, 100, 3)), Prompts())
    x, y = whole.left + 90.5 / 128 * whole.width, whole.top + 40.5 / 128 * whole.height
    assert crop.left + crop.width / 2 == pytest.approx(x, abs=crop.width / 16)
    assert crop.top + crop.height / 2 == pytest.approx(y, abs=crop.width / 16)
    assert crop.width == pytest.approx(0.25 * 560)


def test_crop_grows_with_the_prediction_up_to_the_field() -> None:
    (whole,) = windows_of(PREPARED, ZOOM, 512)
    crop = crop_of(PREPARED, ZOOM, whole, first_logits((64, 64, 30)), Prompts())
    assert crop.width == pytest.approx(1.5 * 60 / 128 * whole.width, rel=0.05)
    assert crop_of(PREPARED, ZOOM, whole, first_logits((64, 64, 99)), Prompts()).width <= 560


def test_crop_of_an_empty_prediction_is_at_its_highest_logit() -> None:
    (whole,) = windows_of(PREPARED, ZOOM, 512)
    logits = first_logits()
    logits[100, 20] = -1
    crop = crop_of(PREPARED, ZOOM, whole, logits, Prompts())
    x = whole.left + 20.5 / 128 * whole.width
    assert crop.left + crop.width / 2 == pytest.approx(x, abs=crop.width / 16)


def test_crop_contains_box_and_positive_points() -> None:
    (whole,) = windows_of(PREPARED, ZOOM, 512)
    logits = first_logits((90, 40, 10))
    box = crop_of(PREPARED, ZOOM, whole, logits, Prompts(box=(200, 300, 260, 380)))
    assert box.left < 200 < 260 < box.left + box.width
    assert box.left + box.width / 2 == pytest.approx(230, abs=box.width / 16)
    far = crop_of(PREPARED, ZOOM, whole, logits, Prompts((PointPrompt(250, 450),)))
    assert far.left < 250 < far.left + far.width
    assert far.top < 450 < far.top + far.height
    off = crop_of(PREPARED, ZOOM, whole, logits, Prompts((PointPrompt(250, 450, positive=False),)))
    assert off == crop_of(PREPARED, ZOOM, whole, logits, Prompts())


def test_small_shift_of_the_prediction_keeps_the_crop() -> None:
    (whole,) = windows_of(PREPARED, ZOOM, 512)
    crops = {
        crop_of(PREPARED, ZOOM, whole, first_logits((x, 40, 10)), Prompts()) for x in range(60, 80)
    }
    assert len(crops) < 14


def test_prediction_outside_the_field_does_not_attract_the_crop() -> None:
    (whole,) = windows_of(PREPARED, ZOOM, 512)
    crop = crop_of(PREPARED, ZOOM, whole, first_logits((2, 2, 12), (90, 40, 3)), Prompts())
    x = whole.left + 90.5 / 128 * whole.width
    assert crop.left + crop.width / 2 == pytest.approx(x, abs=crop.width / 16)


def test_crop_overlaps_an_image_that_is_all_field() -> None:
    wide = PreparedImage.of(np.full((300, 900, 3), 120, np.uint8))
    (whole,) = windows_of(wide, ZOOM, 512)
    for first in (first_logits((64, 4, 3)), first_logits()):  # in the padding above; nowhere
        first[0, 64] += 1
        crop = crop_of(wide, ZOOM, whole, first, Prompts())
        crop.paste(np.zeros((128, 128), np.float32), wide.shape)  # raises if it misses the image

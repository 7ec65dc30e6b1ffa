"""The crop around a compact target."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import Window
from sam2lora.transforms.zoom import BoundingBox, crop_around, crop_side, needs_another_look

FIELD = FieldOfView(np.ones((1000, 1000), np.bool_), (499.5, 499.5), 1000.0)
ZOOM = GeometrySettings(detail="zoom", zoom_extent=2.5, zoom_range=(0.2, 0.6))
OLD = GeometrySettings(detail="zoom", zoom_share=0.3)


@pytest.mark.parametrize(
    ("extent", "side"),
    [
        (120, 300),  # in proportion to the target
        (40, 200),  # no less than the smallest share
        (300, 600),  # no more than the largest one
        (500, 750),  # but for a target that needs the room
        (900, 1000),  # inside of the field
        (0, 300),  # nothing was found: zoom_share
    ],
)
def test_side_of_the_crop_follows_the_target(extent: float, side: float) -> None:
    assert crop_side(ZOOM, FIELD, extent) == pytest.approx(side)


@pytest.mark.parametrize(("extent", "side"), [(10, 300), (190, 300), (400, 600), (900, 1000)])
def test_adapters_of_before_keep_their_crop(extent: float, side: float) -> None:
    assert crop_side(OLD, FIELD, extent) == pytest.approx(side)


def test_crop_is_around_the_target() -> None:
    crop = crop_around(ZOOM, FIELD, BoundingBox(340, 540, 460, 660), 512)
    assert (crop.width, crop.height, crop.size) == (300, 300, 512)
    assert crop.left + 150 == pytest.approx(400.5, abs=300 / 32)
    assert crop.top + 150 == pytest.approx(600.5, abs=300 / 32)


CROP = Window(250, 250, 300, 300, 512)
EXPECTED = BoundingBox(340, 340, 460, 460)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (EXPECTED, False),
        (EXPECTED.moved(20, 20), False),
        (EXPECTED.scaled(1.2), False),
        (EXPECTED.moved(60, 0), True),
        (EXPECTED.scaled(1.6), True),
        (EXPECTED.scaled(0.5), True),
        (BoundingBox(251, 340, 460, 460), True),  # it ends at the edge of the crop
        (BoundingBox(400, 400, 400, 400), True),  # nothing was found
    ],
)
def test_crop_that_was_wrong_is_noticed(found: BoundingBox, wrong: bool) -> None:
    assert needs_another_look(CROP, EXPECTED, found) is wrong


def test_extent_of_a_mask_is_its_box() -> None:
    mask = np.zeros((20, 30), np.bool_)
    assert BoundingBox.of(mask) is None
    mask[4:9, 12:20] = True
    extent = BoundingBox.of(mask)
    assert extent == (12, 4, 19, 8)
    assert (extent.center, extent.side) == ((15.5, 6), 7)
    assert extent.including([(2, 5), (15, 18)]) == (2, 4, 19, 18)
    assert extent.moved(1, -2) == (13, 2, 20, 6)
    assert extent.scaled(2) == (8.5, 2, 22.5, 10)
    for sideways, upside_down in ((True, False), (False, True), (True, True)):
        mirrored = mask[:: -1 if upside_down else 1, :: -1 if sideways else 1]
        expected = BoundingBox.of(mirrored)
        found = extent.mirrored((20, 30), sideways=sideways, upside_down=upside_down)
        assert found == expected

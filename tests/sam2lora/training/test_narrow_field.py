"""Narrower fields of view cut from the image of a wide one."""

import math

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.training.narrow_field import NarrowField, sample_narrow_field
from sam2lora.transforms.zoom import BoundingBox

ROWS, COLUMNS = np.ogrid[:700, :900]
CENTER, DIAMETER = (450.0, 350.0), 640.0
FIELD = FieldOfView(np.hypot(COLUMNS - 450, ROWS - 350) <= 320, CENTER, DIAMETER)
DISC = BoundingBox(600, 310, 690, 400)  # a seventh of the field, near its edge


def sampled(count: int = 300) -> list[NarrowField]:
    rng = np.random.default_rng(0)
    found = [sample_narrow_field(FIELD, DISC, rng) for _ in range(count)]
    return [narrow for narrow in found if narrow is not None]


def test_circles_show_the_target_at_every_scale_and_up_to_their_edge() -> None:
    circles = sampled()
    assert len(circles) > 150
    shares = [DISC.side / circle.diameter for circle in circles]
    assert min(shares) < 0.2
    assert max(shares) > 0.35
    distances = [
        math.dist(circle.center, DISC.center) / (circle.diameter / 2) for circle in circles
    ]
    assert min(distances) < 0.2
    assert max(distances) > 0.75
    for circle in circles:  # inside the real field, with most of the target
        assert math.dist(circle.center, CENTER) + circle.diameter / 2 <= DIAMETER / 2 + 1
        assert math.dist(circle.center, DISC.center) < circle.diameter / 2 - 20


def test_all_beyond_the_circle_is_black() -> None:
    pixels = np.full((700, 900, 3), 200, np.uint8)
    narrow = sampled(20)[0]
    cut = narrow.cut(pixels)
    field = narrow.field(FIELD)
    assert cut.shape[:2] == field.mask.shape
    np.testing.assert_array_equal(cut[..., 0] > 0, narrow.circle())
    assert field.diameter == narrow.diameter
    y, x = np.nonzero(narrow.circle())
    assert field.center[0] == pytest.approx((x.min() + x.max()) / 2, abs=1)
    assert field.center[1] == pytest.approx((y.min() + y.max()) / 2, abs=1)
    assert (pixels == 200).all()


def test_target_that_fills_the_field_is_not_narrowed() -> None:
    rng = np.random.default_rng(0)
    large = BoundingBox(250, 150, 650, 550)
    assert all(sample_narrow_field(FIELD, large, rng) is None for _ in range(50))

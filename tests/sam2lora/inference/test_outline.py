"""Smooth outlines of compact targets, which stray parts cannot stretch."""

import numpy as np
import pytest
from scipy import ndimage

from sam2lora.inference.outline import smooth_outline
from sam2lora.types import Mask

SIDE = 96
ROWS, COLUMNS = np.ogrid[:SIDE, :SIDE]
EVERYWHERE = np.ones((SIDE, SIDE), np.bool_)


def ellipse(x: float = 48, y: float = 44, rx: float = 22, ry: float = 27) -> Mask:
    inside: Mask = ((COLUMNS - x) / rx) ** 2 + ((ROWS - y) / ry) ** 2 <= 1
    return inside


def outline_of(mask: Mask, level: float = 0.5, *, valid: Mask = EVERYWHERE) -> Mask:
    probabilities = np.where(mask, 0.95, 0.02).astype(np.float32)
    parts, _ = ndimage.label(mask)
    largest = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return smooth_outline(largest & valid, probabilities, level, valid=valid)


def dice(a: Mask, b: Mask) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


LEVELS = pytest.mark.parametrize("level", [0.1, 0.5, 0.9])


@LEVELS
def test_ellipse_is_its_own_outline(level: float) -> None:
    assert dice(outline_of(ellipse(), level), ellipse()) > 0.97


@LEVELS
def test_holes_and_dents_are_filled(level: float) -> None:
    mask = ellipse()
    mask[30:34, 52:] = False  # a vessel across the border
    mask[50:56, 40:46] = False
    assert dice(outline_of(mask, level), ellipse()) > 0.96


@pytest.mark.parametrize("width", [4, 8, 12])
def test_stray_part_does_not_stretch_the_outline(width: int) -> None:
    """As the bright atrophy beside a disc, or the vessels that leave it."""
    mask = ellipse()
    mask[60:, 46 : 46 + width] = True
    mask[2:10, 2:10] = True
    found = outline_of(mask)
    assert dice(found, ellipse()) > 0.94
    assert not found[80:].any()


def test_border_that_is_not_visible_says_nothing() -> None:
    """A disc at the edge of the field is not taken for a narrower one."""
    valid = np.broadcast_to(COLUMNS >= 40, (SIDE, SIDE)).copy()
    found = outline_of(ellipse(), valid=valid)
    assert dice(found & valid, ellipse() & valid) > 0.96


@pytest.mark.parametrize("mask", [ellipse(rx=1.5, ry=1.5), EVERYWHERE])
def test_mask_without_a_visible_shape_is_unchanged(mask: Mask) -> None:
    np.testing.assert_array_equal(outline_of(mask), mask)


def test_middle_of_a_crescent_is_on_it() -> None:
    crescent = ellipse() & ~ellipse(x=58)
    found = outline_of(crescent)
    assert found.any()
    assert (found & crescent).sum() > 0.5 * found.sum()

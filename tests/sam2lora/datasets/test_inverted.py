"""Masks that are drawn around their target are recognised, right ones are not."""

import numpy as np
import pytest

from sam2lora.datasets.inverted import IGNORED, looks_inverted, needs_field

ROWS, COLUMNS = np.mgrid[:90, :120]
FIELD = np.hypot(ROWS - 45, COLUMNS - 60) < 44  # 56 % of the image
SPOT = np.hypot(ROWS - 45, COLUMNS - 80) < 8
LESIONS = FIELD & (COLUMNS % 9 == 0)


@pytest.mark.parametrize("target", ["vessel", "disc", "cup", "lesion"])
@pytest.mark.parametrize("mask", [SPOT, LESIONS], ids=["spot", "lesions"])
def test_masks_and_their_inverses_are_told_apart(target: str, mask: np.ndarray) -> None:
    assert not looks_inverted(mask, target, field=FIELD)
    assert looks_inverted(~mask, target)
    assert looks_inverted(~mask, target, field=FIELD)


def test_inverse_within_the_field_needs_the_field() -> None:
    mask = FIELD & ~SPOT
    assert not looks_inverted(mask, "disc")
    assert needs_field(mask)
    assert looks_inverted(mask, "disc", field=FIELD)
    assert not needs_field(SPOT)


def test_crop_of_a_large_disc_is_right() -> None:
    disc = np.hypot(ROWS - 45, (COLUMNS - 60) * 0.75) < 38
    assert disc.mean() > 0.5
    assert not looks_inverted(disc, "disc", field=np.ones_like(disc))


def test_ignored_pixels_may_be_at_the_border() -> None:
    assert not looks_inverted(~FIELD | (ROWS > 40), IGNORED)


def test_field_of_view_covers_the_middle() -> None:
    assert looks_inverted(~FIELD, None)
    assert not looks_inverted(FIELD, None)

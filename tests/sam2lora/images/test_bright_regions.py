"""What is lit at several thresholds, and which parts of it count."""

import numpy as np

from sam2lora.images.aperture import cut_disc
from sam2lora.images.bright_regions import bright_regions, closed, is_rectangle


def drawn(*parts: tuple[np.ndarray, int]) -> np.ndarray:
    light = np.full((200, 400), 3, np.uint8)
    for mask, level in parts:
        light[mask] = level
    return light


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((200, 400), bool)
    mask[top:bottom, left:right] = True
    return mask


DISC = cut_disc((100, 100, 90), (200, 400))


def test_holes_are_filled_and_labels_left_out() -> None:
    light = drawn((DISC, 120), (box(80, 110, 80, 110), 3), (box(5, 15, 300, 390), 255))
    for region in bright_regions(light):
        np.testing.assert_array_equal(region.whole, DISC)
        np.testing.assert_array_equal(region.largest, DISC)
        assert region.step == 117


def test_all_large_parts_count_but_a_panel_beside_a_field() -> None:
    other = cut_disc((300, 100, 80), (200, 400))
    two = next(bright_regions(drawn((DISC, 120), (other, 100))))
    np.testing.assert_array_equal(two.whole, DISC | other)
    panel = next(bright_regions(drawn((DISC, 120), (box(0, 200, 210, 399), 200))))
    np.testing.assert_array_equal(panel.whole, DISC)
    alone = next(bright_regions(drawn((box(20, 180, 20, 300), 100))))
    assert is_rectangle(alone.whole)
    assert not is_rectangle(DISC)


def test_shading_and_uniform_light_are_no_regions() -> None:
    slope = np.tile(np.linspace(40, 250, 400).astype(np.uint8), (200, 1))
    assert not any(region.is_sharp() for region in bright_regions(slope))
    assert list(bright_regions(np.full((200, 400), 90, np.uint8))) == []


def test_notches_are_closed_and_gaps_filled_but_nothing_grows() -> None:
    region = box(20, 180, 40, 360)
    notched = region & ~box(20, 60, 198, 202) & ~box(100, 120, 100, 130)
    assert not (closed(notched) & ~region).any()
    assert (region & ~closed(notched)).sum() <= 8  # at the mouth of a notch
    whole = np.ones((200, 400), bool)
    np.testing.assert_array_equal(closed(whole), whole)

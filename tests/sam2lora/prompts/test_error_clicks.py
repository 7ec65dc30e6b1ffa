"""Simulated clicks are where a prediction errs."""

import numpy as np

from sam2lora.prompts.error_clicks import largest_errors

SHAPE = (40, 60)


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_largest_errors_come_first_with_their_kind() -> None:
    reference = box(5, 15, 5, 25)
    prediction = (reference & ~box(5, 15, 5, 10)) | box(20, 39, 30, 59)
    false, missed = largest_errors(prediction, reference, 6)
    assert (false.area, false.missed) == (19 * 29, False)
    assert (missed.area, missed.missed) == (50, True)
    assert largest_errors(prediction, reference, 1)[0].area == false.area


def test_click_is_in_the_middle_and_asks_for_the_right_label() -> None:
    reference = box(10, 21, 10, 41)
    (region,) = largest_errors(np.zeros(SHAPE, bool), reference, 6)
    click = region.click()
    assert click.positive
    assert click.y == 15
    assert 15 <= click.x <= 35
    (region,) = largest_errors(reference, np.zeros(SHAPE, bool), 6)
    assert not region.click().positive


def test_click_at_the_border_of_the_image_is_not_on_the_edge_of_its_region() -> None:
    (region,) = largest_errors(np.zeros(SHAPE, bool), box(0, 9, 0, 9), 6)
    assert (region.click().x, region.click().y) == (4, 4)


def test_random_click_is_inside_and_depends_on_the_seed_alone() -> None:
    reference = box(10, 30, 10, 50)
    (region,) = largest_errors(np.zeros(SHAPE, bool), reference, 6)
    clicks = [region.click(np.random.default_rng(seed)) for seed in (1, 1, *range(2, 20))]
    assert clicks[0] == clicks[1]
    assert len(set(clicks)) > 10
    assert all(reference[int(click.y), int(click.x)] for click in clicks)


def test_one_pixel_can_be_clicked() -> None:
    (region,) = largest_errors(np.zeros(SHAPE, bool), box(7, 8, 9, 10), 6)
    for rng in (None, np.random.default_rng(0)):
        assert (region.click(rng).x, region.click(rng).y) == (9, 7)


def test_errors_outside_the_valid_pixels_do_not_count() -> None:
    reference = box(0, 40, 0, 60)
    assert largest_errors(reference, reference, 6) == []
    (region,) = largest_errors(np.zeros(SHAPE, bool), reference, 6, valid=box(0, 5, 0, 5))
    assert region.area == 25

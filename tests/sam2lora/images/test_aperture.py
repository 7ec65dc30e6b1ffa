"""Circles that are fitted to borders, and whether they are all that is lit."""

import numpy as np
import pytest

from sam2lora.images.aperture import border_of, cut_disc, explains, fit_circle, straight_cuts

CIRCLE = (100.0, 90.0, 80.0)


def test_circle_is_fitted_to_its_border() -> None:
    disc = cut_disc(CIRCLE, (200, 220))
    support, circle = fit_circle(border_of(disc), disc.shape) or pytest.fail("no circle")
    assert support > 0.97
    np.testing.assert_allclose(circle, CIRCLE, atol=0.6)


def test_straight_line_and_no_border_have_no_circle() -> None:
    half = np.zeros((200, 220), bool)
    half[:90] = True
    assert fit_circle(border_of(half), half.shape) is None
    assert fit_circle(np.zeros((0, 2)), half.shape) is None


def test_border_is_without_the_edges_of_the_image() -> None:
    half = np.zeros((50, 60), bool)
    half[:, :30] = True
    border = border_of(half)
    np.testing.assert_allclose(border[:, 0], 29.5)
    assert not len(border_of(np.ones((50, 60), bool)))


def test_lines_that_are_cut_off() -> None:
    cut = cut_disc(CIRCLE, (200, 220), (30, 40, 0, 35))
    assert not cut[:30].any()
    assert not cut[160:].any()
    assert straight_cuts(cut, CIRCLE) == (30, 40, 0, 0)  # the disc ends before the right cut
    assert explains(CIRCLE, border_of(cut), cut, cut)


def test_circle_explains_what_is_lit_or_not() -> None:
    disc = cut_disc(CIRCLE, (200, 220))
    other = cut_disc((150, 110, 80), (200, 220))
    border = border_of(disc)
    assert explains(CIRCLE, border, disc, disc)
    assert not explains(CIRCLE, border[:200], disc, disc)
    assert not explains(CIRCLE, border, disc, disc | other)
    faded = disc.copy()
    faded[:, 50:150] &= (np.indices((200, 220)).sum(axis=0) % 2 == 0)[:, 50:150]
    assert not explains(CIRCLE, border, disc, faded)
    label = disc.copy()
    label[2:12, 190:215] = True
    assert explains(CIRCLE, border, disc, label)

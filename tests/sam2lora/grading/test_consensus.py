"""Masks of several graders become one."""

import sys

import numpy as np
import pytest

from sam2lora.errors import GeometryError, SessionError
from sam2lora.grading.consensus import majority, resolve, staple
from sam2lora.types import Mask


def disk(row: int, column: int, radius: int = 12) -> Mask:
    rows, columns = np.ogrid[:60, :70]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def test_majority_is_what_more_than_half_drew():
    a, b, c = disk(30, 30), disk(30, 34), disk(34, 30)
    np.testing.assert_array_equal(majority([a, b, c]), (a & b) | (a & c) | (b & c))
    np.testing.assert_array_equal(majority([a, b, c, c & False]), a & b & c)


def test_two_graders_have_no_majority():
    with pytest.raises(SessionError, match="needs masks of 3 graders, and there are 2"):
        majority([disk(30, 30), disk(30, 30)])


def test_staple_trusts_those_who_agree():
    pytest.importorskip("SimpleITK")
    good = [disk(30, 30), disk(30, 31), disk(31, 30)]
    careless = disk(38, 40, 14)
    joined = staple([*good, careless])
    overlap = 2 * (joined & good[0]).sum() / (joined.sum() + good[0].sum())
    assert overlap > 0.9
    assert not (joined & ~np.logical_or.reduce([*good, careless])).any()


def test_staple_does_not_depend_on_what_nobody_drew():
    pytest.importorskip("SimpleITK")
    masks = [disk(30, 30), disk(30, 33), disk(33, 30)]
    wide = [np.pad(mask, 300) for mask in masks]
    np.testing.assert_array_equal(staple(wide)[300:-300, 300:-300], staple(masks))


def test_staple_without_a_likely_pixel_is_refused(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("SimpleITK")
    with pytest.raises(SessionError, match="hardly overlap"):
        staple([disk(12, 12, 4), disk(12, 50, 4), disk(45, 30, 4)])


def test_staple_of_the_same_masks_is_that_mask_without_simpleitk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    empty = np.zeros((4, 4), bool)
    assert not staple([empty, empty]).any()
    np.testing.assert_array_equal(staple([disk(9, 9), disk(9, 9)]), disk(9, 9))
    with pytest.raises(SessionError, match=r"pip install 'napari-sam2lora\[grading\]'"):
        staple([disk(9, 9), disk(9, 10)])
    with pytest.raises(SessionError, match="two graders or more"):
        staple([empty])


def test_choice_names_a_mask():
    masks = {"anna": disk(30, 30), "ben": disk(30, 40)}
    np.testing.assert_array_equal(resolve("ben", masks), masks["ben"])
    np.testing.assert_array_equal(resolve("painted", masks, painted=disk(1, 1)), disk(1, 1))
    with pytest.raises(SessionError, match="Nothing was painted"):
        resolve("painted", masks)
    with pytest.raises(SessionError, match="There is no mask 'eve'"):
        resolve("eve", masks)
    with pytest.raises(GeometryError, match="differ in size"):
        resolve("staple", {"anna": disk(1, 1), "ben": np.ones((2, 2), bool)})

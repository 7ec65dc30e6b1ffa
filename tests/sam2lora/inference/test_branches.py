"""Branches of drawn trees, added and removed by one click."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference.branches import branch_at, correct_branch, find_branch
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.types import Mask

SIDE = 240
LEVEL = 0.6


def strip(first: tuple[int, int], last: tuple[int, int], *, radius: float) -> Mask:
    """Draw a straight piece of a vessel between two pixels (row, column)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    start, way = np.array(first, float), np.subtract(last, first)
    share = ((rows - start[0]) * way[0] + (columns - start[1]) * way[1]) / (way @ way)
    share = share.clip(0, 1)
    return np.hypot(rows - start[0] - share * way[0], columns - start[1] - share * way[1]) <= radius


TRUNK = strip((20, 60), (220, 60), radius=4)
LOW, HIGH = strip((60, 60), (60, 190), radius=2), strip((160, 60), (160, 190), radius=2)
TWIG = strip((60, 130), (110, 190), radius=2)  # forks from LOW


def margins(*, faint: Mask, seen: Mask) -> NDArray[np.float32]:
    """Return logits of a tree of which a part is predicted, and another too faint."""
    smooth = ndimage.gaussian_filter(np.where(faint, 4.0, 0.0), 1) - 6
    return np.where(seen, 4, smooth).astype(np.float32)


def test_missed_branch_is_added_from_its_end_to_the_trunk() -> None:
    found, path = find_branch(margins(faint=LOW, seen=TRUNK), (60, 188))
    missing = LOW & ~TRUNK
    assert (found & missing).sum() > 0.55 * missing.sum()  # no wider than it is clearly seen
    assert (found & ~ndimage.binary_dilation(LOW, iterations=2) & ~TRUNK).sum() == 0
    assert (np.abs(path[:, 0] - 60) <= 1).all()


def test_path_follows_the_branch_and_not_the_shortest_way() -> None:
    around = LOW | strip((60, 190), (110, 190), radius=2)  # an elbow; straight down is a gap
    gap = margins(faint=around, seen=TRUNK)
    found, _ = find_branch(gap, (108, 190))
    assert found[60, 120]
    assert not found[108, 120]


def test_branch_is_as_wide_as_the_probabilities_show_it() -> None:
    widths = []
    for radius in (1, 3):
        faint = strip((60, 60), (60, 190), radius=radius)
        found, _ = find_branch(margins(faint=faint, seen=TRUNK), (60, 180))
        widths.append(int(found[:, 120].sum()))
    assert widths[0] < widths[1]


@pytest.mark.parametrize("seen", [np.zeros_like(TRUNK), TRUNK])
def test_click_in_the_mask_or_without_one_adds_no_path(seen: Mask) -> None:
    _, path = find_branch(margins(faint=LOW, seen=seen), (100, 60))
    np.testing.assert_array_equal(path, [(100, 60)])


def test_false_branch_is_removed_up_to_its_fork() -> None:
    tree = TRUNK | LOW | HIGH
    removed = branch_at(tree, (60, 150))
    assert (removed & LOW & ~TRUNK).sum() > 0.95 * (LOW & ~TRUNK).sum()
    assert not (removed & (TRUNK | HIGH)).any()


def test_twig_is_removed_and_the_branch_that_it_leaves_stays() -> None:
    removed = branch_at(TRUNK | LOW | TWIG, (100, 178))
    assert not (removed & (TRUNK | LOW)).any()
    assert (removed & TWIG).sum() > 0.85 * (TWIG & ~LOW).sum()


def test_click_off_the_mask_removes_nothing() -> None:
    assert not branch_at(TRUNK, (10, 200)).any()


def test_piece_without_forks_is_removed_whole() -> None:
    apart = strip((200, 120), (200, 200), radius=2)
    np.testing.assert_array_equal(branch_at(TRUNK | apart, (200, 150)), apart)


@pytest.mark.parametrize("threshold", [0.1, 0.55, 0.95])
def test_clicked_pixel_is_on_its_side_and_the_rest_keeps_its_bits(threshold: float) -> None:
    field = field_of_view_from_mask(np.ones((SIDE, SIDE), np.bool_))
    prepared = PreparedImage(np.zeros((SIDE, SIDE, 3), np.uint8), field, "drawn")
    values = np.where(TRUNK | HIGH, 0.99, np.where(LOW, 0.05, 0.001)).astype(np.float32)
    added = correct_branch(prepared, values, PointPrompt(100, 60), threshold=threshold)
    assert added[60, 100] >= threshold
    assert ((added != values) <= ((values < threshold) & (added >= threshold))).all()
    both = correct_branch(
        prepared, added, PointPrompt(150, 160, positive=False), threshold=threshold
    )
    assert both[160, 150] < threshold
    assert ((both != added) <= HIGH).all()
    # What was added is connected to the tree.
    labels, _ = ndimage.label(added >= threshold, np.ones((3, 3)))
    assert labels[60, 100] == labels[100, 60]

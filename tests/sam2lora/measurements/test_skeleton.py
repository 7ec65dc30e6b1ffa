"""Skeletons of lines, circles and fractals whose measures are known, and beside skan's."""

import numpy as np
import pytest
from skimage.draw import circle_perimeter, line

from sam2lora.measurements.skeleton import (
    Skeleton,
    mean_tortuosity,
    median_tortuosity,
    shortest_segment,
)

SHAPE = (400, 400)


def lines(*ends: tuple[int, int, int, int], width: int = 3) -> np.ndarray:
    """Draw lines from (x, y) to (x, y)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    mask = np.zeros(SHAPE, bool)
    for x0, y0, x1, y1 in ends:
        along = np.array([x1 - x0, y1 - y0], float)
        length = np.hypot(*along)
        share = np.clip(((x - x0) * along[0] + (y - y0) * along[1]) / length**2, 0, 1)
        mask |= np.hypot(x - x0 - share * along[0], y - y0 - share * along[1]) <= width / 2
    return mask


def arc(radius: float, *, width: float = 3) -> np.ndarray:
    """Draw half a circle."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (np.abs(np.hypot(x - 200, y - 200) - radius) <= width / 2) & (y <= 200)


def test_length_of_straight_lines() -> None:
    assert Skeleton(lines((50, 100, 350, 100))).length == pytest.approx(300, abs=3)
    assert Skeleton(lines((50, 50, 350, 350))).length == pytest.approx(300 * np.sqrt(2), abs=4)


@pytest.mark.parametrize("tilt", [0, 30, 90, 130, 200])
def test_a_straight_segment_has_tortuosity_1(tilt: int) -> None:
    segments = Skeleton(lines((50, 100, 350, 100 + tilt))).segments(50)
    assert len(segments) == 1
    assert segments[0].tortuosity == pytest.approx(1, abs=0.004)


def test_half_a_circle_has_tortuosity_half_pi() -> None:
    (segment,) = Skeleton(arc(120)).segments(50)
    assert segment.tortuosity == pytest.approx(np.pi / 2, rel=0.015)
    assert segment.chord == pytest.approx(240, abs=5)
    assert segment.points[:, 1].min() == pytest.approx(80, abs=2)


def test_mean_is_weighted_by_length_and_median_is_not() -> None:
    segments = Skeleton(arc(120) | lines((50, 300, 350, 300)) | lines((50, 350, 150, 350)))
    found = segments.segments(50)
    assert len(found) == 3
    lengths = [one.length for one in found]
    expected = np.average([one.tortuosity for one in found], weights=lengths)
    assert mean_tortuosity(found) == pytest.approx(expected)
    assert median_tortuosity(found) == pytest.approx(1, abs=0.01)
    assert mean_tortuosity([]) is None
    assert median_tortuosity([]) is None


def test_branch_points_and_segments_of_a_tree() -> None:
    tree = lines((200, 380, 200, 250), (200, 250, 120, 120), (200, 250, 290, 120))
    assert Skeleton(tree).branch_points == 1
    assert len(Skeleton(tree).segments(20)) == 3
    crossing = lines((50, 200, 350, 200), (200, 50, 200, 350), width=1)
    assert Skeleton(crossing).branch_points == 1
    assert len(Skeleton(crossing).segments(20)) == 4


def test_closed_ring_has_a_length_and_no_segment() -> None:
    ring = np.zeros(SHAPE, bool)
    ring[circle_perimeter(200, 200, 100)] = True
    skeleton = Skeleton(ring)
    assert skeleton.length == pytest.approx(2 * np.pi * 100, rel=0.08)
    assert skeleton.segments(20) == []


@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_nearly_nothing_is_measured_too(pixels: int) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[100, 100 : 100 + pixels] = True
    skeleton = Skeleton(mask)
    assert skeleton.length == max(0, pixels - 1)
    assert skeleton.branch_points == 0
    assert skeleton.segments(5) == []


def test_fractal_dimension_of_a_line_and_of_sierpinskis_triangle() -> None:
    flat = np.zeros((512, 512), bool)
    flat[line(256, 0, 256, 511)] = True
    assert Skeleton(flat).fractal_dimension(512) == pytest.approx(1, abs=0.01)
    y, x = np.ogrid[:512, :512]
    triangle = Skeleton(flat)
    triangle.pixels = np.argwhere((x & y) == 0)
    assert triangle.fractal_dimension(512) == pytest.approx(np.log2(3), abs=0.01)
    triangle.pixels = np.argwhere(np.ones((512, 512), bool))
    assert triangle.fractal_dimension(512) == pytest.approx(2, abs=0.01)


def test_fractal_dimension_is_unknown_without_pixels_or_resolution() -> None:
    assert Skeleton(np.zeros(SHAPE, bool)).fractal_dimension(400) is None
    assert Skeleton(arc(120)).fractal_dimension(100) is None
    assert shortest_segment(500) == 10


def test_length_branches_and_segments_agree_with_skan(vessel_mask: np.ndarray) -> None:
    skan = pytest.importorskip("skan")
    from skimage.morphology import skeletonize

    theirs = skan.Skeleton(skeletonize(vessel_mask))
    table = skan.summarize(theirs, separator="_")
    ours = Skeleton(vessel_mask)
    assert ours.length == pytest.approx(table["branch_distance"].sum())
    long = table[(table["branch_distance"] > 30) & (table["branch_type"] != 3)]
    # Ours end beside the junctions and are smoothed: they are up to a tenth shorter.
    assert (table["branch_distance"] > 36).sum() <= len(ours.segments(30)) <= len(long)
    arc_by_chord = long["branch_distance"] / long["euclidean_distance"]
    found = [one.tortuosity for one in ours.segments(30)]
    # skan counts steps of 1 and √2, which make straight courses up to 8 % longer.
    assert 0.93 < np.median(found) / arc_by_chord.median() <= 1.005

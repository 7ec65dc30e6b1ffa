"""The skeleton of the vessels and its graph: length, branch points, tortuosity, fractal dimension.

Skeleton and graph are scikit-image's, paths and trees in it scipy's.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from skimage.graph import pixel_graph
from skimage.morphology import skeletonize

from sam2lora.types import Mask

_SMOOTH = 9  # points of a path over which its course is a mean; a straight one is then straight
_SHORTEST = 0.02  # of the field's diameter; shorter segments have no tortuosity to speak of
_BOXES = tuple(2.0**-power for power in range(2, 8))  # sides, in diameters of the field
_SHIFTS = ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5))


@dataclass(frozen=True, eq=False)
class Segment:
    """A vessel between two branch points, or ends.

    Attributes
    ----------
    points
        `(N, 2)` its course as (x, y) in native pixels, from end to end, smoothed.
    length
        Length of the course in pixels.
    chord
        Distance of its ends in pixels.
    """

    points: NDArray[np.float64]
    length: float
    chord: float

    @property
    def tortuosity(self) -> float:
        """Length by chord, 1 for a straight one (Hart et al., Int J Med Inform 53:239, 1999)."""
        return self.length / self.chord


class Skeleton:
    """The skeleton of a vessel mask.

    Parameters
    ----------
    vessel
        `(H, W)` bool.

    Attributes
    ----------
    pixels
        `(N, 2)` its pixels as (row, column).
    """

    def __init__(self, vessel: Mask) -> None:
        thin = skeletonize(vessel)
        self.pixels = np.argwhere(thin)
        if len(self.pixels) > 1:
            graph, nodes = pixel_graph(thin, connectivity=2)
            self._graph = sparse.csr_array(graph)
            self.pixels = np.stack(np.unravel_index(nodes, vessel.shape), axis=1)
        else:
            self._graph = sparse.csr_array((len(self.pixels), len(self.pixels)))
        # A corner's pixel sees its neighbour's neighbour; only more than two parts are a branch.
        self._junction = np.diff(self._graph.indptr) > 2

    @cached_property
    def length(self) -> float:
        """Length in pixels: steps of 1 and √2, of each junction those that connect it."""
        inner = self._graph[self._junction][:, self._junction]
        tree = csgraph.minimum_spanning_tree(inner)
        return float((self._graph.sum() - inner.sum()) / 2 + tree.sum())

    @cached_property
    def branch_points(self) -> int:
        """Number of junctions: groups of pixels with more than two neighbours."""
        if not self._junction.any():
            return 0
        inner = self._graph[self._junction][:, self._junction]
        return int(csgraph.connected_components(inner, directed=False)[0])

    def segments(self, shortest: float) -> list[Segment]:
        """Return the segments between junctions whose course is at least `shortest` pixels long."""
        kept = np.flatnonzero(~self._junction)
        graph = self._graph[kept][:, kept]
        count, part = csgraph.connected_components(graph, directed=False)
        members = np.split(kept[np.argsort(part, kind="stable")], np.bincount(part).cumsum()[:-1])
        found = []
        for pixels in members if count else []:
            if len(pixels) > 1 and len(pixels) * np.sqrt(2) >= shortest:
                segment = self._segment(pixels)
                if segment is not None and segment.length >= shortest:
                    found.append(segment)
        return found

    def _segment(self, pixels: NDArray[np.intp]) -> Segment | None:
        """Return the course of a part without junctions; None of a closed ring."""
        graph = self._graph[pixels][:, pixels]
        ends = np.flatnonzero(np.diff(graph.indptr) < 2)
        if not len(ends):
            return None
        order = csgraph.depth_first_order(
            graph, int(ends[0]), directed=False, return_predecessors=False
        )
        course = self.pixels[pixels[order], ::-1].astype(np.float64)
        window = min(_SMOOTH, 2 * ((len(course) - 1) // 2) + 1)
        smooth = ndimage.uniform_filter1d(course, window, axis=0, mode="nearest")
        smooth[0], smooth[-1] = course[0], course[-1]
        chord = float(np.hypot(*(smooth[-1] - smooth[0])))
        length = float(np.hypot(*np.diff(smooth, axis=0).T).sum())
        return Segment(smooth, length, chord) if chord else None

    def fractal_dimension(self, diameter: float) -> float | None:
        """Compute the box-counting dimension: how the number of boxes on it grows as they shrink.

        Liew et al., Ophthalmology 115:1951, 2008. Boxes have sides of 1/4 to 1/128 of `diameter`;
        their grid is shifted by half a box each way, and the least number counts.

        Parameters
        ----------
        diameter
            Diameter of the field of view in pixels.

        Returns
        -------
        1 for a line, up to 2; None of an empty skeleton, or if the smallest box is below a pixel.
        """
        sides = diameter * np.array(_BOXES)
        if not len(self.pixels) or sides.min() < 1:
            return None
        counts = [min(self._boxes(side, shift) for shift in _SHIFTS) for side in sides]
        return float(np.polyfit(np.log(1 / sides), np.log(counts), 1)[0])

    def _boxes(self, side: float, shift: tuple[float, float]) -> int:
        """Count the boxes of a grid that hold a pixel; `shift` is in boxes."""
        rows, columns = (self.pixels / side + shift).astype(np.int64).T
        return len(np.unique(rows * (columns.max() + 1) + columns))


def shortest_segment(diameter: float) -> float:
    """Return the length in pixels from which a segment's tortuosity counts: 2 % of the field."""
    return _SHORTEST * diameter


def mean_tortuosity(segments: list[Segment]) -> float | None:
    """Return the mean tortuosity, weighted by length; None without segments."""
    if not segments:
        return None
    lengths = [segment.length for segment in segments]
    return float(np.average([segment.tortuosity for segment in segments], weights=lengths))


def median_tortuosity(segments: list[Segment]) -> float | None:
    """Return the median tortuosity; None without segments."""
    return float(np.median([one.tortuosity for one in segments])) if segments else None

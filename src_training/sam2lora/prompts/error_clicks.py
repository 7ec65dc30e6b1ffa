"""Simulate the clicks of a user who corrects a prediction: where it errs, one error at a time.

The protocol is that of interactive segmentation (RITM, Sofiiuk et al., 2021; SimpleClick, Liu et
al., 2023): the next click is in the largest erring region, at the pixel farthest from its edge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.types import Mask

_TOUCHING = np.ones((3, 3), dtype=np.bool_)  # 8-connectivity
_INNER = 0.5  # a hand clicks no closer to the edge than this share of the largest depth


@dataclass(frozen=True, eq=False)
class ErrorRegion:
    """Connected pixels that are all missed, or all predicted by mistake.

    Attributes
    ----------
    rows, columns
        The part of the image around it.
    mask
        `(h, w)` bool in that part: its pixels.
    missed
        Whether its pixels are on the target; otherwise they are off it.
    """

    rows: slice
    columns: slice
    mask: Mask
    missed: bool

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())

    def click(self, rng: np.random.Generator | None = None) -> PointPrompt:
        """Return a click that corrects it: on the target where it was missed, else off it.

        Parameters
        ----------
        rng
            Random generator, for a random pixel of the inner part, as a hand would click. None: the
            pixel farthest from the edge.
        """
        # The edge of the image is no edge of the region, but the part around it is cut tightly.
        depth = ndimage.distance_transform_edt(np.pad(self.mask, 1))[1:-1, 1:-1]
        if rng is None:
            pixel = int(depth.argmax())
        else:
            inner = np.flatnonzero(depth >= max(1.0, _INNER * depth.max()))
            pixel = int(rng.choice(inner))
        row, column = divmod(pixel, self.mask.shape[1])
        return PointPrompt(
            float(column + self.columns.start), float(row + self.rows.start), positive=self.missed
        )


def largest_errors(
    prediction: Mask, reference: Mask, count: int, *, valid: Mask | None = None
) -> list[ErrorRegion]:
    """Return the largest erring regions, largest first.

    Parameters
    ----------
    prediction, reference
        `(H, W)` bool.
    count
        How many regions to return at most.
    valid
        `(H, W)` bool: where errors count, such as the field of view; by default everywhere.
    """
    counting = True if valid is None else valid
    return list(
        islice(
            _by_area((reference & ~prediction & counting, prediction & ~reference & counting)),
            count,
        )
    )


def sample_region(regions: Sequence[ErrorRegion], rng: np.random.Generator) -> ErrorRegion:
    """Return one of several erring regions, with a probability in proportion to its area."""
    areas = np.array([region.area for region in regions], dtype=float)
    return regions[int(rng.choice(len(regions), p=areas / areas.sum()))]


def _by_area(errors: tuple[Mask, Mask]) -> Iterator[ErrorRegion]:
    """Yield the regions of the missed and of the false pixels, largest first."""
    labelled = [ndimage.label(mask, _TOUCHING)[0] for mask in errors]
    areas = [np.bincount(labels.ravel()) for labels in labelled]
    places = [ndimage.find_objects(labels) for labels in labelled]
    numbers: NDArray[np.int64] = np.concatenate([np.arange(1, len(area)) for area in areas])
    kinds = np.repeat([0, 1], [len(area) - 1 for area in areas])
    sizes = np.concatenate([area[1:] for area in areas])
    for index in np.argsort(-sizes, kind="stable"):
        kind, number = int(kinds[index]), int(numbers[index])
        rows, columns = places[kind][number - 1]
        mask = labelled[kind][rows, columns] == number
        yield ErrorRegion(rows, columns, mask, missed=kind == 0)

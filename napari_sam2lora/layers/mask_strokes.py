"""What was painted into a mask since it was saved, stroke by stroke, as arrays and back.

napari keeps its undo steps to itself, so each stroke is what it changed in the mask. Painting the
strokes again gives the same mask, and the same steps to undo.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam2lora.layers.insertion import set_visible

STEPS = 100
"""Strokes that are kept, as many as napari can undo; older ones become one."""

_NOW, _WHERE, _VALUES, _LENGTHS = "now", "where", "values", "lengths"


class MaskStrokes:
    """The strokes of one mask since it was saved.

    Parameters
    ----------
    values
        `(H, W)` labels as they were then; they are copied.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._last = values.copy()
        self._where: list[NDArray[np.uint32]] = []
        self._values: list[NDArray[Any]] = []

    def add(self, values: NDArray[Any]) -> None:
        """Add a stroke that has just ended.

        Parameters
        ----------
        values
            `(H, W)` labels as they are now.
        """
        last = self._last.reshape(-1)
        where = np.flatnonzero(values.reshape(-1) != last)
        if not len(where):
            return
        last[where] = values.reshape(-1)[where]
        self._where.append(where.astype(np.uint32))
        self._values.append(last[where])
        if len(self._where) > STEPS:
            self._join_oldest()

    def changed(self, values: NDArray[Any]) -> bool:
        """Check whether a mask is another one than it was, or was painted in at all."""
        return bool(self._where) or not np.array_equal(self._last, values)

    def arrays(self, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return the strokes and what the mask is now, which a stroke may be changing.

        Parameters
        ----------
        values
            `(H, W)` labels as they are now; they are copied.
        """
        empty = np.zeros(0, np.uint32), np.zeros(0, self._last.dtype)
        return {
            _NOW: values.copy(),
            _WHERE: np.concatenate([empty[0], *self._where]),
            _VALUES: np.concatenate([empty[1], *self._values]),
            _LENGTHS: np.array([len(where) for where in self._where], np.int64),
        }

    def _join_oldest(self) -> None:
        """Make one stroke of the oldest two; where both painted, the newer one counts."""
        newer_first = np.concatenate(self._where[1::-1])
        where, first = np.unique(newer_first, return_index=True)
        self._values[:2] = [np.concatenate(self._values[1::-1])[first]]
        self._where[:2] = [where]


def paint_again(layer: Labels, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Paint the strokes of a mask again, each as one step that can be undone.

    Parameters
    ----------
    layer
        The layer of the mask, as it was saved.
    arrays
        From `MaskStrokes.arrays`.

    Returns
    -------
    Whether they are those of a mask of this size; otherwise nothing is painted.
    """
    if not {_NOW, _WHERE, _VALUES, _LENGTHS} <= arrays.keys():
        return False
    now, shape = arrays[_NOW], np.asarray(layer.data).shape
    lengths, where, values = arrays[_LENGTHS], arrays[_WHERE], arrays[_VALUES]
    whole = int(lengths.sum()) == len(where) == len(values)
    if now.shape != shape or not whole or (len(where) and int(where.max()) >= now.size):
        return False
    set_visible(layer, True)  # napari slices no hidden layer, and fails to redraw it
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        layer.data_setitem(np.unravel_index(where[start:end], shape), values[start:end])
    differs = np.flatnonzero(np.asarray(layer.data) != now)
    if len(differs):
        layer.data_setitem(np.unravel_index(differs, shape), now.reshape(-1)[differs])
    return True

"""Prompts as SAM 2 takes them: points, boxes and previous masks, batched, in network-input pixels.

Pixel centers are at integers, as in the rest of this project and as SAM 2 expects them (it adds the
half pixel itself). Native coordinates are mapped by `Window.to_network` first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from sam2lora.errors import GeometryError
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.transforms.windows import Window

MASK_LOGIT = 10.0
"""Logit of a painted mask: this value inside, its negative outside, as in SAM 2."""


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """B prompts; each can have points, a box and a previous mask, or nothing.

    All prompts of one batch have the same number of points, and all or none have a box or a mask:
    padding a shorter prompt would change the prediction of SAM 2, so nothing is padded here.

    Attributes
    ----------
    points
        `(B, N, 2)` float32, (x, y) in network-input pixels, pixel centers at integers. N may be 0.
    labels
        `(B, N)` integers: 1 for positive points, 0 for negative points.
    boxes
        `(B, 4)` float32, (x0, y0, x1, y1) in the same pixels, or None.
    mask_logits
        `(B, 1, h, w)` float, logits of a previous prediction at the size of the decoder's output,
        or None. `mask_to_logits` computes them from a painted mask.

    Raises
    ------
    GeometryError
        If the shapes do not match each other.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor | None = None
    mask_logits: Tensor | None = None

    def __post_init__(self) -> None:
        batch = self.points.shape[0] if self.points.ndim == 3 else -1
        if self.points.ndim != 3 or self.points.shape[-1] != 2:
            raise GeometryError(f"Points must be (B, N, 2), not {tuple(self.points.shape)}.")
        if self.labels.shape != self.points.shape[:2]:
            raise GeometryError(
                f"Each point needs one label: points {tuple(self.points.shape)}, "
                f"labels {tuple(self.labels.shape)}."
            )
        if self.boxes is not None and self.boxes.shape != (batch, 4):
            raise GeometryError(f"Boxes must be ({batch}, 4), not {tuple(self.boxes.shape)}.")
        mask = self.mask_logits
        if mask is not None and (mask.ndim != 4 or mask.shape[:2] != (batch, 1)):
            raise GeometryError(f"Masks must be ({batch}, 1, h, w), not {tuple(mask.shape)}.")

    @classmethod
    def none(cls, batch: int) -> Self:
        """Create `batch` empty prompts."""
        return cls(torch.zeros(batch, 0, 2), torch.zeros(batch, 0, dtype=torch.int64))

    @classmethod
    def single(
        cls,
        *,
        points: ArrayLike = (),
        labels: ArrayLike = (),
        box: ArrayLike | None = None,
        mask_logits: ArrayLike | None = None,
    ) -> Self:
        """Create one prompt (a batch of one) from numbers or NumPy arrays, and check the values.

        Parameters
        ----------
        points
            `(N, 2)`, (x, y) in network-input pixels.
        labels
            N integers: 1 for positive points, 0 for negative points.
        box
            (x0, y0, x1, y1) in network-input pixels.
        mask_logits
            `(h, w)` logits of a previous prediction.

        Raises
        ------
        GeometryError
            If a coordinate is not finite, a label is neither 0 nor 1, a box has its corners in the
            wrong order, or the shapes do not match.
        """
        coordinates = (
            _finite(points, "Points").reshape(-1, 2) if np.size(points) else np.zeros((0, 2))
        )
        signs = np.asarray(labels).reshape(-1)
        if not np.isin(signs, (0, 1)).all():
            raise GeometryError(f"Labels must be 1 (positive) or 0 (negative), not {labels!r}.")
        corners = None
        if box is not None:
            corners = _finite(box, "A box")
            if corners.shape != (4,) or corners[0] > corners[2] or corners[1] > corners[3]:
                raise GeometryError(
                    f"A box must be x0, y0, x1, y1 with x0 <= x1, y0 <= y1, not {box!r}."
                )
        mask = None
        if mask_logits is not None:
            mask = _finite(mask_logits, "A previous mask")
            if mask.ndim != 2:
                raise GeometryError(f"A previous mask must be (h, w), not {mask.shape}.")
        return cls(
            points=_batch(coordinates),
            labels=torch.from_numpy(signs.astype(np.int64))[None],
            boxes=None if corners is None else _batch(corners),
            mask_logits=None if mask is None else _batch(mask)[None],
        )

    @classmethod
    def cat(cls, prompts: Sequence[Self]) -> Self:
        """Concatenate prompts with the same `shape_key` into one batch.

        Raises
        ------
        GeometryError
            If there are no prompts, or they differ in their number of points or in having a box or
            a mask.
        """
        keys = {prompt.shape_key for prompt in prompts}
        if len(keys) != 1:
            raise GeometryError(f"A batch needs prompts of one kind, not of: {sorted(keys)}.")
        boxes = [prompt.boxes for prompt in prompts if prompt.boxes is not None]
        masks = [prompt.mask_logits for prompt in prompts if prompt.mask_logits is not None]
        return cls(
            points=torch.cat([prompt.points for prompt in prompts]),
            labels=torch.cat([prompt.labels for prompt in prompts]),
            boxes=torch.cat(boxes) if boxes else None,
            mask_logits=torch.cat(masks) if masks else None,
        )

    @property
    def shape_key(self) -> tuple[int, bool, bool]:
        """(Number of points, has a box, has a mask), equal for all prompts of a batch."""
        return self.points.shape[1], self.boxes is not None, self.mask_logits is not None

    @property
    def is_empty(self) -> bool:
        """Whether the prompts have no point, box or mask."""
        return self.shape_key == (0, False, False)

    def __len__(self) -> int:
        return self.points.shape[0]

    def __getitem__(self, index: int | slice) -> Self:
        """Return some of the prompts; a single index keeps the batch dimension."""
        part = batch_slice(index, len(self))
        return type(self)(
            points=self.points[part],
            labels=self.labels[part],
            boxes=None if self.boxes is None else self.boxes[part],
            mask_logits=None if self.mask_logits is None else self.mask_logits[part],
        )

    def to(self, device: torch.device | str) -> Self:
        """Return the same prompts on another device."""
        return type(self)(
            points=self.points.to(device),
            labels=self.labels.to(device),
            boxes=None if self.boxes is None else self.boxes.to(device),
            mask_logits=None if self.mask_logits is None else self.mask_logits.to(device),
        )


def in_window(prompts: Prompts, window: Window, *, mask_size: int) -> PromptBatch:
    """Map a user's prompts from native pixels to the network-input pixels of a window.

    Parameters
    ----------
    prompts
        The prompts in the window (`Prompts.within`).
    window
        The window that is the network's input.
    mask_size
        Side of the network's previous masks (`Sam2ImageModel.mask_size`).

    Returns
    -------
    A batch of one.
    """
    points = np.array([(point.x, point.y) for point in prompts.points]).reshape(-1, 2)
    corners = None if prompts.box is None else np.array(prompts.box).reshape(2, 2)
    mask = None
    if prompts.mask is not None:
        coverage = window.cut(prompts.mask.astype(np.uint8) * np.uint8(255)) / np.float32(255)
        mask = mask_to_logits(torch.from_numpy(coverage)[None, None], size=mask_size)[0, 0]
    return PromptBatch.single(
        points=window.to_network(points),
        labels=[int(point.positive) for point in prompts.points],
        box=None if corners is None else window.to_network(corners).reshape(4),
        mask_logits=None if mask is None else mask.numpy(),
    )


def mask_to_logits(mask: Tensor, *, size: int) -> Tensor:
    """Convert painted masks to logits, which the network takes as a previous mask.

    A half-covered pixel of the result gets logit 0.

    Parameters
    ----------
    mask
        `(B, 1, H, W)` bool, or float coverage in 0…1, over the network's input window.
    size
        Side of the decoder's output (`Sam2ImageModel.mask_size`).

    Returns
    -------
    `(B, 1, size, size)` float32, in -10…10.

    Raises
    ------
    GeometryError
        If the mask is not `(B, 1, H, W)`.
    """
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise GeometryError(f"Painted masks must be (B, 1, H, W), not {tuple(mask.shape)}.")
    coverage = mask.float()
    if coverage.shape[-2:] != (size, size):
        coverage = F.interpolate(coverage, size=(size, size), mode="bilinear", antialias=True)
    return (coverage * 2 - 1) * MASK_LOGIT


def batch_slice(index: int | slice, length: int) -> slice:
    """Convert a batch index to a slice, which keeps the batch dimension.

    Raises
    ------
    IndexError
        If a single index is out of range.
    """
    if isinstance(index, slice):
        return index
    position = index + length if index < 0 else index
    if not 0 <= position < length:
        raise IndexError(f"index {index} is out of range for a batch of {length}")
    return slice(position, position + 1)


def _finite(values: ArrayLike, what: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise GeometryError(f"{what} must have finite coordinates or values, not {values!r}.")
    return array


def _batch(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))[None]

"""Normalize the pixels that a network sees as SAM 2 does, and undo it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam2lora.errors import GeometryError

MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue, in 0…1, that SAM 2 subtracts."""
STD = (0.229, 0.224, 0.225)
"""Standard deviation of red, green and blue, in 0…1, that SAM 2 divides by."""


def normalize(pixels: Tensor | NDArray[np.uint8]) -> Tensor:
    """Normalize RGB images as SAM 2 does: scaled to 0…1, minus `MEAN`, divided by `STD`.

    Parameters
    ----------
    pixels
        `(…, S, S, 3)` or `(…, 3, S, S)` uint8.

    Returns
    -------
    `(…, 3, S, S)` float32, contiguous, on the device of `pixels`.

    Raises
    ------
    GeometryError
        If there is no color dimension of 3, or the values are not uint8.
    """
    values = torch.from_numpy(pixels) if isinstance(pixels, np.ndarray) else pixels
    if values.dtype != torch.uint8:
        raise GeometryError(f"Images to normalize must be uint8, not {values.dtype}.")
    if values.ndim >= 3 and values.shape[-1] == 3:
        values = values.movedim(-1, -3)
    elif values.ndim < 3 or values.shape[-3] != 3:
        raise GeometryError(
            f"Images must be (…, S, S, 3) or (…, 3, S, S), not {tuple(values.shape)}."
        )
    scaled = values.float().contiguous().div_(255)
    mean, std = (scaled.new_tensor(rgb).view(3, 1, 1) for rgb in (MEAN, STD))
    return scaled.sub_(mean).div_(std)


def denormalize(images: Tensor) -> Tensor:
    """Undo `normalize`, exactly.

    Parameters
    ----------
    images
        `(…, 3, S, S)` float, normalized.

    Returns
    -------
    `(…, 3, S, S)` uint8.
    """
    values = images.float()
    mean, std = (values.new_tensor(rgb).view(3, 1, 1) for rgb in (MEAN, STD))
    return (values * std).add_(mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)

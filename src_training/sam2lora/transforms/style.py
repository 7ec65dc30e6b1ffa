"""Exchange the colors of a training image with those of another one, as from another camera.

What is exchanged are the amplitudes of the lowest spatial frequencies, which hold a camera's color
and illumination; phases, and with them what the image shows, stay (Yang and Soatto, "FDA: Fourier
domain adaptation for semantic segmentation", CVPR 2020). The square around the field of view is
what is transformed, reduced: so low frequencies mean the same in images of every size.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.transforms.windows import Window

_SIDE = 64  # of the reduced square
_HIGHEST = 2  # frequency that is exchanged, in periods across the field of view
_LOW = (np.arange(-_HIGHEST, _HIGHEST + 1), slice(0, _HIGHEST + 1))  # in a half spectrum


@dataclass(frozen=True, eq=False)
class ImageStyle:
    """Color and illumination of an image.

    Attributes
    ----------
    spectrum
        `(5, 3, 3)` complex: the lowest frequencies, vertical and horizontal, of each channel.
    left, top, side
        The square around the field of view, in native pixels.
    """

    spectrum: NDArray[np.complex128]
    left: float
    top: float
    side: float

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], field: FieldOfView) -> Self:
        """Measure the style of an image.

        Parameters
        ----------
        pixels
            `(H, W, 3)` uint8 RGB.
        field
            Field of view; what lies beyond it is taken for its mean color.
        """
        window = Window.around(field.center, field.diameter, _SIDE)
        inside = pixels * field.mask[..., None]
        share = window.cut(field.mask.astype(np.uint8) * np.uint8(255))[..., None] / 255.0
        mean = inside.sum(axis=(0, 1)) / max(1, int(field.mask.sum()))
        reduced = window.cut(inside) + (1 - share) * mean
        spectrum = np.fft.rfft2(reduced / 255, axes=(0, 1))[_LOW]
        return cls(spectrum, window.left, window.top, window.width)

    def nbytes(self) -> int:
        """Return the size of the array in bytes."""
        return self.spectrum.nbytes


@dataclass(frozen=True, eq=False)
class StyleChange:
    """What is added to an image to give it the colors of another one.

    Attributes
    ----------
    reduced
        `(3, 64, 64)` float32, in full scales of a channel, over the square.
    left, top, side
        The square, in native pixels of the image.
    """

    reduced: Tensor
    left: float
    top: float
    side: float

    def moved(self, x: float, y: float) -> Self:
        """Return the change of a part of the image whose corner lies at `(-x, -y)`."""
        return replace(self, left=self.left + x, top=self.top + y)

    def cut(self, window: Window) -> Tensor:
        """Return what is added to a window: `(3, S, S)` float32."""
        centers = (np.arange(window.size) + 0.5) / window.size
        x = (window.left + centers * window.width - self.left) / self.side * 2 - 1
        y = (window.top + centers * window.height - self.top) / self.side * 2 - 1
        rows, columns = torch.meshgrid(
            torch.from_numpy(y).float(), torch.from_numpy(x).float(), indexing="ij"
        )
        grid = torch.stack((columns, rows), dim=-1)[None]
        change: Tensor = F.grid_sample(
            self.reduced[None], grid, padding_mode="border", align_corners=False
        )
        return change[0]


def exchange_style(own: ImageStyle, other: ImageStyle, *, strength: float = 1.0) -> StyleChange:
    """Return the change from an image's own style to another one.

    Parameters
    ----------
    own, other
        Styles of the image and of the other one.
    strength
        0…1: how far it is changed.
    """
    amplitude = np.abs(own.spectrum)
    phase = own.spectrum / np.maximum(amplitude, 1e-12)
    spectrum = np.zeros((_SIDE, _SIDE // 2 + 1, 3), dtype=complex)
    spectrum[_LOW] = phase * (np.abs(other.spectrum) - amplitude) * strength
    change = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE), axes=(0, 1))
    reduced = torch.from_numpy(change.astype(np.float32)).movedim(-1, 0).contiguous()
    return StyleChange(reduced, own.left, own.top, own.side)

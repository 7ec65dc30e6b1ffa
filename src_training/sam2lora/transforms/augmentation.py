"""Augment windows of training images as cameras, eyes and file formats vary.

Sampling is separate from applying: an `Augmentation` holds the sampled parameters, which apply to
image, mask and valid pixels alike. Light and color are in `sam2lora.transforms.intensity`.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam2lora.errors import GeometryError
from sam2lora.settings import AugmentSettings
from sam2lora.transforms.intensity import (
    Appearance,
    change_appearance,
    restyle,
    sample_appearance,
)
from sam2lora.transforms.style import StyleChange
from sam2lora.transforms.windows import Window
from sam2lora.types import Mask

_ELASTIC_POINTS = 5
"""Number of points along each side at which local shifts are sampled; smooth in between."""


@dataclass(frozen=True)
class Augmentation:
    """The parameters of augmenting one window; by default nothing changes.

    Attributes
    ----------
    flip_horizontal, flip_vertical
        Whether to flip left and right, top and bottom; applied before the rotation.
    angle
        Rotation in degrees, counterclockwise as seen on a screen.
    scale
        Magnification relative to the plain window.
    elastic
        Largest local shift, as a share of the window's side.
    appearance
        Changes of light, color and quality.
    seed
        Random seed of local shifts and noise.
    """

    flip_horizontal: bool = False
    flip_vertical: bool = False
    angle: float = 0.0
    scale: float = 1.0
    elastic: float = 0.0
    appearance: Appearance = field(default_factory=Appearance)
    seed: int = 0

    @property
    def moves(self) -> bool:
        """Whether the window is resampled after the cut; a scale alone is part of the cut."""
        return self.flip_horizontal or self.flip_vertical or self.angle != 0 or self.elastic > 0


@dataclass(frozen=True, eq=False)
class LabelledWindow:
    """A window of an image with its masks, S network pixels wide.

    Attributes
    ----------
    pixels
        `(S, S, 3)` uint8 RGB.
    mask
        `(S, S)` bool: the target.
    valid
        `(S, S)` bool: the pixels inside the image and its field of view.
    previous
        `(S, S)` uint8: a prediction of the target, where there is one.
    """

    pixels: NDArray[np.uint8]
    mask: Mask
    valid: Mask
    previous: NDArray[np.uint8] | None = None

    def nbytes(self) -> int:
        """Return the size of the arrays in bytes."""
        return self.pixels.nbytes + self.mask.nbytes + self.valid.nbytes


def sample_augmentation(settings: AugmentSettings, rng: np.random.Generator) -> Augmentation:
    """Sample the augmentation of one window.

    The same random numbers are drawn whatever is switched off, so that switching off one part does
    not change the others.
    """
    left_right, top_bottom = rng.random(2) < 0.5
    return Augmentation(
        flip_horizontal=bool(settings.flip_horizontal and left_right),
        flip_vertical=bool(settings.flip_vertical and top_bottom),
        angle=float(rng.uniform(-1, 1)) * settings.rotation,
        scale=math.exp(rng.uniform(*np.log(settings.scale))),
        elastic=float(rng.random()) * settings.elastic,
        appearance=sample_appearance(settings, rng),
        seed=int(rng.integers(2**63)),
    )


def apply_augmentation(
    augmentation: Augmentation,
    window: Window,
    pixels: NDArray[np.uint8],
    mask: Mask,
    *,
    valid: Mask | None = None,
    previous: NDArray[np.uint8] | None = None,
    style: StyleChange | None = None,
) -> LabelledWindow:
    """Cut a window out of an image and augment it.

    More than the window is cut, so that a rotation brings in the surroundings of the window. The
    scale is part of the cut, which resamples with antialiasing; flips, rotation and local shifts
    are one bicubic resampling after it (linear would blur the image and break thin vessels), and
    masks are binarised only then. With the default `Augmentation()` the result is exactly
    `window.cut` of image and masks.

    Parameters
    ----------
    augmentation
        The sampled parameters.
    window
        The window before augmentation.
    pixels
        `(H, W, 3)` uint8 RGB, the whole image.
    mask
        `(H, W)` bool: the target.
    valid
        `(H, W)` bool: the field of view; by default the whole image.
    previous
        `(H, W)` uint8: a prediction, which is moved with the image; 0 is added beyond the image.
    style
        What is added to the image to give it the colors of another one.

    Raises
    ------
    GeometryError
        If image and masks have different shapes.
    """
    shape = pixels.shape[:2]
    valid = np.ones(shape, dtype=bool) if valid is None else valid
    if mask.shape != shape or valid.shape != shape:
        raise GeometryError(
            f"The image is {shape}, the mask {mask.shape} and the valid pixels {valid.shape}; "
            "they must have the same (H, W)."
        )
    wide = _wider(window, augmentation)
    covers = [array.astype(np.uint8) * np.uint8(255) for array in (mask, valid)]
    covers += [] if previous is None else [previous]
    planes = np.dstack([wide.cut(pixels), *map(wide.cut, covers)])
    cut = torch.from_numpy(planes).movedim(-1, 0).contiguous().float()  # (5 or 6, W, W), W >= S
    generator = torch.Generator().manual_seed(augmentation.seed)
    if style is not None:
        cut[:3] = restyle(cut[:3].div_(255), cut[4] >= 127.5, style.cut(wide)).mul_(255)
    if augmentation.moves:
        grid = _grid(augmentation, window.size, wide.size, generator)
        cut = F.grid_sample(cut[None], grid, mode="bicubic", align_corners=False)[0]
    image = cut[:3].clamp_(0, 255).div_(255)
    # At least half covered; 127.5 so that a plain window agrees with `Window.cut_mask`.
    target, inside = cut[3:5] >= 127.5
    changed = change_appearance(image, inside, augmentation.appearance, generator)
    augmented = changed.movedim(0, -1).contiguous().numpy()
    moved = None if previous is None else cut[5].round_().clamp_(0, 255).byte().numpy()
    return LabelledWindow(augmented, target.numpy(), inside.numpy(), moved)


def _wider(window: Window, augmentation: Augmentation) -> Window:
    """Return the window to cut: at the sampled scale, with a margin for rotation and shifts."""
    if not augmentation.moves and augmentation.scale == 1:
        return window
    angle = math.radians(augmentation.angle)
    reach = abs(math.cos(angle)) + abs(math.sin(angle)) - 1 + 2 * augmentation.elastic
    # Whole pixels on both sides, and one more for the bicubic filter.
    margin = math.ceil(window.size / 2 * reach) + 1 if augmentation.moves else 0
    size = window.size + 2 * margin
    width, height = (
        side * size / window.size / augmentation.scale for side in (window.width, window.height)
    )
    return replace(
        window,
        left=window.left + (window.width - width) / 2,
        top=window.top + (window.height - height) / 2,
        width=width,
        height=height,
        size=size,
    )


def _grid(
    augmentation: Augmentation, size: int, wide_size: int, generator: torch.Generator
) -> Tensor:
    """Return the source of each pixel of the window in the wide cut: `(1, S, S, 2)` in -1…1."""
    angle = math.radians(augmentation.angle)
    x = size / wide_size * (-1 if augmentation.flip_horizontal else 1)
    y = size / wide_size * (-1 if augmentation.flip_vertical else 1)
    # From the window back to the image: undo the rotation, then the flips.
    theta = torch.tensor(
        [
            [x * math.cos(angle), -x * math.sin(angle), 0],
            [y * math.sin(angle), y * math.cos(angle), 0],
        ]
    )
    grid = F.affine_grid(theta[None], [1, 1, size, size], align_corners=False)
    if augmentation.elastic > 0:
        shape = (1, 2, _ELASTIC_POINTS, _ELASTIC_POINTS)
        coarse = torch.rand(shape, generator=generator) * 2 - 1
        shift = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
        largest = augmentation.elastic * 2 * size / wide_size
        grid = grid + shift.mul_(largest / shift.abs().max()).movedim(1, -1)
    return grid

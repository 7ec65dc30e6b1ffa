"""Training samples of the click refiner: windows of images with a prediction that errs.

Most of the predictions are a network's own, the others are spoiled besides: structures are dropped
and invented, compact ones moved and resized, so that the refiner serves networks that err more, or
in other ways. All randomness derives from the seed and the sample's index.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import draw

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.corrections import WINDOW_SIZES, decode_margins
from sam2lora.settings import AugmentSettings
from sam2lora.transforms.augmentation import apply_augmentation, sample_augmentation
from sam2lora.transforms.windows import Values, Window
from sam2lora.types import Mask, Pixels

_ON_ERROR = 0.85  # share of the windows that are centered near an error
_SHIFT = 0.15  # largest offset of a window from its error, as a share of its side
_SPOILED = 0.3
_SIDES = (0.75, 1.35)  # of the window at prediction: cameras and targets differ in scale


@dataclass(frozen=True, eq=False)
class PredictedImage:
    """An image with a reference mask and a prediction of it.

    Attributes
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    field
        Its field of view.
    mask
        `(H, W)` bool: the reference.
    margins
        `(H, W)` uint8: the prediction, from `encode_margins`.
    side
        Side of a window around a click, in native pixels.
    fine
        Whether the target is a fine structure, as vessels are, or a compact one.
    """

    pixels: Pixels
    field: FieldOfView
    mask: Mask
    margins: NDArray[np.uint8]
    side: float
    fine: bool


@dataclass(frozen=True, eq=False)
class ClickSample:
    """One window in which a prediction is to be corrected.

    Attributes
    ----------
    pixels
        `(S, S, 3)` uint8 RGB.
    mask
        `(S, S)` bool: the reference.
    valid
        `(S, S)` bool: the pixels that count.
    margins
        `(S, S)` float32: the prediction; a pixel of at least 0 belongs to its mask.
    """

    pixels: Pixels
    mask: Mask
    valid: Mask
    margins: Values


class ClickSamples:
    """Click samples by index, without end; the groups of images alternate.

    Parameters
    ----------
    groups
        For each group, the functions that read its images; groups are sampled equally often.
    augment
        How windows are augmented.
    seed
        Random seed.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Callable[[], PredictedImage]]],
        augment: AugmentSettings,
        *,
        seed: int = 0,
    ) -> None:
        self._groups, self._augment, self._seed = groups, augment, seed

    def __getitem__(self, index: int) -> ClickSample:
        rng = np.random.default_rng((self._seed, index))
        group = self._groups[index % len(self._groups)]
        image = group[int(rng.integers(len(group)))]()
        window = _window(image, rng)
        cut = apply_augmentation(
            sample_augmentation(self._augment, rng),
            window,
            image.pixels,
            image.mask,
            valid=image.field.mask,
            previous=image.margins,
        )
        assert cut.previous is not None
        margins = decode_margins(cut.previous)
        if rng.random() < _SPOILED:
            spoil = _spoil_fine if image.fine else _spoil_compact
            margins = spoil(margins, cut.mask, rng)
        margins += np.float32(rng.normal(0, 0.5))  # thresholds differ
        return ClickSample(cut.pixels, cut.mask, cut.valid, margins)


def _window(image: PredictedImage, rng: np.random.Generator) -> Window:
    """Sample a window, usually around a pixel that is predicted wrongly."""
    if not image.fine:
        return _around_target(image, rng)
    wrong = ((image.margins > 127) != image.mask) & image.field.mask
    counting = wrong if rng.random() < _ON_ERROR and wrong.any() else image.field.mask
    pixels = np.flatnonzero(counting)
    row, column = divmod(int(rng.choice(pixels)), counting.shape[1])
    side = image.side * float(np.exp(rng.uniform(*np.log(_SIDES))))
    x, y = (place + side * _SHIFT * rng.uniform(-1, 1) for place in (column, row))
    return Window.around((x, y), side, WINDOW_SIZES["fine"])


def _around_target(image: PredictedImage, rng: np.random.Generator) -> Window:
    """Sample a window around a compact target."""
    rows, columns = np.nonzero(image.mask if image.mask.any() else image.field.mask)
    extent = max(np.ptp(rows), np.ptp(columns)) if image.mask.any() else 0
    side = max(image.side, 1.6 * extent) * float(np.exp(rng.uniform(*np.log(_SIDES))))
    y, x = (np.ptp(v) / 2 + v.min() + side * _SHIFT * rng.uniform(-1, 1) for v in (rows, columns))
    return Window.around((x, y), side, WINDOW_SIZES["compact"])


def _spoil_fine(margins: Values, mask: Mask, rng: np.random.Generator) -> Values:
    """Drop parts of thin structures, and invent others."""
    spoiled = margins.copy()
    size = len(mask)
    on, around = np.argwhere(mask), ndimage.binary_dilation(mask, iterations=3)
    for _ in range(int(rng.integers(0, 7))):
        if not len(on):
            break
        row, column = on[int(rng.integers(len(on)))]
        disk = draw.disk((row, column), float(rng.uniform(6, 60)), shape=mask.shape)
        lowered = spoiled[disk] - np.float32(rng.uniform(3, 9))
        spoiled[disk] = np.where(around[disk], lowered, spoiled[disk])
    for _ in range(int(rng.integers(0, 5))):
        curve = np.zeros_like(mask)
        ends = rng.uniform(0, size, (3, 2)).round().astype(int).clip(0, size - 1)
        span = rng.uniform(0.1, 0.6)
        ends[1:] = (ends[0] + (ends[1:] - ends[0]) * span).astype(int)
        rows, columns = draw.bezier_curve(
            *ends.ravel(), float(rng.uniform(0.2, 2)), shape=mask.shape
        )
        curve[rows, columns] = True
        width = float(rng.uniform(0.5, 4))
        near = ndimage.distance_transform_edt(~curve) <= width
        spoiled[near] += np.float32(rng.uniform(3, 9))
    return spoiled


def _spoil_compact(margins: Values, mask: Mask, rng: np.random.Generator) -> Values:
    """Replace the prediction by a moved and resized reference, with bites and bumps."""
    if not mask.any():
        return margins
    rows, columns = np.nonzero(mask)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    base = mask if rng.random() < 0.7 else margins >= 0
    scale = np.exp(rng.uniform(-0.35, 0.35, 2))
    shift = rng.uniform(-0.25, 0.25, 2) * extent
    center = np.array([rows.mean(), columns.mean()])
    moved = (
        ndimage.affine_transform(
            base.astype(np.float32), np.diag(scale), center - scale * (center + shift), order=1
        )
        >= 0.5
    )
    for _ in range(int(rng.integers(0, 4))):
        edge = np.argwhere(moved ^ ndimage.binary_erosion(moved))
        if not len(edge):
            break
        row, column = edge[int(rng.integers(len(edge)))]
        radii = rng.uniform(0.06, 0.4, 2) * extent
        bite = draw.ellipse(row, column, *radii, shape=mask.shape, rotation=rng.uniform(0, np.pi))
        moved[bite] = rng.random() < 0.5
    softness = rng.uniform(1, 8)
    signed = ndimage.distance_transform_edt(moved) - ndimage.distance_transform_edt(~moved)
    spoiled: Values = np.clip(signed / softness, -8, 8).astype(np.float32)
    return spoiled

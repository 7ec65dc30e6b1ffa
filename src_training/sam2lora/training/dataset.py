"""The training dataset: windows cut as in prediction, with new augmentation and prompts each time.

All randomness derives from the seed and the sample's index, so a run that is resumed or shared
between processes sees the same samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray
from torch.utils.data import Dataset

from sam2lora.errors import Sam2LoraError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.embedding_cache import ByteLru
from sam2lora.prompts.prompt_batch import PromptBatch, in_window
from sam2lora.prompts.sampling import sample_training_prompts
from sam2lora.settings import GeometrySettings, PromptSamplingSettings
from sam2lora.targets import get_target
from sam2lora.training.data_split import Item
from sam2lora.training.narrow_field import sample_narrow_field
from sam2lora.training.settings import TrainSettings
from sam2lora.transforms.augmentation import LabelledWindow, apply_augmentation, sample_augmentation
from sam2lora.transforms.style import ImageStyle, StyleChange, exchange_style
from sam2lora.transforms.windows import Window, full_window, tile_side, zoom_window
from sam2lora.transforms.zoom import BoundingBox, crop_side
from sam2lora.types import Mask

_ORDER, _WINDOW, _PROMPTS, _TURN, _ROUNDS, _STYLE = range(6)  # streams of random numbers


ORIENTATIONS = 8
"""Orientations of a square: a detail head sees a window in each, where all else is frozen."""

_MEMORY_SHARE = 0.2  # of the free memory, for decoded images and masks in each process
_WINDOW_BYTES = 1 << 30  # for windows that are used repeatedly
_ON_TARGET = 0.5  # share of the tiles that are centered on the target, if there is one
_SHIFT = 0.25  # largest offset of a crop from its target's center, as a share of its side
_MISJUDGED = (0.7, 1.45)  # factor by which the first look may have got the target's extent wrong
_NARROWED = 0.5  # share of the samples that show a narrower field of view
# A target inside another one is looked for in the crop around that, which is well known by then; at
# times in the whole field, for models that cannot find the other one.
_NESTED_SHIFT = 0.12
_NESTED_MISJUDGED = (0.85, 1.2)
_NESTED_CROPS = 0.85
_OUTER = (1.1, 2.5)  # extent of an outer target that nobody marked, in multiples of the inner one


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One training window.

    Attributes
    ----------
    pixels
        `(S, S, 3)` uint8 RGB.
    mask
        `(S, S)` bool: the target.
    valid
        `(S, S)` bool: pixels at which the loss is computed.
    prompts
        Prompt batch of size one.
    name
        Path of the image, for error messages.
    key
        Identifies a window that is used repeatedly, whose features can be cached; else empty.
    turn
        Orientation, 0…7, in which the window is shown to a detail head (`data_loader.turned`); the
        network that is frozen sees it as it is.
    rounds
        Rounds in which the network's prediction is corrected by clicks.
    seed
        What the places of these clicks depend on, besides the predictions.
    """

    pixels: NDArray[np.uint8]
    mask: Mask
    valid: Mask
    prompts: PromptBatch
    name: str
    key: str
    turn: int = 0
    rounds: int = 0
    seed: tuple[int, ...] = (0,)


@dataclass(frozen=True, eq=False)
class _CachedImage:
    """A decoded image with its field of view."""

    pixels: NDArray[np.uint8]
    field: FieldOfView

    def nbytes(self) -> int:
        return self.pixels.nbytes + self.field.mask.nbytes


@dataclass(frozen=True, eq=False)
class _CachedMask:
    """A decoded mask with the pixels that count."""

    mask: Mask
    valid: Mask

    def nbytes(self) -> int:
        return self.mask.nbytes + self.valid.nbytes


class TrainingDataset(Dataset[TrainingSample | Sam2LoraError]):
    """Training samples by index, without end.

    Groups alternate, so that each counts the same; within a group, the items are shuffled again
    after each pass. For an item that cannot be read, the error is returned instead of a sample, so
    that it reaches the training loop from a worker process unchanged.

    Parameters
    ----------
    groups
        Training items, in groups that are sampled equally often.
    settings
        Training settings: geometry, augmentation, prompts and seed.
    size
        Side S of the network's input in pixels.
    mask_size
        Side of a mask prompt in pixels.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Item]],
        settings: TrainSettings,
        *,
        size: int,
        mask_size: int,
    ) -> None:
        self._groups = groups
        self._settings = settings
        self._size = size
        self._mask_size = mask_size
        # Created in the worker process that uses them.
        self._decoded: ByteLru[_CachedImage | _CachedMask | ImageStyle] | None = None
        self._windows: ByteLru[LabelledWindow] | None = None

    def __getitem__(self, index: int) -> TrainingSample | Sam2LoraError:
        try:
            return self.sample(index)
        except Sam2LoraError as error:
            return error

    def sample(self, index: int) -> TrainingSample:
        """Cut, augment and prompt the sample of an index.

        Raises
        ------
        ImageError
            If a file cannot be read; the message names it.
        """
        item, window, key, turn = self._window(index)
        rng = np.random.default_rng((self._settings.seed, _PROMPTS, index))
        sampling = self._settings.prompts
        if get_target(item.target).kind == "point":
            sampling = sampling.never()  # a click sets a point, and asks no network
        elif item.target != self._settings.target:
            sampling = sampling.always()  # without a prompt, the main target is meant
        prompts = sample_training_prompts(window.mask, sampling, rng, valid=window.valid)
        as_is = Window.stretched((self._size, self._size), self._size)
        return TrainingSample(
            window.pixels,
            window.mask,
            window.valid,
            in_window(prompts, as_is, mask_size=self._mask_size),
            str(item.record.image),
            key,
            turn,
            *self._rounds(index, sampling),
        )

    def _rounds(self, index: int, sampling: PromptSamplingSettings) -> tuple[int, tuple[int, ...]]:
        """Return the rounds of corrections of a sample, and the seed of their clicks."""
        settings = self._settings
        seed = (settings.seed, _ROUNDS, index)
        rng = np.random.default_rng(seed)
        if settings.freeze_network or rng.random() >= sampling.corrected:
            return 0, seed
        return int(rng.integers(1, sampling.rounds, endpoint=True)), seed

    def _window(self, index: int) -> tuple[Item, LabelledWindow, str, int]:
        """Return the window of a sample: a new one each time, or one of a few that are cached.

        Where the whole network is frozen, each is used once in each orientation, then new ones are
        cut; otherwise the same ones are used to the end.
        """
        settings = self._settings
        number = index % len(self._groups)
        group = self._groups[number]
        epoch, position = divmod(index // len(self._groups), len(group))
        order = np.random.default_rng((settings.seed, _ORDER, number, epoch)).permutation(
            len(group)
        )
        chosen = int(order[position])
        item = group[chosen]
        if not settings.reuses_windows:
            return item, self._cut(item, (settings.seed, _WINDOW, index)), "", 0
        variant, turn = (number, chosen, epoch % settings.variants), 0
        if settings.freeze_network:
            pool, use = divmod(epoch, settings.variants * ORIENTATIONS)
            variant = (number, chosen, pool * settings.variants + use % settings.variants)
            turns = np.random.default_rng((settings.seed, _TURN, *variant)).permutation(
                ORIENTATIONS
            )
            turn = int(turns[use // settings.variants])
        key = "-".join(map(str, variant))
        self._windows = self._windows or ByteLru(_WINDOW_BYTES)
        window = self._windows.get(key)
        if window is None:
            window = self._cut(item, (settings.seed, _WINDOW, *variant))
            self._windows.put(key, window)
        return item, window, key, turn

    def _cut(self, item: Item, seed: tuple[int, ...]) -> LabelledWindow:
        image = self._image(item)
        target = self._mask(item, item.target, image.field)
        pixels, field, mask, valid = image.pixels, image.field, target.mask, target.valid
        style = self._style_change(item, np.random.default_rng((*seed, _STYLE)))
        rng = np.random.default_rng(seed)
        geometry = self._settings.geometry_for(item.target)
        outer = self._outer_extent(item, target, field, rng)
        if geometry.detail == "zoom" and geometry.zoom_extent is not None:
            extent = outer or BoundingBox.of(mask)
            narrow = None if extent is None else sample_narrow_field(field, extent, rng)
            if narrow is not None and rng.random() < _NARROWED:
                pixels = narrow.cut(pixels)
                mask, valid = narrow.cut(mask), narrow.cut(valid)
                field = narrow.field(field)
                corner = (-narrow.columns.start, -narrow.rows.start)
                outer = outer and outer.moved(*corner)
                style = style and style.moved(*corner)
        window = training_window(field, mask, geometry, self._size, rng, valid=valid, outer=outer)
        return apply_augmentation(
            sample_augmentation(self._settings.augment, rng),
            window,
            pixels,
            mask,
            valid=valid,
            style=style,
        )

    def _style_change(self, item: Item, rng: np.random.Generator) -> StyleChange | None:
        """Sample the change to the colors of another training image; None for no change."""
        chance, strength = rng.random(2)
        if chance >= self._settings.augment.style_share:
            return None
        group = self._groups[int(rng.integers(len(self._groups)))]
        other = group[int(rng.integers(len(group)))]
        return exchange_style(self._style(item), self._style(other), strength=float(strength))

    def _style(self, item: Item) -> ImageStyle:
        decoded, key = self._decoded_cache(), f"{item.record.image}|style"
        style = decoded.get(key)
        if not isinstance(style, ImageStyle):
            image = self._image(item)
            style = ImageStyle.of(image.pixels, image.field)
            decoded.put(key, style)
        return style

    def _outer_extent(
        self, item: Item, target: _CachedMask, field: FieldOfView, rng: np.random.Generator
    ) -> BoundingBox | None:
        """Return the extent of the target that an item's target lies in; a guess if unmarked."""
        outer = get_target(item.target).inside
        if outer is None:
            return None
        if outer in item.record.masks:
            return BoundingBox.of(self._mask(item, outer, field).mask)
        extent = BoundingBox.of(target.mask)
        return extent and extent.scaled(rng.uniform(*_OUTER))

    def _image(self, item: Item) -> _CachedImage:
        record, decoded = item.record, self._decoded_cache()
        key = str(record.image)
        cached = decoded.get(key)
        if not isinstance(cached, _CachedImage):
            cached = _CachedImage(record.read_image().pixels, record.read_field_of_view())
            decoded.put(key, cached)
        return cached

    def _mask(self, item: Item, target: str, field: FieldOfView) -> _CachedMask:
        decoded = self._decoded_cache()
        key = f"{item.record.image}|{target}|{item.grader}"
        cached = decoded.get(key)
        if not isinstance(cached, _CachedMask):
            mask = item.record.read_mask(target, grader=item.grader)
            cached = _CachedMask(mask, item.valid(field, mask))
            decoded.put(key, cached)
        return cached

    def _decoded_cache(self) -> ByteLru[_CachedImage | _CachedMask | ImageStyle]:
        if self._decoded is None:
            limit = int(psutil.virtual_memory().available * _MEMORY_SHARE)
            self._decoded = ByteLru(limit)
        return self._decoded


def training_window(
    field: FieldOfView,
    mask: Mask,
    geometry: GeometrySettings,
    size: int,
    rng: np.random.Generator,
    *,
    valid: Mask | None = None,
    outer: BoundingBox | None = None,
) -> Window:
    """Sample a window as prediction would cut one: a tile, the whole field of view, or a crop.

    Half of the tiles are centered on the target. In zoom mode, half of the windows show the whole
    field and half a crop, shifted and of another size than the target requires, as in a coarse
    first prediction. A target in another one is shown in the crop around that, for the most part.

    Parameters
    ----------
    field
        Field of view, which sets the scale.
    mask
        `(H, W)` bool: mask of the target.
    geometry
        How windows are cut from images.
    size
        Side of the network's input in pixels.
    rng
        Random generator.
    valid
        `(H, W)` bool: pixels that count, on which tiles are centered. None: the field of view.
    outer
        Box around the target that this one lies in, if there is one and it is marked.
    """
    counting = field.mask if valid is None or not valid.any() else valid
    choice, x, y = rng.random(3)
    if geometry.detail == "tiles":
        # Where the whole field of view counts, target pixels outside it are used too.
        marked = mask if counting is field.mask else mask & counting
        on_target = choice < _ON_TARGET and bool(marked.any())
        center = _random_pixel(marked if on_target else counting, rng)
        return Window.around(center, tile_side(field, size, field_size=geometry.field_size), size)
    if geometry.detail == "squash":
        return Window.stretched(mask.shape, size)
    shown = BoundingBox.of(mask) if geometry.detail == "zoom" else None
    if shown is None or choice >= (0.5 if outer is None else _NESTED_CROPS):
        return full_window(field, size, margin=geometry.margin)
    shift, misjudged = (_SHIFT, _MISJUDGED) if outer is None else (_NESTED_SHIFT, _NESTED_MISJUDGED)
    extent = shown if outer is None else outer
    if geometry.zoom_extent is None:
        misjudged = (1, 1)  # the side does not depend on the extent
    factor = math.exp(rng.uniform(*np.log(misjudged)))
    side = crop_side(geometry, field, extent.side * factor)
    (column, row), reach = extent.center, 2 * shift * side
    center = column + (x - 0.5) * reach, row + (y - 0.5) * reach
    return zoom_window(center, field, size, share=side / field.diameter)


def _random_pixel(mask: Mask, rng: np.random.Generator) -> tuple[float, float]:
    """Return a random True pixel (x, y), with equal probability for each."""
    per_row = np.cumsum(mask.sum(axis=1))
    number = int(rng.integers(per_row[-1]))
    row = int(np.searchsorted(per_row, number, side="right"))
    columns = np.flatnonzero(mask[row])
    return float(columns[int(rng.integers(len(columns)))]), float(row)

"""The training dataset: windows cut as in prediction, with new augmentation and prompts each time.

All randomness derives from the seed and the sample's index, so a run that is resumed or shared
between processes sees the same samples.
"""

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
from sam2lora.settings import GeometrySettings
from sam2lora.training.data_split import Item
from sam2lora.training.settings import TrainSettings
from sam2lora.transforms.augmentation import LabelledWindow, apply_augmentation, sample_augmentation
from sam2lora.transforms.windows import Window, full_window, tile_side, zoom_window
from sam2lora.types import Mask

_ORDER, _WINDOW, _PROMPTS, _TURN = range(4)  # streams of random numbers


ORIENTATIONS = 8
"""Orientations of a square: a detail head sees a window in each, where all else is frozen."""

_MEMORY_SHARE = 0.2  # of the free memory, for decoded images and masks in each process
_WINDOW_BYTES = 1 << 30  # for windows that are used repeatedly
_ON_TARGET = 0.5  # share of the tiles that are centered on the target, if there is one
_SHIFT = 0.25  # largest offset of a crop from its target's center, as a share of its side


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
    """

    pixels: NDArray[np.uint8]
    mask: Mask
    valid: Mask
    prompts: PromptBatch
    name: str
    key: str
    turn: int = 0


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
        self._decoded: ByteLru[_CachedImage | _CachedMask] | None = None
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
        if item.target != self._settings.target:
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
        )

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
        target = self._mask(item, image.field)
        rng = np.random.default_rng(seed)
        geometry = self._settings.geometry_for(item.target)
        window = training_window(
            image.field, target.mask, geometry, self._size, rng, valid=target.valid
        )
        return apply_augmentation(
            sample_augmentation(self._settings.augment, rng),
            window,
            image.pixels,
            target.mask,
            valid=target.valid,
        )

    def _image(self, item: Item) -> _CachedImage:
        record, decoded = item.record, self._decoded_cache()
        key = str(record.image)
        cached = decoded.get(key)
        if not isinstance(cached, _CachedImage):
            cached = _CachedImage(record.read_image().pixels, record.read_field_of_view())
            decoded.put(key, cached)
        return cached

    def _mask(self, item: Item, field: FieldOfView) -> _CachedMask:
        decoded = self._decoded_cache()
        key = f"{item.record.image}|{item.target}|{item.grader}"
        cached = decoded.get(key)
        if not isinstance(cached, _CachedMask):
            mask = item.record.read_mask(item.target, grader=item.grader)
            cached = _CachedMask(mask, item.valid(field, mask))
            decoded.put(key, cached)
        return cached

    def _decoded_cache(self) -> ByteLru[_CachedImage | _CachedMask]:
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
) -> Window:
    """Sample a window as prediction would cut one: a tile, the whole field of view, or a crop.

    Half of the tiles are centered on the target. In zoom mode, half of the windows show the whole
    field and half a crop, shifted from the target's center as in a coarse first prediction.

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
    if geometry.detail == "zoom" and choice < 0.5 and mask.any():
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        side = geometry.zoom_share * field.diameter
        shift = 2 * _SHIFT * side
        center = (
            float(columns[0] + columns[-1]) / 2 + (x - 0.5) * shift,
            float(rows[0] + rows[-1]) / 2 + (y - 0.5) * shift,
        )
        return zoom_window(center, field, size, share=geometry.zoom_share)
    return full_window(field, size, margin=geometry.margin)


def _random_pixel(mask: Mask, rng: np.random.Generator) -> tuple[float, float]:
    """Return a random True pixel (x, y), with equal probability for each."""
    per_row = np.cumsum(mask.sum(axis=1))
    number = int(rng.integers(per_row[-1]))
    row = int(np.searchsorted(per_row, number, side="right"))
    columns = np.flatnonzero(mask[row])
    return float(columns[int(rng.integers(len(columns)))]), float(row)

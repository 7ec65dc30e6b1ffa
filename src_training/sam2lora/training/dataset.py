"""Samples to train on: windows cut as prediction cuts them, augmented and prompted afresh.

Every draw derives from the seed and the sample's number, so a run that is resumed, or shared
between processes, sees what it would have seen.
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

_ORDER, _WINDOW, _PROMPTS = range(3)  # streams of random numbers

_MEMORY_SHARE = 0.2  # of what is free: decoded images and masks, in each process
_WINDOW_BYTES = 1 << 30  # windows that come again
_ON_TARGET = 0.5  # share of the tiles that are centered on the target, where there is any
_SHIFT = 0.25  # a crop is off its target's center by up to this share of its side


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One window to learn from.

    Attributes
    ----------
    pixels
        `(S, S, 3)` uint8 RGB.
    mask
        `(S, S)` bool: the target.
    valid
        `(S, S)` bool: where the answer is judged.
    prompts
        A batch of one.
    name
        Where it is from, for messages.
    key
        Names the window, where it comes again and its features can be kept; else empty.
    """

    pixels: NDArray[np.uint8]
    mask: Mask
    valid: Mask
    prompts: PromptBatch
    name: str
    key: str


@dataclass(frozen=True, eq=False)
class _CachedImage:
    """An image in memory with its field of view."""

    pixels: NDArray[np.uint8]
    field: FieldOfView

    def nbytes(self) -> int:
        return self.pixels.nbytes + self.field.mask.nbytes


@dataclass(frozen=True, eq=False)
class _CachedMask:
    """A mask in memory, with what counts of it."""

    mask: Mask
    valid: Mask

    def nbytes(self) -> int:
        return self.mask.nbytes + self.valid.nbytes


class TrainingDataset(Dataset[TrainingSample | Sam2LoraError]):
    """Endless samples by index.

    Groups take turns, so that each counts the same; within a group, items come in a new random
    order every time all have been seen. An item that cannot be read is given as the error it
    caused, so that it reaches the loop from a preparing process as it is.

    Parameters
    ----------
    groups
        Items to learn from.
    settings
        Geometry, augmentation, prompts and seed.
    size
        Side S of the network's input.
    mask_size
        Side of a previous mask.
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
        # Made in the process that uses them.
        self._decoded: ByteLru[_CachedImage | _CachedMask] | None = None
        self._windows: ByteLru[LabelledWindow] | None = None

    def __getitem__(self, index: int) -> TrainingSample | Sam2LoraError:
        try:
            return self.draw(index)
        except Sam2LoraError as error:
            return error

    def draw(self, index: int) -> TrainingSample:
        """Cut, augment and prompt a sample.

        Raises
        ------
        ImageError
            If its files cannot be read; the message names them.
        """
        item, window, key = self._window(index)
        rng = np.random.default_rng((self._settings.seed, _PROMPTS, index))
        mix = self._settings.prompts
        if item.target != self._settings.target:
            mix = mix.always()  # without a prompt, the main target is meant
        prompts = sample_training_prompts(window.mask, mix, rng, valid=window.valid)
        as_is = Window.stretched((self._size, self._size), self._size)
        return TrainingSample(
            window.pixels,
            window.mask,
            window.valid,
            in_window(prompts, as_is, mask_size=self._mask_size),
            str(item.record.image),
            key,
        )

    def _window(self, index: int) -> tuple[Item, LabelledWindow, str]:
        """Draw the window of a sample: a new one each time, or one of a few that come again."""
        settings = self._settings
        number = index % len(self._groups)
        group = self._groups[number]
        round_, place = divmod(index // len(self._groups), len(group))
        order = np.random.default_rng((settings.seed, _ORDER, number, round_)).permutation(
            len(group)
        )
        which = int(order[place])
        item = group[which]
        if not settings.freeze_encoder:
            return item, self._cut(item, (settings.seed, _WINDOW, index)), ""
        variant = (number, which, round_ % settings.variants)
        key = "-".join(map(str, variant))
        self._windows = self._windows or ByteLru(_WINDOW_BYTES)
        window = self._windows.get(key)
        if window is None:
            window = self._cut(item, (settings.seed, _WINDOW, *variant))
            self._windows.put(key, window)
        return item, window, key

    def _cut(self, item: Item, seed: tuple[int, ...]) -> LabelledWindow:
        shown = self._image(item)
        marks = self._marks(item, shown.field)
        rng = np.random.default_rng(seed)
        geometry = self._settings.geometry_for(item.target)
        frame = training_window(
            shown.field, marks.mask, geometry, self._size, rng, valid=marks.valid
        )
        return apply_augmentation(
            sample_augmentation(self._settings.augment, rng),
            frame,
            shown.pixels,
            marks.mask,
            valid=marks.valid,
        )

    def _image(self, item: Item) -> _CachedImage:
        record, decoded = item.record, self._in_memory()
        key = str(record.image)
        kept = decoded.get(key)
        if not isinstance(kept, _CachedImage):
            kept = _CachedImage(record.read_image().pixels, record.read_field_of_view())
            decoded.put(key, kept)
        return kept

    def _marks(self, item: Item, field: FieldOfView) -> _CachedMask:
        decoded = self._in_memory()
        key = f"{item.record.image}|{item.target}|{item.grader}"
        kept = decoded.get(key)
        if not isinstance(kept, _CachedMask):
            mask = item.record.read_mask(item.target, grader=item.grader)
            kept = _CachedMask(mask, item.valid(field, mask))
            decoded.put(key, kept)
        return kept

    def _in_memory(self) -> ByteLru[_CachedImage | _CachedMask]:
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
    """Draw a window as prediction would cut one: a tile anywhere, the field, or a crop.

    Of tiles, half are centered on the target; of a zoom, half show the whole field and half a crop
    that is off its target's center as a first answer may be.

    Parameters
    ----------
    field
        The field of view, which sets the scale.
    mask
        `(H, W)`: the target.
    geometry
        How images are shown.
    size
        Side of the network's input in pixels.
    rng
        The only source of chance.
    valid
        `(H, W)`: what counts; tiles are centered there. None: the field of view.
    """
    counting = field.mask if valid is None or not valid.any() else valid
    choice, x, y = rng.random(3)
    if geometry.detail == "tiles":
        # Where all of the field counts, marks outside it are seen too.
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
    """Draw a True pixel (x, y): a random row among those that have one, weighted by how many."""
    per_row = np.cumsum(mask.sum(axis=1))
    number = int(rng.integers(per_row[-1]))
    row = int(np.searchsorted(per_row, number, side="right"))
    columns = np.flatnonzero(mask[row])
    return float(columns[int(rng.integers(len(columns)))]), float(row)

"""Copy the selected pairs into a run folder, so that later painting does not change a training.

Layers are read on the main thread, quickly; files are read and written on a worker thread.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from napari_sam2lora.layers.conversion import LayerData, mask_of, pixels_of
from napari_sam2lora.layers.loading import list_image_folder
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.training.data.annotated_area import outside
from napari_sam2lora.training.data.folder_pairs import FilePair
from napari_sam2lora.training.data.pairs import Pair
from napari_sam2lora.training.data.viewer_pairs import LayerPair
from sam2lora.annotations import LabelledImage, save_training_data
from sam2lora.datasets import Record, find_record
from sam2lora.datasets.inverted import looks_inverted
from sam2lora.errors import SettingsError
from sam2lora.images.decoding import read_shape
from sam2lora.runs import RunFolder
from sam2lora.training.settings import TrainSettings
from sam2lora.types import Mask

DATA = "data/dataset.csv"
"""The snapshot, relative to its run folder."""


def labelled_images(pairs: Iterable[Pair], target: str) -> Iterator[LabelledImage]:
    """Read the layers of pairs now, and return an iterator that reads their files when it is used.

    Call it on the main thread; the iterator can be used once, on any thread. It raises a
    `Sam2LoraError` that names the pair or the file where one cannot be read.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be trained on.
    """
    readers = [_reader_of(pair, target) for pair in pairs]
    return (read() for read in readers)


def write_snapshot(
    folder: Path, settings: TrainSettings, images: Iterable[LabelledImage], *, copy: bool = True
) -> RunFolder:
    """Write a run folder with the settings and the images to train on.

    Parameters
    ----------
    folder
        An empty folder, or a missing one.
    settings
        Settings of the training, whose data is `DATA`.
    images
        Images from `labelled_images`.
    copy
        Whether images that are files are copied; otherwise they are read where they are.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be read, or something cannot be written.
    """
    run = RunFolder.create(folder, settings.model_dump_json(indent=2))
    save_training_data(run.data, images, copy=copy)
    return run


def _reader_of(pair: Pair, target: str) -> Callable[[], LabelledImage]:
    if pair.issue is not None and not pair.usable:
        raise SettingsError(f"{pair.name}: {pair.issue.message}")
    if isinstance(pair, FilePair):
        ignored = None
        if pair.area is not None:
            ignored = outside(pair.area, read_shape(pair.image.path))
        return partial(_read_file_pair, pair, target, ignored)
    if isinstance(pair, LayerPair) and pair.layer is not None:
        mask = mask_of(layer_data(pair.layer))
        ignored = outside(pair.area, mask.shape, pair.image)
        about = plugin_metadata(pair.image.metadata)
        path, listed_in = about.get("path"), about.get("listed_in")
        if path and Path(path).is_file():
            return partial(_read_image_file, Path(path), listed_in, pair, target, mask, ignored)
        return partial(_read_pixels, layer_data(pair.image), pair, target, mask, ignored)
    raise SettingsError(f"{pair.name}: has no labels of {target}.")


def _read_image_file(
    path: Path,
    listed_in: str | None,
    pair: Pair,
    target: str,
    mask: Mask,
    ignored: Mask | None,
) -> LabelledImage:
    """Return the file of an open image with the mask of its layer."""
    record = _record_at(path, listed_in)
    return LabelledImage(
        pair.name,
        path,
        {target: mask},
        pair.patient,
        fov=_field_of_view(record),
        ignored=_ignored(record, ignored),
    )


def _read_pixels(
    image: LayerData, pair: Pair, target: str, mask: Mask, ignored: Mask | None
) -> LabelledImage:
    """Return the pixels of an image that has no file, with the mask of its layer."""
    pixels = pixels_of(image)
    return LabelledImage(pair.name, pixels, {target: mask}, pair.patient, ignored=ignored)


def _read_file_pair(pair: FilePair, target: str, ignored: Mask | None) -> LabelledImage:
    """Return the file of an image with the mask of another file."""
    image, record = pair.image, pair.image.record
    if record is None or pair.corrections.has(image.stem, target):
        corrected = pair.corrections.masks(image.stem, read_shape(image.path)).get(target)
        if corrected is None:  # it was discarded in the meantime
            raise SettingsError(
                f"{pair.name}: its correction of {target} no longer exists. Refresh the table."
            )
        mask = corrected
    else:
        mask = record.read_mask(target)
    _check_mask(pair, target, mask)
    return LabelledImage(
        pair.name,
        image.path,
        {target: mask},
        pair.patient,
        fov=_field_of_view(record),
        ignored=_ignored(record, ignored),
    )


def _check_mask(pair: FilePair, target: str, mask: Mask) -> None:
    """Check what the table shows as an issue of a layer: the mask of a file is read only now."""
    share = np.count_nonzero(mask) / mask.size
    which = f"{pair.name}: its mask of {target} ({pair.labels})"
    remedy = "Deselect it; if it is right, open it in the viewer and select its layer."
    if share == 0:
        raise SettingsError(f"{which} is empty. {remedy}")
    if looks_inverted(mask, target):
        raise SettingsError(f"{which} covers {share:.0%} of the image: inverted? {remedy}")


def _record_at(path: Path, listed_in: str | None) -> Record | None:
    """Return the dataset's record of an image: a table that lists it may lie elsewhere."""
    listed = list_image_folder(Path(listed_in)).images if listed_in else ()
    found = next((image.record for image in listed if image.path == path), None)
    return found or find_record(path)


def _ignored(record: Record | None, outside_area: Mask | None) -> Mask | None:
    """Return what lies outside the annotated region, and what the dataset itself leaves out."""
    left_out = None if record is None else record.read_ignored()
    if left_out is None or outside_area is None:
        return outside_area if left_out is None else left_out
    return left_out | outside_area


def _field_of_view(record: Record | None) -> Mask | None:
    """Return the field of view that a dataset distributes with an image."""
    if record is None or record.fov is None:
        return None
    return record.read_field_of_view().mask

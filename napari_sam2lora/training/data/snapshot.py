"""Copy what is ticked into the run folder, as it is now: later painting does not change a training.

Layers are read in the window's thread, quickly; files are read and written in a worker's.
"""

from collections.abc import Callable, Iterable, Sequence
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
from sam2lora.datasets import Record, record_of
from sam2lora.datasets.check import looks_inverted
from sam2lora.datasets.records import read_shape
from sam2lora.errors import SettingsError
from sam2lora.runs import RunFolder, new_run
from sam2lora.types import Mask

PairSource = Callable[[], LabelledImage]
"""Reads one pair, in any thread."""

DATA = "data/dataset.csv"
"""The snapshot, from its run folder."""


def sources_of(pairs: Iterable[Pair], target: str) -> list[PairSource]:
    """Take from the layers what they hold now, and say how the rest is read.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be trained on.
    """
    return [_load_of(pair, target) for pair in pairs]


def write_run(folder: Path, settings: str, loads: Sequence[PairSource]) -> Path:
    """Make a run folder with its snapshot; where that fails, nothing is left of it.

    Parameters
    ----------
    folder
        A new one.
    settings
        As JSON.
    loads
        From `sources_of`.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be read, or something cannot be written.
    """
    with new_run(folder) as place:
        run = RunFolder.create(place, settings)
        save_training_data(run.data, (load() for load in loads))
    return folder


def write_snapshot(folder: Path, settings: str, loads: Sequence[PairSource]) -> Path:
    """Write the same for a look ahead: images that are files stay where they are.

    Returns
    -------
    The settings' file.

    Raises
    ------
    Sam2LoraError
        As `write_run`.
    """
    save_training_data(folder / Path(DATA).parent, (load() for load in loads), copy=False)
    path = folder / "settings.json"
    path.write_text(settings, encoding="utf-8")
    return path


def _load_of(pair: Pair, target: str) -> PairSource:
    if pair.issue is not None and pair.refused:
        raise SettingsError(f"{pair.name}: {pair.issue.message}")
    if isinstance(pair, FilePair):
        ignored = None
        if pair.area is not None:
            ignored = outside(pair.area, read_shape(pair.photograph.path))
        return partial(_load_file, pair, target, ignored)
    if isinstance(pair, LayerPair) and pair.layer is not None:
        mask = mask_of(layer_data(pair.layer))
        ignored = outside(pair.area, mask.shape, pair.image)
        about = plugin_metadata(pair.image.metadata)
        path, listed_in = about.get("path"), about.get("listed_in")
        if path and Path(path).is_file():
            return partial(_load_layer, Path(path), listed_in, pair, target, mask, ignored)
        return partial(_load_pixels, layer_data(pair.image), pair, target, mask, ignored)
    raise SettingsError(f"{pair.name}: has no labels of {target}.")


def _load_layer(
    path: Path,
    listed_in: str | None,
    pair: Pair,
    target: str,
    mask: Mask,
    ignored: Mask | None,
) -> LabelledImage:
    record = _record_at(path, listed_in)
    return LabelledImage(
        pair.name,
        path,
        {target: mask},
        pair.patient,
        fov=_own_field(record),
        ignored=_ignored(record, ignored),
    )


def _load_pixels(
    image: LayerData, pair: Pair, target: str, mask: Mask, ignored: Mask | None
) -> LabelledImage:
    pixels = pixels_of(image)
    return LabelledImage(pair.name, pixels, {target: mask}, pair.patient, ignored=ignored)


def _load_file(pair: FilePair, target: str, ignored: Mask | None) -> LabelledImage:
    photograph, record = pair.photograph, pair.photograph.record
    if record is None or pair.corrections.has(photograph.stem, target):
        shape = read_shape(photograph.path)
        corrected = pair.corrections.masks(photograph.stem, shape).get(target)
        if corrected is None:  # forgotten meanwhile
            raise SettingsError(
                f"{pair.name}: its correction of {target} is not there any more. Look again."
            )
        mask = corrected
    else:
        mask = record.read_mask(target)
    _check(pair, target, mask)
    return LabelledImage(
        pair.name,
        photograph.path,
        {target: mask},
        pair.patient,
        fov=_own_field(record),
        ignored=_ignored(record, ignored),
    )


def _check(pair: FilePair, target: str, mask: Mask) -> None:
    """Refuse what the table asks about where it sees the mask: a file is read only now."""
    painted = np.count_nonzero(mask) / mask.size
    words = f"{pair.name}: its mask of {target} ({pair.labels})"
    remedy = "Untick it; if it is right, open it in the viewer and tick its layer."
    if painted == 0:
        raise SettingsError(f"{words} is empty. {remedy}")
    if looks_inverted(mask, target):
        raise SettingsError(f"{words} covers {painted:.0%} of the image: inverted? {remedy}")


def _record_at(path: Path, listed_in: str | None) -> Record | None:
    """Give what the data set says of an image: a table that lists it may lie elsewhere."""
    listed = list_image_folder(Path(listed_in)).images if listed_in else ()
    own = next((one.record for one in listed if one.path == path), None)
    return own or record_of(path)


def _ignored(record: Record | None, drawn: Mask | None) -> Mask | None:
    """Leave out what lies outside the drawn area, and what the data set itself leaves out."""
    own = None if record is None else record.read_ignored()
    if own is None or drawn is None:
        return drawn if own is None else own
    return own | drawn


def _own_field(record: Record | None) -> Mask | None:
    """Give the field of view that a data set distributes with an image."""
    if record is None or record.fov is None:
        return None
    return record.read_field_of_view().mask

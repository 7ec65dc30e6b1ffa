"""Copy what is ticked into the run folder, as it is now: later painting does not change a training.

Layers are read in the window's thread, quickly; files are read and written in a worker's.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from napari.viewer import Viewer

from napari_sam2lora._chosen import chosen_image, data_of
from napari_sam2lora._layers import mask_of, noted, pixels_of, view_layer
from napari_sam2lora.training.pairs import AREA, FilePair, LayerPair, Pair
from sam2lora.arrays import Mask
from sam2lora.datasets import Record, record_of
from sam2lora.errors import GeometryError, Sam2LoraError, SettingsError
from sam2lora.exports import LabelledImage, save_training_data
from sam2lora.images import read_image
from sam2lora.runs import RunFolder, delete_run

Load = Callable[[], LabelledImage]
"""Reads one pair, in any thread."""

DATA = "data/dataset.csv"
"""The snapshot, from its run folder."""


def loads_of(pairs: Iterable[Pair], target: str) -> list[Load]:
    """Take from the layers what they hold now, and say how the rest is read.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be trained on.
    """
    return [_load_of(pair, target) for pair in pairs]


def write_run(folder: Path, settings: str, loads: Sequence[Load]) -> Path:
    """Make a run folder with its snapshot; where that fails, nothing is left of it.

    Parameters
    ----------
    folder
        A new one.
    settings
        As JSON.
    loads
        From `loads_of`.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be read, or something cannot be written.
    """
    run = RunFolder.create(folder, settings)
    try:
        save_training_data(run.data, (load() for load in loads))
    except Sam2LoraError:
        delete_run(folder)
        raise
    return folder


def write_draft(folder: Path, settings: str, loads: Sequence[Load]) -> Path:
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


def add_annotated_area(viewer: Viewer) -> Layer:
    """Add a layer to outline what was annotated in the chosen image; the rest is left out.

    Raises
    ------
    ImageError
        If it is not clear which image is meant.
    """
    image = chosen_image(viewer)
    look = {"edge_color": "white", "face_color": "#ffffff30", "edge_width": 2}
    data = view_layer(AREA, [], data_of(image), "shapes", ndim=2, **look)
    layer = viewer.add_layer(Layer.create(*data))
    layer.mode = "add_polygon"
    viewer.layers.selection.active = layer
    return layer


def _load_of(pair: Pair, target: str) -> Load:
    if pair.doubt is not None and pair.doubt.refused:
        raise SettingsError(f"{pair.name}: {pair.doubt.words}")
    if isinstance(pair, FilePair):
        return partial(_load_file, pair, target)
    if isinstance(pair, LayerPair) and pair.layer is not None:
        mask = mask_of(data_of(pair.layer))
        ignored = _ignored(pair.area, pair.image, mask.shape)
        path = noted(pair.image.metadata).get("path")
        if path and Path(path).is_file():
            return partial(_load_layer, Path(path), pair, target, mask, ignored)
        made = LabelledImage(
            pair.name,
            pixels_of(data_of(pair.image)),
            {target: mask},
            pair.patient,
            ignored=ignored,
        )
        return lambda: made
    raise SettingsError(f"{pair.name}: has no labels of {target}.")


def _load_layer(
    path: Path, pair: Pair, target: str, mask: Mask, ignored: Mask | None
) -> LabelledImage:
    fov = _own_field(record_of(path))
    return LabelledImage(pair.name, path, {target: mask}, pair.patient, fov=fov, ignored=ignored)


def _load_file(pair: FilePair, target: str) -> LabelledImage:
    photograph, record = pair.photograph, pair.photograph.record
    if record is None or pair.corrections.has(photograph.stem, target):
        height, width = read_image(photograph.path).pixels.shape[:2]
        mask = pair.corrections.masks(photograph.stem, (height, width))[target]
    else:
        mask = record.read_mask(target)
    return LabelledImage(
        pair.name,
        photograph.path,
        {target: mask},
        pair.patient,
        fov=_own_field(record),
        ignored=record.read_ignored() if record else None,
    )


def _own_field(record: Record | None) -> Mask | None:
    """Give the field of view that a data set distributes with an image."""
    if record is None or record.fov is None:
        return None
    return record.read_field_of_view().mask


def _ignored(area: Layer | None, image: Image, shape: tuple[int, ...]) -> Mask | None:
    """Give what lies outside the annotated area; None where that is everything, or not said."""
    if area is None:
        return None
    places = [np.concatenate([one.scale[-2:], one.translate[-2:]]) for one in (area, image)]
    if not np.allclose(*places):
        raise GeometryError(
            f"{area.name}: lies otherwise than {image.name}. Add it by the button Annotated area."
        )
    if isinstance(area, Shapes):
        marked = (
            area.to_labels(labels_shape=shape) != 0 if len(area.data) else np.zeros(shape, bool)
        )
    elif isinstance(area, Labels):
        marked = mask_of(data_of(area))
    else:
        raise GeometryError(f"{area.name}: is no Shapes or Labels layer.")
    if marked.shape != shape:
        raise GeometryError(f"{area.name}: is not of the size of {image.name}.")
    return ~marked if marked.any() else None

"""napari reader: fundus images with their masks, folders of images, and adapters."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari import current_viewer

from napari_sam2lora.adapters import import_and_notify, is_adapter
from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.loading import (
    ImageFolder,
    image_file_at,
    list_image_folder,
    read_image_layers,
    start_of,
)
from napari_sam2lora.layers.masks import match_brushes_once_shown
from napari_sam2lora.layers.metadata import METADATA_KEY
from napari_sam2lora.qt.notifications import notify
from sam2lora.annotations.store import Corrections
from sam2lora.errors import Sam2LoraError
from sam2lora.images.decoding import is_image_file

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Reader = Callable[[Paths], list[LayerData]]

_DEPTH = 3
"""Levels below an opened folder in which images are searched, as in SETS/DRIVE/test/images."""

_NO_LAYER: list[Any] = [(None,)]
"""napari's value for a file that was read, but has no layer to show."""


def get_reader(path: Paths) -> Reader | None:
    """Return the function that reads `path`, or None if the plugin cannot read it.

    It reads image files in the formats of `sam2lora`, recognized by name, folders that contain such
    files, and adapters, recognized by their card. Several paths are declined: napari would make one
    stack of them, and images of different eyes are no stack.
    """
    only = _only(path)
    if only is None or "://" in only:
        return None
    file = Path(only)
    if is_adapter(file):
        return read_adapter
    readable = _has_images(file) if file.is_dir() else is_image_file(file)
    return read if readable else None


def read(path: Paths) -> list[LayerData]:
    """Read an image file, or of a folder the image that was left last, else the first.

    An image that cannot be read is passed over, with a warning.

    How the image was converted on reading, as from 16 bits, is shown as a notification.

    For a folder, the image's metadata name the folder, from which the Image list dock lists the
    other images; in a viewer that dock is opened.

    Returns
    -------
    The image, and a Labels layer for each target that the dataset's grader 1 annotated. Masks that
    cannot be read are left out with a warning in the viewer.

    Raises
    ------
    Sam2LoraError
        If the image cannot be read, or the folder holds no dataset and no image that can be read.
        In a viewer it is a notification instead: napari would begin with a long sentence about
        plugins.
    """
    return _notified(_read, path)


def _read(path: Paths) -> list[LayerData]:
    file = _only_path(path)
    if not file.is_dir():
        return _notify_of_conversion(read_image_layers(image_file_at(file)))
    folder = file.absolute()
    listing = list_image_folder(folder)
    layers = _read_first(listing, folder)
    if len(listing.images) > 1 and (viewer := current_viewer()) is not None:
        from napari_sam2lora.image_list.dock import open_once_shown

        open_once_shown(viewer, folder)
    return _notify_of_conversion(layers)


def _read_first(listing: ImageFolder, folder: Path) -> list[LayerData]:
    """Read the image that was left last, or the next that can be read; a warning names the others.

    Raises
    ------
    Sam2LoraError
        If none can be read; the error is that of the first.
    """
    corrections, errors = Corrections(listing.source), []
    start = start_of(listing.images, corrections)
    for image_file in (*listing.images[start:], *listing.images[:start]):
        try:
            layers = read_image_layers(image_file, corrections=corrections, listed_in=folder)
        except Sam2LoraError as error:
            errors.append(error)
            continue
        if errors:
            others = f" {len(errors) - 1} more cannot be read either." if len(errors) > 1 else ""
            text = f"{errors[0]}{others} {image_file.stem} is shown instead."
            notify(text, kind="warning")
        return layers
    raise errors[0]


def read_adapter(path: Paths) -> list[Any]:
    """Install an adapter, and notify the user; no layer is added.

    Raises
    ------
    Sam2LoraError
        If the adapter is damaged, cannot be written, or its name already exists. In a viewer it is
        a notification instead.
    """

    def install(path: Paths) -> list[Any]:
        import_and_notify(_only_path(path))
        return _NO_LAYER

    return _notified(install, path)


def _notified(read: Reader, path: Paths) -> list[Any]:
    """Read, and show an error that the user can cause as a notification where there is a viewer."""
    viewer = current_viewer()
    try:
        layers = read(path)
    except Sam2LoraError as error:
        if viewer is None:
            raise
        notify(str(error))
        return _NO_LAYER
    if viewer is not None:
        match_brushes_once_shown(viewer, layers)
    return layers


def _notify_of_conversion(layers: list[LayerData]) -> list[LayerData]:
    """Show how the image was converted on reading; return its layers."""
    options = layers[0][1]
    if note := options["metadata"][METADATA_KEY]["note"]:
        notify(f"{options['name']} was converted on reading: {note}.", kind="info")
    return layers


def _only_path(path: Paths) -> Path:
    only = _only(path)
    if only is None:
        raise ValueError(f"One path was expected, not {path!r}.")
    return Path(only)


def _only(path: Paths) -> str | None:
    if isinstance(path, str | os.PathLike):
        return os.fspath(path)
    return os.fspath(path[0]) if len(path) == 1 else None


def _has_images(folder: Path) -> bool:
    for parent, folders, files in os.walk(folder, followlinks=True):
        if any(is_image_file(Path(parent, name)) for name in files):
            return True
        if len(Path(parent).relative_to(folder).parts) == _DEPTH:
            folders.clear()
    return False

"""The images of an opened folder, one of which a viewer shows at a time.

Painted masks are saved by `sam2lora.annotations.store`, never next to the images. Another image is
shown only after that has succeeded.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels, Layer, Points
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, fingerprint, masks_of
from napari_sam2lora.layers.loading import (
    ImageFile,
    list_image_folder,
    read_image_layer,
    read_image_layers,
    start_of,
)
from napari_sam2lora.layers.lookup import AREA, layer_data, linked_layers
from napari_sam2lora.layers.masks import is_as_predicted
from napari_sam2lora.layers.metadata import plugin_metadata, with_plugin_metadata
from napari_sam2lora.layers.points import is_point, read_point
from napari_sam2lora.layers.refill import remove, show_instead
from napari_sam2lora.qt.dock_protocol import NextImage
from sam2lora.annotations.points import PointAnnotation
from sam2lora.annotations.store import Corrections
from sam2lora.errors import GeometryError
from sam2lora.inference.confidence_file import read_confidences
from sam2lora.targets import selectable_targets
from sam2lora.types import Mask


class ImageList:
    """The images of one folder, of which a viewer shows one.

    Parameters
    ----------
    viewer
        The viewer that shows the current image.
    folder
        The folder as it was opened.

    Attributes
    ----------
    folder
        The folder as it was opened.
    source
        What the corrections are stored for: the dataset's folder or table, else the folder.
    images
        The image files.
    current
        Index of the current image; None while none is shown.
    corrections
        The store of corrected masks.
    confidences
        How sure predictions are, 0…1, by path of the image and by target, as far as it is known:
        those of the folder's `confidence.csv`, and what was predicted since.

    Raises
    ------
    DatasetError
        If there is no image in the folder.
    """

    def __init__(self, viewer: Viewer, folder: Path) -> None:
        listing = list_image_folder(folder)
        self.folder = folder
        self.source = listing.source
        self.images = self._listed = listing.images
        self.corrections = Corrections(listing.source)
        self.current: int | None = None
        stored = read_confidences(folder)
        self.confidences = {
            str(one.path): dict(stored.get(one.path.name, {})) for one in listing.images
        }
        self._viewer = viewer

    @property
    def path(self) -> str | None:
        """Path of the current image; None while none is shown."""
        return None if self.current is None else str(self._current_file().path)

    @property
    def start(self) -> int:
        """Index of the image that was left when the folder was open last, or else 0."""
        return start_of(self.images, self.corrections)

    def find(self, path: str) -> int | None:
        """Return the index of the image with this path, or None."""
        paths = [str(image_file.path) for image_file in self.images]
        return paths.index(path) if path in paths else None

    def confidence(self, image_file: ImageFile) -> float | None:
        """Return the lowest confidence of an image's predictions; None if none is known."""
        return min(self.confidences[str(image_file.path)].values(), default=None)

    def note_confidence(self, path: str, target: str, confidence: float | None) -> None:
        """Remember how sure a prediction is; of an image that is not listed, nothing."""
        known = self.confidences.get(path)
        if known is not None:
            known.pop(target, None)
            if confidence is not None:
                known[target] = confidence

    def sort(self, *, least_sure_first: bool) -> None:
        """Sort the images by confidence, those without one last; or as they were listed."""
        shown = None if self.current is None else self._current_file()
        self.images = list(self._listed)
        if least_sure_first:
            self.images.sort(key=self._sorting_key)
        self.current = None if shown is None else self.images.index(shown)

    def _sorting_key(self, image_file: ImageFile) -> float:
        known = self.confidence(image_file)
        return 2.0 if known is None else known

    def after(self, number: int) -> int | None:
        """Return the index of the image after one; None at the end."""
        return number + 1 if number + 1 < len(self.images) else None

    def next_image(self) -> NextImage | None:
        """Return the image after the current one; None at the end."""
        number = None if self.current is None else self.after(self.current)
        if number is None:
            return None
        image_file = self.images[number]
        masks = set() if image_file.record is None else {*image_file.record.masks}
        stem = image_file.stem
        masks |= {name for name in selectable_targets() if self.corrections.has(stem, name)}
        return NextImage(
            str(image_file.path), partial(read_image_layer, image_file), frozenset(masks)
        )

    def go(self, number: int, *, after: "ImageList | None" = None) -> None:
        """Show another image with its corrections instead of the current one.

        The layers of the current image and its masks show the other ones once painted masks are
        saved, and what else belongs to it leaves the viewer; layers of other origin stay.

        Parameters
        ----------
        number
            Index of the image.
        after
            The list whose current image is replaced, if it is not this one.

        Raises
        ------
        Sam2LoraError
            If a mask cannot be saved, or the other image cannot be read; nothing changes then.
        """
        before = after or self
        before.save()
        layers = self._read(self.images[number])
        selected = self._selected_target()
        shape = before._image_shape()
        self._show(layers, before._leave(), number, selected)
        if self._image_shape() != shape:
            self._viewer.fit_to_view()

    def adopt(self, number: int) -> None:
        """Make an image of the list that was added to the viewer the current one.

        Raises
        ------
        Sam2LoraError
            If the masks of the image before cannot be saved.
        """
        if number != self.current:
            self.leave()
        self.current = number

    def leave(self) -> None:
        """Save painted masks, and remove the current image from the viewer.

        Raises
        ------
        Sam2LoraError
            If a mask cannot be saved.
        """
        self.save()
        remove(self._viewer, self._leave())

    def unsaved(self) -> dict[str, Mask]:
        """Return the masks that changed since they were read or saved, by target name.

        Raises
        ------
        TargetError
            If two layers show the same target of the image.
        """
        masks = masks_of([layer_data(layer) for layer in self._mask_layers()])
        saved = {
            plugin_metadata(layer.metadata)["target"]: plugin_metadata(layer.metadata).get("saved")
            for layer in self._mask_layers()
        }
        return {name: mask for name, mask in masks.items() if fingerprint(mask) != saved[name]}

    def unsaved_points(self) -> dict[str, PointAnnotation | None]:
        """Return the accepted points that changed since they were read or saved, by target name.

        None stands for a point that was saved, and is there no longer.
        """
        changed: dict[str, PointAnnotation | None] = {}
        for layer in self._point_layers():
            about, point = plugin_metadata(layer.metadata), read_point(layer)
            kept = None
            if point is not None and point.accepted:
                kept = PointAnnotation(
                    target=about["target"], x=point.x, y=point.y, confidence=point.confidence
                )
            if (kept and kept.model_dump()) != about.get("saved"):
                changed[about["target"]] = kept
        return changed

    def save(self) -> list[str]:
        """Save the masks and points of the current image that changed.

        Returns
        -------
        The names of their targets.

        Raises
        ------
        Sam2LoraError
            If a mask or a point cannot be saved.
        """
        changed = self.unsaved()
        if changed:
            self._save_masks(changed)
        return [*changed, *self._save_points()]

    def set_done(self, number: int, done: bool) -> None:
        """Set whether an image is done; marking the current image as done saves all its masks.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved.
        """
        if done and number == self.current:
            self._save_masks(masks_of([layer_data(layer) for layer in self._mask_layers()]))
            self._save_points()
        self.corrections.set_done(self.images[number].stem, done)

    def forget(self) -> None:
        """Delete the corrections of the current image, and show the dataset's masks.

        Raises
        ------
        Sam2LoraError
            If they cannot be deleted, or the image cannot be read again.
        """
        image_file, number = self._current_file(), self.images.index(self._current_file())
        self.corrections.forget(image_file.stem)
        image, *masks = self._read(image_file)
        selected = self._selected_target()
        shown = [layer for layer in self._image_layers() if _is_image(layer)]
        before = [*shown, *self._mask_layers(), *self._point_layers()]
        if shown:  # the same pixels, so that predictions stay valid
            image = (shown[0].data, *image[1:])
        for layer in self._point_layers():
            layer.data = np.empty((0, 2))  # as if deleted by hand, so that no dock shows it again
        self._leave()
        self._show([image, *masks], before, number, selected)

    def _save_masks(self, masks: dict[str, Mask]) -> None:
        image_file, shape = self._current_file(), self._image_shape()
        for name, mask in masks.items():
            if shape is not None and mask.shape != shape:
                raise GeometryError(
                    f"The {name} mask of {image_file.stem} has shape {mask.shape}, its image "
                    f"{shape}: it cannot be saved. Delete the layer, or save it to a file."
                )
        self.corrections.save(image_file.stem, image_file.path, masks)
        predicted = {}
        for layer in self._mask_layers():
            target = plugin_metadata(layer.metadata)["target"]
            if target in masks:
                predicted[target] = is_as_predicted(layer, masks[target])
                saved = fingerprint(masks[target])
                layer.metadata = with_plugin_metadata(layer.metadata, saved=saved)
        self.corrections.set_as_predicted(image_file.stem, predicted)

    def _save_points(self) -> list[str]:
        """Save the points that changed, and return the names of their targets."""
        points = self.unsaved_points()
        if points:
            image_file = self._current_file()
            self.corrections.save_points(image_file.stem, image_file.path, points)
        for layer in self._point_layers():
            target = plugin_metadata(layer.metadata)["target"]
            if target in points:
                point = points[target]
                saved = None if point is None else point.model_dump()
                layer.metadata = with_plugin_metadata(layer.metadata, saved=saved)
        return list(points)

    def _current_file(self) -> ImageFile:
        if self.current is None:
            raise ValueError("No image of the list is shown.")
        return self.images[self.current]

    def _read(self, image_file: ImageFile) -> list[LayerData]:
        return read_image_layers(image_file, corrections=self.corrections, listed_in=self.folder)

    def _show(
        self, new: Sequence[LayerData], before: Sequence[Layer], number: int, selected: str | None
    ) -> None:
        """Show an image of the list in the layers of the one before.

        The selected layer stays selected, or else the mask of its target, or else the image.
        """
        image, *masks = new
        active = self._viewer.layers.selection.active
        shown = show_instead(self._viewer, before, image, masks)
        self.current = number
        self.corrections.set_position(self.images[number].stem)
        for area in self._area_layers():
            area.visible = True
        same = (one for one in shown if plugin_metadata(one.metadata).get("target") == selected)
        stays = active in self._image_layers() and active.visible  # none that was set aside
        self._viewer.layers.selection.active = active if stays else next(same, shown[0])

    def _leave(self) -> list[Layer]:
        """Return the current image's layers; from then on, there is no current image.

        Its annotated area stays in the viewer, hidden, since the Train dock uses it.
        """
        layers = self._image_layers()
        for area in self._area_layers():
            area.visible = False
        self.current = None
        return layers

    def _image_layers(self) -> list[Layer]:
        """Return the current image's layer, masks, prompts and views, without its area."""
        areas = self._area_layers()
        return [layer for layer in self._layers_of_current() if layer not in areas]

    def _area_layers(self) -> list[Layer]:
        """Return the layers that outline the annotated area of the current image."""
        return [
            layer
            for layer in self._layers_of_current()
            if plugin_metadata(layer.metadata).get("view") == AREA
        ]

    def _layers_of_current(self) -> list[Layer]:
        """Return all layers that belong to the current image, from bottom to top."""
        layers, path = self._viewer.layers, self.path
        if path is None:
            return []
        linked = linked_layers(layers, path)
        return [
            layer
            for layer in layers
            if layer in linked or plugin_metadata(layer.metadata).get("path") == path
        ]

    def _mask_layers(self) -> list[Labels]:
        labels = (layer for layer in self._image_layers() if isinstance(layer, Labels))
        about = [(layer, plugin_metadata(layer.metadata)) for layer in labels]
        return [layer for layer, entries in about if "target" in entries and "view" not in entries]

    def _point_layers(self) -> list[Points]:
        return [layer for layer in self._image_layers() if is_point(layer)]

    def _image_shape(self) -> tuple[int, ...] | None:
        """Return the `(H, W)` of the current image; None without one."""
        images = (layer for layer in self._image_layers() if isinstance(layer, Image))
        return next((image.data.shape[:2] for image in images if image.rgb), None)

    def _selected_target(self) -> str | None:
        active = self._viewer.layers.selection.active
        return plugin_metadata(active.metadata).get("target") if active is not None else None


def _is_image(layer: Layer) -> bool:
    return isinstance(layer, Image) and "view" not in plugin_metadata(layer.metadata)

"""The image of a list that a viewer shows, and its masks and points, which are kept in a store.

Painted masks are saved by `sam2lora.annotations.store`, never next to the images. Another image is
shown only after that has succeeded.
"""

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Image, Labels, Layer, Points
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, fingerprint, masks_of
from napari_sam2lora.layers.insertion import set_points
from napari_sam2lora.layers.loading import ImageFile, read_image_layers
from napari_sam2lora.layers.lookup import AREA, layer_data, linked_layers
from napari_sam2lora.layers.masks import is_as_predicted
from napari_sam2lora.layers.metadata import plugin_metadata, with_plugin_metadata
from napari_sam2lora.layers.points import is_point, read_point
from napari_sam2lora.layers.refill import remove, show_instead
from sam2lora.annotations.points import PointAnnotation
from sam2lora.annotations.store import Corrections
from sam2lora.errors import GeometryError
from sam2lora.types import Mask


class ShownImage:
    """One image of a list at a time in a viewer; what is painted into its masks is kept.

    Parameters
    ----------
    viewer
        The viewer.
    corrections
        Where masks and points are kept.
    listed_in
        The folder that was opened as a list; None if images are listed otherwise.
    saves
        Whether what is painted or accepted is saved; otherwise it is dropped with its image.

    Attributes
    ----------
    corrections
        As given.
    file
        The image; None while none is shown.
    """

    def __init__(
        self,
        viewer: Viewer,
        corrections: Corrections,
        *,
        listed_in: Path | None = None,
        saves: bool = True,
    ) -> None:
        self.corrections = corrections
        self.file: ImageFile | None = None
        self._viewer, self._listed_in, self._saves = viewer, listed_in, saves

    @property
    def path(self) -> str | None:
        """Path of the image, which is its id; None while none is shown."""
        return None if self.file is None else str(self.file.path)

    def show(self, image_file: ImageFile, *, after: "ShownImage | None" = None) -> None:
        """Show another image with its corrections instead of the current one.

        The layers of the current image and its masks show the other ones once painted masks are
        saved, and what else belongs to it leaves the viewer; layers of other origin stay.

        Parameters
        ----------
        image_file
            The image.
        after
            The one that is replaced, if it is not this.

        Raises
        ------
        Sam2LoraError
            If a mask cannot be saved, or the other image cannot be read; nothing changes then.
        """
        before = after or self
        before.save()
        layers = self._read(image_file)
        selected = self._selected_target()
        shape = before._image_shape()
        self._show(layers, before._leave(), image_file, selected)
        if self._image_shape() != shape:
            self._viewer.fit_to_view()

    def adopt(self, image_file: ImageFile) -> None:
        """Make an image that was added to the viewer the current one.

        Raises
        ------
        Sam2LoraError
            If the masks of the image before cannot be saved.
        """
        if image_file != self.file:
            self.leave()
        self.file = image_file

    def leave(self) -> None:
        """Save painted masks, and remove the image from the viewer.

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
        masks = masks_of([layer_data(layer) for layer in self.mask_layers()])
        saved = {
            plugin_metadata(layer.metadata)["target"]: plugin_metadata(layer.metadata).get("saved")
            for layer in self.mask_layers()
        }
        return {name: mask for name, mask in masks.items() if fingerprint(mask) != saved[name]}

    def unsaved_points(self) -> dict[str, PointAnnotation | None]:
        """Return the accepted points that changed since they were read or saved, by target name.

        None stands for a point that was saved, and is there no longer.
        """
        changed: dict[str, PointAnnotation | None] = {}
        for layer in self.point_layers():
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
        if not self._saves:
            return []
        changed = self.unsaved()
        if changed:
            self._save_masks(changed)
        return [*changed, *self._save_points()]

    def save_all(self) -> None:
        """Save all masks of the image, and the points that changed.

        Raises
        ------
        Sam2LoraError
            If a mask or a point cannot be saved.
        """
        self._save_masks(masks_of([layer_data(layer) for layer in self.mask_layers()]))
        self._save_points()

    def show_stored(self) -> None:
        """Read the masks and points again, and show them in place of those in the viewer.

        Raises
        ------
        ImageError
            If the image cannot be read.
        """
        image_file = self._current()
        image, *masks = self._read(image_file)
        selected = self._selected_target()
        shown = [layer for layer in self._image_layers() if _is_image(layer)]
        before = [*shown, *self.mask_layers(), *self.point_layers()]
        if shown:  # the same pixels, so that predictions stay valid
            image = (shown[0].data, *image[1:])
        for layer in self.point_layers():
            set_points(layer, [])  # as if deleted by hand, so that no dock shows it again
        self._leave()
        self._show([image, *masks], before, image_file, selected)

    def mask_layers(self) -> list[Labels]:
        """Return the layers of its masks."""
        labels = (layer for layer in self._image_layers() if isinstance(layer, Labels))
        about = [(layer, plugin_metadata(layer.metadata)) for layer in labels]
        return [layer for layer, entries in about if "target" in entries and "view" not in entries]

    def point_layers(self) -> list[Points]:
        """Return the layers of its targets that are points."""
        return [layer for layer in self._image_layers() if is_point(layer)]

    def _save_masks(self, masks: dict[str, Mask]) -> None:
        image_file, shape = self._current(), self._image_shape()
        for name, mask in masks.items():
            if shape is not None and mask.shape != shape:
                raise GeometryError(
                    f"The {name} mask of {image_file.stem} has shape {mask.shape}, its image "
                    f"{shape}: it cannot be saved. Delete the layer, or save it to a file."
                )
        self.corrections.save(image_file.stem, image_file.path, masks)
        predicted = {}
        for layer in self.mask_layers():
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
            image_file = self._current()
            self.corrections.save_points(image_file.stem, image_file.path, points)
        for layer in self.point_layers():
            target = plugin_metadata(layer.metadata)["target"]
            if target in points:
                point = points[target]
                saved = None if point is None else point.model_dump()
                layer.metadata = with_plugin_metadata(layer.metadata, saved=saved)
        return list(points)

    def _current(self) -> ImageFile:
        if self.file is None:
            raise ValueError("No image of the list is shown.")
        return self.file

    def _read(self, image_file: ImageFile) -> list[LayerData]:
        return read_image_layers(
            image_file, corrections=self.corrections, listed_in=self._listed_in
        )

    def _show(
        self,
        new: Sequence[LayerData],
        before: Sequence[Layer],
        image_file: ImageFile,
        selected: str | None,
    ) -> None:
        """Show an image of the list in the layers of the one before.

        The selected layer stays selected, or else the mask of its target, or else the image.
        """
        image, *masks = new
        active = self._viewer.layers.selection.active
        shown = show_instead(self._viewer, before, image, masks)
        self.file = image_file
        self.corrections.set_position(image_file.stem)
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
        self.file = None
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

    def _image_shape(self) -> tuple[int, ...] | None:
        """Return the `(H, W)` of the current image; None without one."""
        images = (layer for layer in self._image_layers() if isinstance(layer, Image))
        return next((image.data.shape[:2] for image in images if image.rgb), None)

    def _selected_target(self) -> str | None:
        active = self._viewer.layers.selection.active
        return plugin_metadata(active.metadata).get("target") if active is not None else None


def _is_image(layer: Layer) -> bool:
    return isinstance(layer, Image) and "view" not in plugin_metadata(layer.metadata)

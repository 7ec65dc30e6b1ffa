"""The photographs of an opened folder in one viewer: one is shown, and no correction is lost.

What is painted into a mask is kept by `sam2lora.annotations.store`, never beside the images. A step
to another image happens only after that has succeeded.
"""

from collections.abc import Iterable
from pathlib import Path

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, fingerprint, masks_of
from napari_sam2lora.layers.loading import ImageFile, list_image_folder, read_image_layers
from napari_sam2lora.layers.lookup import AREA, layer_data, linked_layers
from napari_sam2lora.layers.metadata import METADATA_KEY, plugin_metadata
from sam2lora.annotations.store import Corrections
from sam2lora.errors import GeometryError
from sam2lora.types import Mask


class ImageList:
    """The images of one folder, of which a viewer shows one.

    Parameters
    ----------
    viewer
        Where they are shown.
    folder
        As it was opened.

    Attributes
    ----------
    images
        All of them.
    current
        Number of the one that is shown; None before any is.
    corrections
        What is kept of them.

    Raises
    ------
    DatasetError
        If there is no image in the folder.
    """

    def __init__(self, viewer: Viewer, folder: Path) -> None:
        listing = list_image_folder(folder)
        self.folder = folder
        self.source = listing.source
        self.images = listing.images
        self.corrections = Corrections(listing.source)
        self.current: int | None = None
        self._viewer = viewer

    @property
    def path(self) -> str | None:
        """File of the image that is shown."""
        return None if self.current is None else str(self._present().path)

    def find(self, path: str) -> int | None:
        """Give the number of the image in a file; None if it is not one of the list."""
        paths = (str(photograph.path) for photograph in self.images)
        return next((number for number, one in enumerate(paths) if one == path), None)

    def go(self, number: int) -> None:
        """Show another image, with its corrections, in place of the present one.

        The layers of the present one are taken out of the viewer after what was painted is saved;
        layers that do not belong to it stay.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved, or the other image cannot be read. All stays as it was.
        """
        self.save()
        layers = self._read(self.images[number])
        selected = self._selected_target()
        shape = self._shape()
        self._take_out()
        self.current = number
        self._show(layers, selected)
        if self._shape() != shape:
            self._viewer.fit_to_view()

    def adopt(self, number: int) -> None:
        """Follow an image of the list that something else has put into the viewer.

        Raises
        ------
        Sam2LoraError
            If what was painted into the image before cannot be saved.
        """
        if number != self.current:
            self.save()
            self._take_out()
        self.current = number

    def leave(self) -> None:
        """Save what was painted, and take the present image out of the viewer.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved.
        """
        self.save()
        self._take_out()

    def unsaved(self) -> dict[str, Mask]:
        """Give the masks that are not as they were read or last saved, by target.

        Raises
        ------
        TargetError
            If two layers show the same target of the image.
        """
        masks = masks_of([layer_data(layer) for layer in self._labels()])
        saved = {
            plugin_metadata(layer.metadata)["target"]: plugin_metadata(layer.metadata).get("saved")
            for layer in self._labels()
        }
        return {name: mask for name, mask in masks.items() if fingerprint(mask) != saved[name]}

    def save(self) -> list[str]:
        """Keep what was painted into the present image.

        Returns
        -------
        The targets that had changed.

        Raises
        ------
        Sam2LoraError
            If it cannot be kept; the message says why.
        """
        changed = self.unsaved()
        if changed:
            self._keep(changed)
        return list(changed)

    def set_done(self, number: int, done: bool) -> None:
        """Remember whether an image is done; of the present one, all masks are kept then.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved.
        """
        photograph = self.images[number]
        if done and number == self.current:
            self._keep(masks_of([layer_data(layer) for layer in self._labels()]))
        self.corrections.set_done(photograph.stem, done)

    def forget(self) -> None:
        """Go back to the data set's masks of the present image; what was painted is gone.

        Raises
        ------
        Sam2LoraError
            If it cannot be forgotten, or the image cannot be read again.
        """
        photograph, number = self._present(), self.current
        self.corrections.forget(photograph.stem)
        layers = self._read(photograph)
        selected = self._selected_target()
        self._take_out()
        self.current = number
        self._show(layers, selected)

    def _keep(self, masks: dict[str, Mask]) -> None:
        photograph = self._present()
        shape = self._shape()
        for name, mask in masks.items():
            if shape is not None and mask.shape != shape:
                raise GeometryError(
                    f"The {name} mask of {photograph.stem} has shape {mask.shape}, its image "
                    f"{shape}: it cannot be kept. Delete that layer, or save it elsewhere."
                )
        self.corrections.save(photograph.stem, photograph.path, masks)
        for layer in self._labels():
            known = plugin_metadata(layer.metadata)
            if known["target"] in masks:
                saved = {**known, "saved": fingerprint(masks[known["target"]])}
                layer.metadata = {**layer.metadata, METADATA_KEY: saved}

    def _present(self) -> ImageFile:
        if self.current is None:
            raise ValueError("No image of the list is shown.")
        return self.images[self.current]

    def _read(self, photograph: ImageFile) -> list[LayerData]:
        return read_image_layers(photograph, corrections=self.corrections, listed_in=self.folder)

    def _show(self, layers: Iterable[LayerData], selected: str | None) -> None:
        added = [self._viewer.add_layer(Layer.create(*layer)) for layer in layers]
        for area in self._areas():
            area.visible = True
        same = (one for one in added if plugin_metadata(one.metadata).get("target") == selected)
        self._viewer.layers.selection.active = next(same, added[0])

    def _take_out(self) -> None:
        """Take the present image out of the viewer; from then on no image is.

        Its annotated area stays, hidden: a training asks for it.
        """
        layers = self._own_layers()
        for area in self._areas():
            area.visible = False
        self.current = None
        # Removing a selected layer makes napari draw in between, which has crashed OpenGL.
        self._viewer.layers.selection.difference_update(layers)
        for layer in layers:
            self._viewer.layers.remove(layer)

    def _own_layers(self) -> list[Layer]:
        """Give the present image's layers: itself, its masks and its views, but no area."""
        areas = self._areas()
        return [layer for layer in self._all_layers() if layer not in areas]

    def _areas(self) -> list[Layer]:
        """Give the layers that say which part of the present image was annotated."""
        return [
            one for one in self._all_layers() if plugin_metadata(one.metadata).get("view") == AREA
        ]

    def _all_layers(self) -> list[Layer]:
        if self.current is None:
            return []
        layers, path = self._viewer.layers, self.path
        linked = linked_layers(layers, path)
        return [
            one
            for one in layers
            if one in linked or plugin_metadata(one.metadata).get("path") == path
        ]

    def _labels(self) -> list[Labels]:
        own = (layer for layer in self._own_layers() if isinstance(layer, Labels))
        return [layer for layer in own if "target" in plugin_metadata(layer.metadata)]

    def _shape(self) -> tuple[int, ...] | None:
        """Give the (H, W) of the present image; None without one."""
        images = (layer for layer in self._own_layers() if isinstance(layer, Image))
        return next((image.data.shape[:2] for image in images if image.rgb), None)

    def _selected_target(self) -> str | None:
        active = self._viewer.layers.selection.active
        return plugin_metadata(active.metadata).get("target") if active is not None else None

"""The answer as a layer of its own, and how it becomes part of the target's mask.

The layer holds probabilities. Where they reach the threshold they are shown, pale where they just
do and in the target's full color where they are near 1; nothing is computed when the threshold
moves. A mask that was accepted has one flat color.
"""

from collections.abc import Container

import numpy as np
from napari.layers import Image, Layer
from napari.utils import Colormap
from napari.utils.colormaps.standardize_color import transform_color
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import view_layer
from napari_sam2lora.layers.insertion import add_quietly, lift_above, set_visible
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import (
    TargetKey,
    image_id,
    plugin_metadata,
    with_plugin_metadata,
)
from sam2lora.targets import Target
from sam2lora.transforms.windows import Values

_STEP = 1e-4  # of the range above the threshold: below it a pixel is invisible


class PreviewLayers:
    """The previews in one viewer.

    Parameters
    ----------
    viewer
        Where the layers are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._present: str | None = None
        self._waiting: set[TargetKey] = set()  # hidden as long as another image is the present one

    def find(self, place: TargetKey) -> Image | None:
        """Give the preview of a target in an image, if there is one."""
        return next((layer for of, layer in self._all() if of == place), None)

    def show(self, image: Image, target: Target, values: Values, *, threshold: float) -> Image:
        """Show an answer above its image, in place of the one before.

        Parameters
        ----------
        image, target
            Of what.
        values
            `(H, W)` float32 in 0…1; the layer keeps the array.
        threshold
            Probability from which they are shown.
        """
        place = (image_id(image.metadata, image.name), target.name)
        layer = self.find(place)
        if layer is None or layer.data.shape != values.shape:
            if layer is not None:
                self._viewer.layers.remove(layer)
            layer = self._add(image, target, values)
        else:
            layer.data[...] = values
            # The extent is the same; drawing the thumbnail anew would take as long as all the rest.
            layer.refresh(extent=False, thumbnail=False, highlight=False)
            lift_above(self._viewer, layer, image, self._place_for(image))
        self.set_threshold(layer, threshold)
        if self._present in (None, place[0]):
            set_visible(layer, True)
        else:
            set_visible(layer, False)
            self._waiting.add(place)
        return layer

    def show_only(self, key: str | None) -> None:
        """Hide the previews of other images than this; those that were shown come back with theirs.

        Parameters
        ----------
        key
            Of the image; None hides nothing.
        """
        self._present = key
        for place, layer in self._all():
            if place[0] == key and place in self._waiting:
                self._waiting.remove(place)
                set_visible(layer, True)
            elif key not in (None, place[0]) and layer.visible:
                self._waiting.add(place)
                set_visible(layer, False)

    def keep_only(self, images: Container[str]) -> None:
        """Remove the previews of all images but those with these ids."""
        for place, layer in self._all():
            if place[0] not in images:
                self._waiting.discard(place)
                self._viewer.layers.selection.discard(layer)
                self._viewer.layers.remove(layer)

    def set_threshold(self, layer: Image, threshold: float) -> None:
        """Show what has at least this probability."""
        limits = [threshold - _STEP * (1 - threshold), 1.0]
        if layer.contrast_limits != limits:
            layer.contrast_limits = limits

    def _add(self, image: Image, target: Target, values: Values) -> Image:
        data, options, kind = view_layer(
            "preview",
            values.copy(),
            layer_data(image),
            "image",
            colormap=_colormap(target),
            contrast_limits=(0.5, 1.0),
            blending="translucent",
            opacity=0.75,
        )
        options["name"] = f"{image.name} {target.name} preview"
        options["metadata"] = with_plugin_metadata(options["metadata"], target=target.name)
        layer = Layer.create(data, options, kind)
        layer.contrast_limits_range = (0.0, 1.0)
        add_quietly(self._viewer, layer, self._place_for(image))
        return layer

    def _all(self) -> list[tuple[TargetKey, Image]]:
        known = [(layer, plugin_metadata(layer.metadata)) for layer in self._viewer.layers]
        return [
            ((about["image"], about["target"]), layer)
            for layer, about in known
            if about.get("view") == "preview" and isinstance(layer, Image)
        ]

    def _place_for(self, image: Image) -> int:
        """Give the place under the lowest layer of an image's prompts, but above the image."""
        layers, key = self._viewer.layers, image_id(image.metadata, image.name)
        known = [plugin_metadata(one.metadata) for one in layers]
        numbers = [n for n, one in enumerate(known) if "prompts" in one and one["image"] == key]
        lowest = layers.index(image) + 1 if image in layers else 0
        return max(min(numbers, default=len(layers)), lowest)


def _colormap(target: Target) -> Colormap:
    color = transform_color(target.color)[0]
    pale = np.minimum(0.55 * color + 0.45, 1.0)
    pale[3] = 0.55
    return Colormap(
        np.array([(0, 0, 0, 0), pale, color]),
        controls=[0.0, _STEP, 1.0],
        name=f"{target.name} preview",
    )

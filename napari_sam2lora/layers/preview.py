"""Show predictions as preview layers.

A preview holds probabilities. Those below the threshold are transparent; above it, the color goes
from pale to the target's full color at 1. Moving the threshold only changes the contrast limits,
nothing is computed. An accepted mask has one flat color.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
from sam2lora.targets import Target, all_targets
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask

_STEP = 1e-4  # fraction of the range above the threshold over which the opacity sets in


class PreviewLayers:
    """The previews in one viewer.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._current: str | None = None  # id of the current image
        self._hidden: set[TargetKey] = set()  # shown again when their image is the current one

    def find(self, key: TargetKey) -> Image | None:
        """Return the preview of a target in an image, or None."""
        return next((layer for of, layer in self._all() if of == key), None)

    def show(
        self,
        image: Image,
        target: Target,
        values: Values,
        *,
        threshold: float,
        confidence: float | None = None,
    ) -> Image:
        """Show a prediction above its image, replacing the previous one.

        Parameters
        ----------
        image, target
            The image and target that were segmented.
        values
            `(H, W)` float32 probabilities in 0…1; they are copied.
        threshold
            Probability from which they are visible.
        confidence
            How sure the prediction is, 0…1; None if that is not known.

        Returns
        -------
        The preview layer; hidden unless its image is the current one.
        """
        key = (image_id(image.metadata, image.name), target.name)
        layer = self.find(key)
        if layer is None or layer.data.shape != values.shape:
            if layer is not None:
                self._viewer.layers.remove(layer)
            layer = self._add(image, target, values)
        else:
            layer.data[...] = values
            # The extent is unchanged; the thumbnail alone would take as long as all the rest.
            layer.refresh(extent=False, thumbnail=False, highlight=False)
            lift_above(self._viewer, layer, image, self._index_for(image, target))
        layer.metadata = with_plugin_metadata(layer.metadata, confidence=confidence)
        self.set_threshold(layer, threshold)
        if self._current in (None, key[0]):
            set_visible(layer, True)
        else:
            set_visible(layer, False)
            self._hidden.add(key)
        return layer

    def show_only(self, image: str | None) -> None:
        """Make an image the current one: hide the previews of others, and show its own again.

        Parameters
        ----------
        image
            Id of the image; None hides nothing.
        """
        self._current = image
        for key, layer in self._all():
            if key[0] == image and key in self._hidden:
                self._hidden.remove(key)
                set_visible(layer, True)
            elif image not in (None, key[0]) and layer.visible:
                self._hidden.add(key)
                set_visible(layer, False)

    def keep_only(self, images: Container[str]) -> None:
        """Remove the previews of all images except those with these ids."""
        for key, layer in self._all():
            if key[0] not in images:
                self._hidden.discard(key)
                self._viewer.layers.selection.discard(layer)
                self._viewer.layers.remove(layer)

    def set_threshold(self, layer: Image, threshold: float) -> None:
        """Set the probability from which a preview is visible."""
        limits = [threshold - _STEP * (1 - threshold), 1.0]
        layer.metadata = with_plugin_metadata(layer.metadata, threshold=threshold)
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
            opacity=0.6,
        )
        options["name"] = f"{image.name} {target.name} preview"
        options["metadata"] = with_plugin_metadata(options["metadata"], target=target.name)
        layer = Layer.create(data, options, kind)
        layer.contrast_limits_range = (0.0, 1.0)
        add_quietly(self._viewer, layer, self._index_for(image, target))
        return layer

    def _all(self) -> list[tuple[TargetKey, Image]]:
        layers = [(layer, plugin_metadata(layer.metadata)) for layer in self._viewer.layers]
        return [
            ((metadata["image"], metadata["target"]), layer)
            for layer, metadata in layers
            if metadata.get("view") == "preview" and isinstance(layer, Image)
        ]

    def _index_for(self, image: Image, target: Target) -> int:
        """Return the index of a preview: above its image, below what it must not cover.

        That is the image's prompts, and its previews of finer targets and of those inside.
        """
        layers, key = self._viewer.layers, image_id(image.metadata, image.name)
        over = [
            index
            for index, layer in enumerate(layers)
            if (metadata := plugin_metadata(layer.metadata)).get("image") == key
            and ("prompts" in metadata or _is_over(metadata, target))
        ]
        lowest = layers.index(image) + 1 if image in layers else 0
        return max(min(over, default=len(layers)), lowest)


@dataclass(frozen=True, eq=False)
class ShownPrediction:
    """A prediction that is shown and not accepted.

    Attributes
    ----------
    mask
        `(H, W)` bool.
    confidence
        How sure it is, 0…1; None if that is not known.
    """

    mask: Mask
    confidence: float | None


def shown_predictions(layers: Iterable[Layer], image: str) -> dict[str, ShownPrediction]:
    """Return the predictions that are shown in an image, given by its id, by target."""
    found = {}
    for layer in layers:
        metadata = plugin_metadata(layer.metadata)
        shown = metadata.get("view") == "preview" and metadata.get("image") == image
        if shown and layer.visible and "threshold" in metadata:
            mask: Mask = np.asarray(layer.data) >= metadata["threshold"]
            found[metadata["target"]] = ShownPrediction(mask, metadata.get("confidence"))
    return found


def _is_over(metadata: Mapping[str, Any], target: Target) -> bool:
    """Check whether a layer is the preview of a target that another one would cover."""
    other = all_targets().get(metadata.get("target", ""))
    if metadata.get("view") != "preview" or other is None:
        return False
    return other.inside == target.name or (other.detail == "tiles") > (target.detail == "tiles")


def _colormap(target: Target) -> Colormap:
    color = transform_color(target.color)[0]
    pale = np.minimum(0.55 * color + 0.45, 1.0)
    pale[3] = 0.55
    return Colormap(
        np.array([(0, 0, 0, 0), pale, color]),
        controls=[0.0, _STEP, 1.0],
        name=f"{target.name} preview",
    )

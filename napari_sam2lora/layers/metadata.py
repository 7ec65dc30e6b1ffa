"""What the plugin notes in the metadata of layers, and what is read from there.

A layer keeps what is known about it where napari keeps it too, so that it may be renamed, moved,
copied and saved.
"""

from collections.abc import Mapping
from typing import Any

from napari.layers import Image

from sam2lora.errors import TargetError
from sam2lora.targets import Target, all_targets

METADATA_KEY = "sam2lora"
"""Key in a layer's metadata under which the plugin keeps what it knows."""


def plugin_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what the plugin noted in a layer's metadata; nothing where something else made it."""
    found = metadata.get(METADATA_KEY, {})
    return found if isinstance(found, Mapping) else {}


def with_plugin_metadata(metadata: Mapping[str, Any], **noted_too: Any) -> dict[str, Any]:
    """Give a layer's metadata with something more noted in it."""
    return {**metadata, METADATA_KEY: {**plugin_metadata(metadata), **noted_too}}


def image_id(metadata: Mapping[str, Any], name: str) -> str:
    """Give what the layers of an image name it by, from its layer's metadata and name.

    That is the path of its file, else its layer's name. A key that was noted counts before both: it
    stays when the layer is renamed, and tells copies from one another.
    """
    known = plugin_metadata(metadata)
    return known.get("key") or known.get("path") or name


def target_in(metadata: Mapping[str, Any], name: str) -> Target:
    """Tell which target a Labels layer shows by its metadata and its name.

    Raises
    ------
    TargetError
        If neither says it.
    """
    targets = all_targets()
    known = plugin_metadata(metadata).get("target") or (name.split() or [""])[-1].lower()
    if known not in targets:
        raise TargetError(
            f"{name}: it is not known what this layer shows. Let its name end in one of: "
            f"{', '.join(targets)}."
        )
    return targets[known]


TargetKey = tuple[str, str]
"""The key of an image, and the name of a target."""


def ensure_image_id(image: Image) -> str:
    """Give the key of an image, and note it, so that it stays when the layer is renamed."""
    key = image_id(image.metadata, image.name)
    if not (
        plugin_metadata(image.metadata).get("path") or plugin_metadata(image.metadata).get("key")
    ):
        image.metadata = with_plugin_metadata(image.metadata, key=key)
    return key

"""Read and write the plugin's entries in the metadata of layers.

They are kept in the layer itself, so that it can be renamed, moved, copied and saved.
"""

from collections.abc import Mapping
from typing import Any

from napari.layers import Image

from sam2lora.errors import TargetError
from sam2lora.targets import Target, all_targets

METADATA_KEY = "sam2lora"
"""Key of the plugin's entries in a layer's metadata."""

TargetKey = tuple[str, str]
"""The id of an image, and the name of a target."""


def plugin_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the plugin's entries in a layer's metadata; empty for a layer of other origin."""
    entries = metadata.get(METADATA_KEY, {})
    return entries if isinstance(entries, Mapping) else {}


def with_plugin_metadata(metadata: Mapping[str, Any], **entries: Any) -> dict[str, Any]:
    """Return a copy of a layer's metadata with entries of the plugin added or replaced."""
    return {**metadata, METADATA_KEY: {**plugin_metadata(metadata), **entries}}


def image_id(metadata: Mapping[str, Any], name: str) -> str:
    """Return the id of an image, from its layer's metadata and name.

    That is the path of its file, else its layer's name. A stored key takes precedence: it survives
    renaming, and distinguishes copies.
    """
    entries = plugin_metadata(metadata)
    return entries.get("key") or entries.get("path") or name


def target_in(metadata: Mapping[str, Any], name: str) -> Target:
    """Return the target of a Labels layer, from its metadata or the last word of its name.

    Raises
    ------
    TargetError
        If neither names a known target.
    """
    targets = all_targets()
    target = plugin_metadata(metadata).get("target") or (name.split() or [""])[-1].lower()
    if target not in targets:
        raise TargetError(
            f"{name}: the target of this layer is unknown. Rename the layer to end in one of: "
            f"{', '.join(targets)}."
        )
    return targets[target]


def ensure_image_id(image: Image) -> str:
    """Return the id of an image; it is stored, so that it stays when the layer is renamed."""
    key = image_id(image.metadata, image.name)
    entries = plugin_metadata(image.metadata)
    if not (entries.get("path") or entries.get("key")):
        image.metadata = with_plugin_metadata(image.metadata, key=key)
    return key

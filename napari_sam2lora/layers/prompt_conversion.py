"""Layers of prompts: points with a sign, and rectangles, of one target in one image.

napari has (row, column), prompts have (x, y); both are turned into each other here.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Layer, Points, Shapes

from napari_sam2lora.layers.conversion import view_layer
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import TargetKey, plugin_metadata, with_plugin_metadata
from sam2lora.prompts.user_prompts import Box, PointPrompt
from sam2lora.targets import Target

Tool = Literal["point", "box"]

POSITIVE, NEGATIVE = "#2ecc40", "#ff4136"
"""Colors of points on and off the target."""

_LEAST_BOX = 2.0  # pixels; a rectangle that is smaller comes from a click


def target_key(layer: Layer) -> TargetKey:
    """Tell which target of which image the prompts of a layer are about."""
    known = plugin_metadata(layer.metadata)
    return known["image"], known["target"]


def prompt_tool(layer: Layer) -> Tool | None:
    """Tell which prompts a layer has; None if it has none.

    One that was turned into a layer of another kind has none, though its metadata are as they were.
    """
    tool: Tool | None = plugin_metadata(layer.metadata).get("prompts")
    kinds: dict[Tool | None, type[Layer]] = {"point": Points, "box": Shapes}
    return tool if tool in kinds and isinstance(layer, kinds[tool]) else None


def read_points(layer: Points) -> tuple[PointPrompt, ...]:
    """Give the points of a layer."""
    signs = layer.features["positive"].to_numpy(dtype=bool)
    return tuple(
        PointPrompt(float(column), float(row), bool(positive))
        for (row, column), positive in zip(layer.data, signs, strict=True)
    )


def write_points(layer: Points, clicks: Sequence[PointPrompt]) -> None:
    """Let a layer have these points alone."""
    layer.data = np.array([(one.y, one.x) for one in clicks]).reshape(-1, 2)
    layer.features = {"positive": np.array([one.positive for one in clicks], bool)}
    layer.selected_data = set()


def newest_box(layer: Shapes) -> Box | None:
    """Give the box around the last shape that is large enough to be meant as one."""
    for corners in reversed(layer.data):
        (y0, x0), (y1, x1) = np.min(corners, axis=0), np.max(corners, axis=0)
        if min(x1 - x0, y1 - y0) >= _LEAST_BOX:
            return float(x0), float(y0), float(x1), float(y1)
    return None


def write_box(layer: Shapes, box: Box | None) -> None:
    """Let a layer have this box alone, or nothing."""
    layer.selected_data = set(range(layer.nshapes))
    layer.remove_selected()
    if box:
        x0, y0, x1, y1 = box
        layer.add([np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])], shape_type="rectangle")
        layer.selected_data = set()


def points_layer(image: Image, target: Target) -> Points:
    """Make an empty layer of points, green on the target and red off it."""
    return _layer(
        image,
        target,
        "point",
        np.empty((0, 2)),
        "points",
        features={"positive": np.empty(0, bool)},
        face_color="positive",
        face_color_cycle={True: POSITIVE, False: NEGATIVE},
        border_color="white",
        border_width=0.15,
        size=max(4.0, max(image.data.shape[:2]) / 60),
    )


def boxes_layer(image: Image, target: Target) -> Shapes:
    """Make an empty layer of rectangles in the target's color."""
    return _layer(
        image,
        target,
        "box",
        [],
        "shapes",
        edge_color=target.color,
        face_color="transparent",
        edge_width=max(1.0, max(image.data.shape[:2]) / 300),
    )


def _layer(image: Image, target: Target, tool: Tool, data: Any, kind: str, **options: Any) -> Any:
    words = "points" if tool == "point" else "box"
    made = view_layer(f"{target.name} {words}", data, layer_data(image), kind, **options)
    made[1]["metadata"] = with_plugin_metadata(
        made[1]["metadata"], prompts=tool, target=target.name
    )
    return Layer.create(*made)

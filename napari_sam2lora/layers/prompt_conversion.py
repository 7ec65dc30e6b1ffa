"""Convert prompts to Points and Shapes layers, and back.

napari's coordinates are (row, column), those of prompts are (x, y).
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Layer, Points, Shapes
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import view_layer
from napari_sam2lora.layers.insertion import set_points
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import TargetKey, plugin_metadata, with_plugin_metadata
from sam2lora.datasets.ellipses import Ellipse
from sam2lora.prompts.outlines import rounded
from sam2lora.prompts.user_prompts import Box, PointPrompt
from sam2lora.targets import Target

Tool = Literal["point", "branch", "box", "outline"]
"""What a click or a drag does. Points and branches are in the same layer, in their order."""

POSITIVE, NEGATIVE = "#2ecc40", "#ff4136"
"""Colors of positive and negative points."""

SYMBOLS = {False: "disc", True: "diamond"}
"""Symbols of points, and of those that add or remove a branch."""

_CIRCLE = 0.06  # radius of a new outline, of the image's longer side
_MIN_BOX_SIDE = 2.0  # pixels; a smaller rectangle comes from a click


def target_key(layer: Layer) -> TargetKey:
    """Return which target of which image the prompts of a layer are for."""
    metadata = plugin_metadata(layer.metadata)
    return metadata["image"], metadata["target"]


def prompt_tool(layer: Layer) -> Tool | None:
    """Return which kind of prompts a layer holds; None if it holds none.

    A layer that was converted to another type holds none, although it kept its metadata.
    """
    tool: Tool | None = plugin_metadata(layer.metadata).get("prompts")
    kinds: dict[Tool | None, type[Layer]] = {"point": Points, "box": Shapes, "outline": Shapes}
    return tool if tool in kinds and isinstance(layer, kinds[tool]) else None


def read_points(layer: Points) -> tuple[PointPrompt, ...]:
    """Return the points of a layer."""
    labels = layer.features["positive"].to_numpy(dtype=bool)
    branches = layer.features["branch"].to_numpy(dtype=bool)
    return tuple(
        PointPrompt(float(column), float(row), bool(positive), bool(branch))
        for (row, column), positive, branch in zip(layer.data, labels, branches, strict=True)
    )


def write_points(layer: Points, points: Sequence[PointPrompt]) -> None:
    """Replace the points of a layer."""
    set_points(layer, [(point.y, point.x) for point in points])
    layer.features = {
        "positive": np.array([point.positive for point in points], bool),
        "branch": np.array([point.branch for point in points], bool),
    }
    if points:
        layer.symbol = [SYMBOLS[point.branch] for point in points]


def newest_box(layer: Shapes) -> Box | None:
    """Return the bounding box of the newest shape that is no mere click; None if there is none."""
    for corners in reversed(layer.data):
        (y0, x0), (y1, x1) = np.min(corners, axis=0), np.max(corners, axis=0)
        if min(x1 - x0, y1 - y0) >= _MIN_BOX_SIDE:
            return float(x0), float(y0), float(x1), float(y1)
    return None


def write_box(layer: Shapes, box: Box | None) -> None:
    """Replace the shapes of a layer by one box, or by none."""
    layer.selected_data = set(range(layer.nshapes))
    layer.remove_selected()
    if box:
        x0, y0, x1, y1 = box
        layer.add([np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])], shape_type="rectangle")
        layer.selected_data = set()


def points_layer(image: Image, target: Target) -> Points:
    """Create an empty Points layer; positive points are green, negative ones red."""
    return _layer(
        image,
        target,
        "point",
        np.empty((0, 2)),
        "points",
        features={"positive": np.empty(0, bool), "branch": np.empty(0, bool)},
        face_color="positive",
        face_color_cycle={True: POSITIVE, False: NEGATIVE},
        border_color="white",
        border_width=0.15,
        size=point_size(image.data.shape[:2]),
    )


def point_size(shape: Sequence[int]) -> float:
    """Return the size of points in an image of shape `(H, W)`, in its pixels."""
    return max(4.0, max(shape) / 60)


def boxes_layer(image: Image, target: Target) -> Shapes:
    """Create an empty Shapes layer for rectangles in the target's color."""
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


def outlines_layer(image: Image, target: Target) -> Shapes:
    """Create an empty Shapes layer for the ellipse around a target."""
    return _layer(
        image,
        target,
        "outline",
        [],
        "shapes",
        edge_color="white",
        face_color="transparent",
        edge_width=max(1.0, max(image.data.shape[:2]) / 400),
    )


def read_outline(layer: Shapes) -> Ellipse | None:
    """Return the newest ellipse of a layer; None if there is none."""
    for corners in reversed(layer.data):
        across, down = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
        rx, ry = float(np.hypot(*across)), float(np.hypot(*down))
        if min(rx, ry) >= _MIN_BOX_SIDE / 2:
            row, column = corners.mean(axis=0)
            angle = float(np.degrees(np.arctan2(across[0], across[1])))
            return rounded(Ellipse(float(column), float(row), rx, ry, angle))
    return None


def write_outline(layer: Shapes, outline: Ellipse | None) -> None:
    """Replace the shapes of a layer by one ellipse, or by none."""
    layer.selected_data = set(range(layer.nshapes))
    layer.remove_selected()
    if outline:
        turned = np.radians(outline.angle)
        across = outline.rx * np.array([np.sin(turned), np.cos(turned)])
        down = outline.ry * np.array([np.cos(turned), -np.sin(turned)])
        corners = [-across - down, across - down, across + down, down - across]
        layer.add([np.array(corners) + np.array((outline.y, outline.x))], shape_type="ellipse")
        layer.selected_data = {0} if layer.mode == "select" else set()


def circle_in_view(viewer: Viewer, image: Image) -> Ellipse:
    """Return a circle of about a disc's size in the middle of what is seen of an image."""
    row, column = image.world_to_data(viewer.scene.camera.center)[-2:]
    height, width = image.data.shape[:2]
    radius = max(_MIN_BOX_SIDE, _CIRCLE * max(height, width))
    x, y = min(max(column, 0), width - 1), min(max(row, 0), height - 1)
    return rounded(Ellipse(float(x), float(y), radius, radius))


def _layer(image: Image, target: Target, tool: Tool, data: Any, kind: str, **options: Any) -> Any:
    noun = {"point": "points", "box": "box", "outline": "outline"}[tool]
    layer = view_layer(f"{target.name} {noun}", data, layer_data(image), kind, **options)
    layer[1]["metadata"] = with_plugin_metadata(
        layer[1]["metadata"], prompts=tool, target=target.name
    )
    return Layer.create(*layer)

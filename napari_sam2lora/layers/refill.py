"""Show another image in the layers of the one before.

Layers that stay keep what the user set: the selected tool, the brush, which masks are hidden. It is
also safer than to remove the layers and add others: without a graphics card, napari crashes in its
next drawing if the last image leaves the viewer and another is added at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, layer_image_id, size_of, view_layer
from napari_sam2lora.layers.insertion import add_quietly, set_points, set_visible
from napari_sam2lora.layers.masks import SPARE, match_brush
from napari_sam2lora.layers.metadata import METADATA_KEY, plugin_metadata, with_plugin_metadata
from napari_sam2lora.layers.points import is_point, point_layer
from napari_sam2lora.layers.prompt_conversion import point_size
from sam2lora.targets import get_target

_UPRIGHT: dict[str, Any] = {"affine": np.eye(3), "rotate": 0, "shear": [0]}
"""What the user may have turned and sheared; images are opened upright."""

_TRANSFORM = ("units", "scale", "translate")


def show_instead(
    viewer: Viewer, before: Sequence[Layer], image: LayerData, masks: Sequence[LayerData]
) -> list[Layer]:
    """Show an image and its masks in the layers of another, and remove those it has no use for.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.
    before
        The layers of the other image: the image itself, masks, prompts, previews and views. Masks
        that are missing are added. Previews are emptied and hidden, prompts emptied, unless they
        follow `layers.prompts`.
    image, masks
        The image and its masks, each with a target, and its points.

    Returns
    -------
    The layer of the image, and those of its masks and points.
    """
    shown = _image_of(before)
    by_target = {target: layer for layer in before if (target := _mask_target(layer))}
    wanted = [plugin_metadata(mask[1]["metadata"])["target"] for mask in masks]
    kept = list(by_target.values())
    tools = [layer for layer in before if _is_tool(layer)]
    located = {_target(layer): layer for layer in before if is_point(layer)}
    stay = [shown, *kept, *tools, *located.values()]
    remove(viewer, [layer for layer in before if layer not in stay])
    for layer in tools:  # first: with the id of the image, results of the one before are put aside
        _empty(layer, image, before="" if shown is None else shown.name)
    if shown is None:
        shown = viewer.add_layer(Layer.create(*image))
    else:
        refill(shown, image)
        set_visible(shown, True)
    for target, layer in by_target.items():
        if target not in wanted:
            set_aside(layer, image)
    layers: list[Layer] = [shown]
    points = [one for one in masks if one[2] == "points"]
    masks = [one for one in masks if one[2] == "labels"]
    for mask in masks:
        target = plugin_metadata(mask[1]["metadata"])["target"]
        index = viewer.layers.index(layers[-1]) + 1
        if target in by_target:
            layer = use_again(by_target[target], mask)
            if viewer.layers.index(layer) < index:  # fine structures lie above compact ones
                viewer.layers.move(viewer.layers.index(layer), index)
            layers.append(layer)
        else:
            layers.append(add_quietly(viewer, Layer.create(*mask), index))
        match_brush(layers[-1])
    return layers + _show_points(viewer, located, image, points)


def _show_points(
    viewer: Viewer, layers: Mapping[str, Layer], image: LayerData, points: Sequence[LayerData]
) -> list[Layer]:
    """Show an image's points in the layers of their targets; those it has none for are empty."""
    wanted = {plugin_metadata(point[1]["metadata"])["target"]: point for point in points}
    for target, layer in layers.items():
        refill(layer, wanted.get(target) or point_layer(image, get_target(target), None))
    new = [point for target, point in wanted.items() if target not in layers]
    own = [layer for target, layer in layers.items() if target in wanted]
    return own + [add_quietly(viewer, Layer.create(*point)) for point in new]


def set_aside(layer: Labels, image: LayerData) -> None:
    """Hide and empty a mask that another image does not have, until the image gets one."""
    target = plugin_metadata(layer.metadata)["target"]
    refill(layer, view_layer(SPARE, np.zeros(size_of(image), np.uint8), image, "labels"))
    layer.metadata = with_plugin_metadata(layer.metadata, target=target)
    layer.name = f"{image[1]['name']} {target} ({SPARE})"
    set_visible(layer, False)


def use_again(layer: Labels, mask: LayerData) -> Labels:
    """Show a mask in a layer of its target; one that was set aside becomes visible."""
    spare = plugin_metadata(layer.metadata).get("view") == SPARE
    refill(layer, mask)
    if spare:
        set_visible(layer, True)
    return layer


def remove(viewer: Viewer, layers: Iterable[Layer]) -> None:
    """Remove layers from a viewer."""
    layers = list(layers)
    # Removing a selected layer makes napari draw in between, which has crashed OpenGL.
    viewer.layers.selection.difference_update(layers)
    for layer in layers:
        viewer.layers.remove(layer)


def refill(layer: Layer, new: LayerData) -> None:
    """Replace the data, name, metadata and transform of a layer by those of another of its type.

    The undo history of a mask is emptied, and the contrast of an image is reset. Tool, brush,
    opacity and visibility stay.

    Parameters
    ----------
    layer
        An Image, a Labels layer, or the Points layer of a target.
    new
        A layer that `fundus_layers` or `point_layer` made, of the same type.
    """
    data, options, _ = new
    if isinstance(layer, Labels):
        # History first: a step of the image before would be undone in this one.
        mode = layer.mode
        layer.editable = False
        layer.editable = True
        layer.mode = mode
    layer.metadata = {**layer.metadata, METADATA_KEY: plugin_metadata(options["metadata"])}
    if isinstance(layer, Points):
        with layer.events.data.blocker():  # nobody moved it
            set_points(layer, data)
        layer.current_size = options["size"]
        layer.size = options["size"]
        layer.face_color = options["face_color"]
    else:
        layer.data = data
    layer.name = options["name"]
    _transform(layer, options)
    if isinstance(layer, Image):
        layer.gamma = 1
        layer.reset_contrast_limits_range()
        layer.reset_contrast_limits()


def _image_of(layers: Iterable[Layer]) -> Image | None:
    """Return the image among the layers of one image."""
    images = (layer for layer in layers if isinstance(layer, Image))
    return next((one for one in images if "view" not in plugin_metadata(one.metadata)), None)


def _is_tool(layer: Layer) -> bool:
    """Check whether a layer holds prompts or a preview, which every image has one of for a target.

    Each layer that is removed instead makes napari collect garbage for a quarter of a second.
    """
    metadata = plugin_metadata(layer.metadata)
    return "prompts" in metadata or metadata.get("view") == "preview"


def _empty(layer: Layer, image: LayerData, *, before: str) -> None:
    """Assign a layer of prompts or a preview to another image, with nothing in it.

    Parameters
    ----------
    layer, image
        The layer, and the image.
    before
        Name of the image that it belonged to.
    """
    held = layer.data
    layer.name = layer.name.replace(before, image[1]["name"], 1)
    if isinstance(layer, Points):
        layer.current_size = point_size(size_of(image))
    layer.metadata = with_plugin_metadata(layer.metadata, image=layer_image_id(image))
    _transform(layer, image[1])
    if isinstance(layer, Image):
        set_visible(layer, False)
        layer.data = np.zeros(size_of(image), layer.data.dtype)
    elif len(layer.data) and np.array_equal(held, layer.data):  # nobody follows the metadata
        if isinstance(layer, Points):
            set_points(layer, [])
        else:
            layer.data = []


def _transform(layer: Layer, options: Mapping[str, Any]) -> None:
    """Place a layer as its options say, upright; napari draws anew for each value that is set."""
    if not _is_upright(layer):
        for part, value in _UPRIGHT.items():
            setattr(layer, part, value)
    for part in _TRANSFORM:
        if not np.array_equal(getattr(layer, part), options[part]):
            setattr(layer, part, options[part])


def _is_upright(layer: Layer) -> bool:
    turned = not np.array_equal(layer.rotate, np.eye(layer.ndim)) or np.any(layer.shear)
    return not turned and np.array_equal(layer.affine.affine_matrix, np.eye(layer.ndim + 1))


def _target(layer: Layer) -> str:
    target: str = plugin_metadata(layer.metadata)["target"]
    return target


def _mask_target(layer: Layer) -> str | None:
    metadata = plugin_metadata(layer.metadata)
    is_mask = isinstance(layer, Labels) and metadata.get("view") in (None, SPARE)
    return metadata.get("target") if is_mask else None

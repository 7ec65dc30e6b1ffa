"""Prompts as napari layers: a Points and two Shapes layers for each image and target.

The layers are found by their metadata, never by their names. Prompts are kept step by step, because
napari's Points layers have no undo, and so that an image that is reopened gets its prompts back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import cast

from napari.layers import Image, Layer, Points, Shapes
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.insertion import add_quietly, lift_above, set_visible
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.prompt_conversion import (
    SYMBOLS,
    Tool,
    boxes_layer,
    newest_box,
    outlines_layer,
    points_layer,
    prompt_tool,
    read_outline,
    read_points,
    target_key,
    write_box,
    write_outline,
    write_points,
)
from napari_sam2lora.layers.prompt_history import PromptHistory, same_prompts
from napari_sam2lora.layers.strokes import add_stroke
from sam2lora.datasets.ellipses import Ellipse
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.targets import Target
from sam2lora.types import Mask

_FINAL = {"added", "removed", "changed"}
"""napari's data actions that complete a change; the others announce one."""

_CREATE: dict[Tool, Callable[[Image, Target], Layer]] = {
    "point": points_layer,
    "box": boxes_layer,
    "outline": outlines_layer,
}
_MODES: dict[Tool, str] = {
    "point": "add",
    "branch": "add",
    "box": "add_rectangle",
    "outline": "select",
}
"""napari's mode of each tool."""


class PromptLayers(QObject):
    """The prompts in one viewer.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.

    Signals
    -------
    changed(key)
        The prompts of this image and target have changed.
    layer_added(layer)
        A prompt layer was created or adopted.
    """

    changed = Signal(object)
    layer_added = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._images_by_id = ImageLayers(viewer)
        self._histories: dict[TargetKey, PromptHistory] = {}
        self._connected: dict[Layer, partial[None]] = {}
        self._followed: dict[Layer, partial[None]] = {}
        self._images: dict[Layer, Image | None] = {}  # to which the connected layers belong
        self._writing = False
        self._positive, self._branch = True, False
        self._stroke = add_stroke(lambda: self._branch)

    def at(self, key: TargetKey) -> Prompts:
        """Return the current prompts for a target of an image."""
        history = self._histories.get(key)
        return history.steps[history.current] if history else Prompts()

    def points(self, image: Image, target: Target) -> Points:
        """Return the Points layer for an image and a target; it is created if missing."""
        return cast(Points, self.restore(image, target, "point")["point"])

    def boxes(self, image: Image, target: Target) -> Shapes:
        """Return the Shapes layer for an image and a target; it is created if missing."""
        return cast(Shapes, self.restore(image, target, "box")["box"])

    def restore(self, image: Image, target: Target, *tools: Tool) -> Mapping[Tool, Layer]:
        """Create missing layers: those of `tools`, and those needed to show existing prompts.

        An image that is reopened, or whose prompt layer was deleted by hand, shows its prompts
        again. No other layer is created, since each new layer blocks the GUI for a moment.

        Parameters
        ----------
        image, target
            The image and target the prompts are for.
        *tools
            Tools whose layer is created even without prompts.

        Returns
        -------
        The layers by tool.
        """
        key = (ensure_image_id(image), target.name)
        self.adopt()
        found = {tool: layer for layer in self._layers_of(key) if (tool := prompt_tool(layer))}
        prompts, created = self.at(key), []
        needed = {*tools}
        if prompts.points:
            needed.add("point")
        if prompts.box is not None:
            needed.add("box")
        if prompts.outline is not None:
            needed.add("outline")
        for tool, create in _CREATE.items():
            if tool in needed and tool not in found:
                found[tool] = add_quietly(self._viewer, create(image, target))
                created.append(found[tool])
        for layer in found.values():
            self._connect(layer)
            lift_above(self._viewer, layer, image)
            if isinstance(layer, Points):
                self._set_next_label(layer)
        self._write(key, Prompts(), created)
        return found

    def histories(self, image_id: str) -> dict[str, PromptHistory]:
        """Return the history of each target of an image that has prompts, or had some."""
        found = self._histories.items()
        used = ((key, one) for key, one in found if len(one.steps) > 1 or not one.steps[0].empty)
        return {key[1]: one for key, one in used if key[0] == image_id}

    def set_history(self, image: Image, target: Target, history: PromptHistory) -> None:
        """Set all prompts of a target with their undo steps, and show the current ones.

        No segmentation is requested for them.
        """
        key = (ensure_image_id(image), target.name)
        before = self.at(key)
        self._histories[key] = history
        self.restore(image, target)
        self._write(key, before)

    def adopt(self) -> bool:
        """Adopt prompt layers that a closed dock left in the viewer.

        Their prompts become current; no segmentation is requested for them, and as it is not known
        whether their prediction was accepted, they cannot be undone.

        Returns
        -------
        Whether there were any.
        """
        found = [layer for layer in self._viewer.layers if prompt_tool(layer)]
        taken = {(target_key(layer), prompt_tool(layer)) for layer in self._connected}
        adopted, known = False, set(self._histories)
        for layer in found:
            key = target_key(layer)
            if (key, prompt_tool(layer)) in taken:
                continue  # connected already, or a copy of a connected layer
            self._connect(layer)
            prompts = self._read(key)
            if key not in known:
                self._histories[key] = PromptHistory([prompts])
            elif not same_prompts(prompts, self.at(key)):
                self._histories[key].add(prompts)
            adopted = True
        return adopted

    def has(self, layer: Layer) -> bool:
        """Check whether a layer holds current prompts; a copy of such a layer does not."""
        return layer in self._connected

    def use(self, image: Image, target: Target, tool: Tool) -> None:
        """Make the next click on the canvas add a point, or the next drag draw or drag a shape."""
        held: Tool = "point" if tool == "branch" else tool
        layer = self.restore(image, target, held)[held]
        set_visible(layer, True)
        self._branch = tool == "branch"
        if isinstance(layer, Points):
            layer.selected_data = set()  # or napari changes the points that are selected
            layer.current_symbol = SYMBOLS[self._branch]
            self._set_next_label(layer)
        self._viewer.layers.selection.active = layer
        layer.mode = _MODES[tool]
        if tool == "outline":
            layer.selected_data = set(range(layer.nshapes))  # shows the handles

    @property
    def branch(self) -> bool:
        """Whether the next points add or remove branches."""
        return self._branch

    @property
    def positive(self) -> bool:
        """Whether the next points are positive."""
        return self._positive

    def set_positive(self, positive: bool) -> None:
        """Set whether the next points are positive."""
        self._positive = positive
        for layer in self._connected:
            if isinstance(layer, Points):
                layer.selected_data = set()  # or napari changes the points that are selected
                self._set_next_label(layer)

    def set_outline(self, key: TargetKey, outline: Ellipse) -> None:
        """Replace all prompts for a target by an outline; this can be undone."""
        before = self.at(key)
        self._add_step(key, Prompts(outline=outline))
        self._write(key, before)

    def clear(self, key: TargetKey) -> None:
        """Remove all prompts for a target of an image; this can be undone."""
        before = self.at(key)
        self._add_step(key, Prompts())
        self._write(key, before)

    def undo(self, key: TargetKey) -> bool:
        """Undo the last change; return False if there is none."""
        return self._step(key, -1)

    def redo(self, key: TargetKey) -> bool:
        """Redo the change that was undone last; return False if there is none."""
        return self._step(key, 1)

    def forget_steps(self, key: TargetKey) -> None:
        """Forget all steps before and after the current prompts: neither undo nor redo goes there.

        The prediction was accepted, and an earlier one would come back.
        """
        if key in self._histories:
            self._histories[key].end_here()

    def keep_inside(self, key: TargetKey, field: Mask) -> None:
        """Remove points and boxes outside a field of view from every step.

        Parameters
        ----------
        key
            The image and target.
        field
            `(H, W)` bool, True inside the field of view.
        """
        history = self._histories.get(key)
        if history is None:
            return
        before = self.at(key)
        history.keep_inside(field)
        if not same_prompts(self.at(key), before):
            self._write(key, before)
            self.changed.emit(key)

    def show_only(self, key: TargetKey | None) -> None:
        """Hide the prompts of all other images and targets."""
        for layer in list(self._connected):
            set_visible(layer, target_key(layer) == key)

    def forget_missing(self) -> None:
        """Disconnect layers that left the viewer, and remove those whose image left it.

        If the same Image object is still open, its prompts were deleted by hand and are gone.
        Otherwise they are kept for when the image is opened again, which may have happened already.
        """
        layers = self._viewer.layers
        for layer in [layer for layer in self._connected if layer not in layers]:
            image = self._images[layer]
            self._disconnect(layer)
            if image is not None and image in layers:
                self._record(target_key(layer))
        for layer in list(self._connected):
            image = self._images_by_id.find(target_key(layer)[0])
            if image is None and self._images[layer] is not None:
                self._disconnect(layer)
                layers.selection.discard(layer)
                layers.remove(layer)
            else:
                self._images[layer] = image

    def close(self) -> None:
        """Disconnect from all layers; they stay in the viewer."""
        for layer in list(self._connected):
            self._disconnect(layer)

    def _layers_of(self, key: TargetKey) -> list[Layer]:
        layers = (layer for layer in self._connected if layer in self._viewer.layers)
        return [layer for layer in layers if target_key(layer) == key]

    def _connect(self, layer: Layer) -> None:
        if layer not in self._connected:
            key = target_key(layer)
            self._connected[layer] = partial(self._on_data, key)
            self._images[layer] = self._images_by_id.find(key[0])
            layer.events.data.connect(self._connected[layer])
            self._followed[layer] = partial(self._on_metadata, layer)
            layer.events.metadata.connect(self._followed[layer])
            if isinstance(layer, Points):
                self._set_next_label(layer)
                layer.mouse_drag_callbacks.append(self._stroke)
            self.layer_added.emit(layer)

    def _set_next_label(self, layer: Points) -> None:
        layer.feature_defaults = {"positive": [self._positive], "branch": [self._branch]}

    def _disconnect(self, layer: Layer) -> None:
        del self._images[layer]
        if self._stroke in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._stroke)
        layer.events.data.disconnect(self._connected.pop(layer))
        layer.events.metadata.disconnect(self._followed.pop(layer))

    def _on_metadata(self, layer: Layer, event: Event) -> None:
        """Show the prompts of another image in a layer that was given to it."""
        key, follow = target_key(layer), self._connected[layer]
        if follow.args == (key,):
            return
        layer.events.data.disconnect(follow)
        self._connected[layer] = partial(self._on_data, key)
        self._images[layer] = self._images_by_id.find(key[0])
        shown = _read(layer, Prompts())
        self._write(key, shown, [layer])
        layer.events.data.connect(self._connected[layer])

    def _on_data(self, key: TargetKey, event: Event) -> None:
        if not self._writing and str(event.action) in _FINAL:
            self._record(key)
            # Not now: napari is in the middle of drawing the rectangle.
            QTimer.singleShot(0, partial(self._keep_one_box, key))

    def _record(self, key: TargetKey) -> None:
        """Add what the layers show now as a step, if it is new."""
        self._add_step(key, self._read(key))

    def _read(self, key: TargetKey) -> Prompts:
        """Return the prompts that the layers show."""
        prompts = Prompts()
        for layer in self._layers_of(key):
            prompts = _read(layer, prompts)
        return prompts

    def _add_step(self, key: TargetKey, prompts: Prompts) -> None:
        history = self._histories.setdefault(key, PromptHistory())
        if not same_prompts(prompts, history.steps[history.current]):
            history.add(prompts)
            self.changed.emit(key)

    def _step(self, key: TargetKey, by: int) -> bool:
        history = self._histories.setdefault(key, PromptHistory())
        if not 0 <= history.current + by < len(history.steps):
            return False
        before = history.steps[history.current]
        history.current += by
        self._write(key, before)
        self.changed.emit(key)
        return True

    def _write(
        self, key: TargetKey, before: Prompts, layers: Sequence[Layer] | None = None
    ) -> None:
        """Show the current prompts in the given layers, by default in all layers of the key.

        A layer whose prompts are as `before` is not touched: a box may be being drawn in it.
        """
        prompts = self.at(key)
        with self._ignore_changes():
            for layer in self._layers_of(key) if layers is None else layers:
                if isinstance(layer, Points) and prompts.points != before.points:
                    write_points(layer, prompts.points)
                    # napari resets the feature defaults when the features are set.
                    self._set_next_label(layer)
                elif prompt_tool(layer) == "box" and prompts.box != before.box:
                    write_box(layer, prompts.box)
                elif prompt_tool(layer) == "outline" and prompts.outline != before.outline:
                    write_outline(layer, prompts.outline)

    def _keep_one_box(self, key: TargetKey) -> None:
        """Remove rectangles that were replaced by a newer one."""
        box = self.at(key).box
        with self._ignore_changes():
            for layer in self._layers_of(key):
                if prompt_tool(layer) == "box" and layer.nshapes != int(box is not None):
                    write_box(layer, box)

    @contextmanager
    def _ignore_changes(self) -> Iterator[None]:
        """Change layers without taking that for the user's input."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False


def _read(layer: Layer, others: Prompts) -> Prompts:
    """Return prompts, with those that a layer shows in place of their kind."""
    if isinstance(layer, Points):
        return replace(others, points=read_points(layer))
    if prompt_tool(layer) == "outline":
        return replace(others, outline=read_outline(layer))
    return replace(others, box=newest_box(layer)) if isinstance(layer, Shapes) else others

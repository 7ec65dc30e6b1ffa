"""Prompts as napari's layers: for each image and target one of points, one of rectangles.

The layers are found by their metadata, never by their names. What was said is remembered step by
step, because napari's points have no undo, and so that an image that comes back has it still.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

from napari.layers import Image, Layer, Points, Shapes
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.insertion import add_quietly, lift_above, set_visible
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.prompt_conversion import (
    Tool,
    boxes_layer,
    newest_box,
    points_layer,
    prompt_tool,
    read_points,
    target_key,
    write_box,
    write_points,
)
from napari_sam2lora.layers.prompt_history import PromptHistory, same_prompts
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.targets import Target
from sam2lora.types import Mask

_FINAL = {"added", "removed", "changed"}
"""Actions of napari after which a layer's data are as they stay."""


class PromptLayers(QObject):
    """The prompts in one viewer.

    Parameters
    ----------
    viewer
        Where the layers are.

    Signals
    -------
    changed(place)
        The prompts of this image and target are others now.
    layer_added(layer)
        A layer was made, or found to be one of ours.
    """

    changed = Signal(object)
    layer_added = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._images_by_id = ImageLayers(viewer)
        self._past: dict[TargetKey, PromptHistory] = {}
        self._connected: dict[Layer, Any] = {}
        self._images: dict[Layer, Image | None] = {}  # to which the connected ones belong
        self._writing = False
        self._positive = True

    def at(self, place: TargetKey) -> Prompts:
        """Give what is said about a target in an image."""
        past = self._past.get(place)
        return past.steps[past.now] if past else Prompts()

    def points(self, image: Image, target: Target) -> Points:
        """Give the layer of points for an image and a target, made if it is not there."""
        return cast(Points, self.restore(image, target, "point")["point"])

    def boxes(self, image: Image, target: Target) -> Shapes:
        """Give the layer of rectangles for an image and a target, made if it is not there."""
        return cast(Shapes, self.restore(image, target, "box")["box"])

    def restore(self, image: Image, target: Target, *tools: Tool) -> Mapping[Tool, Layer]:
        """Make layers that are not there: those of tools, and those whose prompts count.

        An image that comes back, or a layer that was deleted by hand, has its prompts again. No
        more is made, since each new layer holds the window up.
        """
        place = (ensure_image_id(image), target.name)
        self.adopt()
        found = {tool: one for one in self._of(place) if (tool := prompt_tool(one))}
        said, made = self.at(place), []
        for tool, make, counts in (
            ("point", points_layer, bool(said.points)),
            ("box", boxes_layer, said.box is not None),
        ):
            if tool not in found and (counts or tool in tools):
                found[tool] = add_quietly(self._viewer, make(image, target))
                made.append(found[tool])
        for layer in found.values():
            self._connect(layer)
            lift_above(self._viewer, layer, image)
            if isinstance(layer, Points):
                self._set_next(layer)
        self._write(place, Prompts(), made)
        return found

    def adopt(self) -> bool:
        """Take layers of prompts over that a dock left behind; tell whether there were any.

        They count from then on, and nothing is asked about them yet.
        """
        found = [one for one in self._viewer.layers if prompt_tool(one)]
        taken = {(target_key(one), prompt_tool(one)) for one in self._connected}
        adopted = False
        for layer in found:
            place = target_key(layer)
            if (place, prompt_tool(layer)) in taken:
                continue  # ours already, or a copy of one that is
            self._past.setdefault(place, PromptHistory())
            self._connect(layer)
            said = self._said(place)
            if not same_prompts(said, self.at(place)):
                self._past[place].add(said)
            adopted = True
        return adopted

    def has(self, layer: Layer) -> bool:
        """Tell whether a layer is one of those that count; a copy of one does not."""
        return layer in self._connected

    def use(self, image: Image, target: Target, tool: Tool) -> None:
        """Let the next click in the window set a point, or draw a rectangle."""
        chosen = self.restore(image, target, tool)[tool]
        set_visible(chosen, True)
        self._viewer.layers.selection.active = chosen
        chosen.mode = "add" if tool == "point" else "add_rectangle"

    @property
    def positive(self) -> bool:
        """Whether the next points are on the target."""
        return self._positive

    def set_positive(self, positive: bool) -> None:
        """Say whether the next points are on the target."""
        self._positive = positive
        for layer in self._connected:
            if isinstance(layer, Points):
                layer.selected_data = set()  # or napari changes the points that are selected
                self._set_next(layer)

    def clear(self, place: TargetKey) -> None:
        """Say nothing any more; this can be undone."""
        before = self.at(place)
        self._go_on(place, Prompts())
        self._write(place, before)

    def undo(self, place: TargetKey) -> bool:
        """Take the last change back; False if there is none."""
        return self._step(place, -1)

    def redo(self, place: TargetKey) -> bool:
        """Make a change again that was taken back; False if there is none."""
        return self._step(place, 1)

    def keep_inside(self, place: TargetKey, field: Mask) -> None:
        """Take the points and the box away that lie outside a field of view, as if never made."""
        past = self._past.get(place)
        if past is None:
            return
        before = past.steps[past.now]
        past.keep_inside(field)
        if not same_prompts(self.at(place), before):
            self._write(place, before)
            self.changed.emit(place)

    def show_only(self, place: TargetKey | None) -> None:
        """Hide the prompts of other images and targets."""
        for layer in list(self._connected):
            set_visible(layer, target_key(layer) == place)

    def forget_missing(self) -> None:
        """Let go of layers that are no longer in the viewer; those whose image left it go as well.

        Where the very image is there still, its prompts were deleted by hand, and are gone; else
        they wait for the image to come back, which another object may have done already.
        """
        layers = self._viewer.layers
        for layer in [one for one in self._connected if one not in layers]:
            image = self._images[layer]
            self._disconnect(layer)
            if image is not None and image in layers:
                self._read(target_key(layer))
        for layer in list(self._connected):
            image = self._images_by_id.find(target_key(layer)[0])
            if image is None and self._images[layer] is not None:
                self._disconnect(layer)
                layers.selection.discard(layer)
                layers.remove(layer)
            else:
                self._images[layer] = image

    def close(self) -> None:
        """Let go of all layers; they stay in the viewer."""
        for layer in list(self._connected):
            self._disconnect(layer)

    def _of(self, place: TargetKey) -> list[Layer]:
        layers = (layer for layer in self._connected if layer in self._viewer.layers)
        return [layer for layer in layers if target_key(layer) == place]

    def _connect(self, layer: Layer) -> None:
        if layer not in self._connected:
            place = target_key(layer)
            self._connected[layer] = partial(self._on_data, place)
            self._images[layer] = self._images_by_id.find(place[0])
            layer.events.data.connect(self._connected[layer])
            if isinstance(layer, Points):
                self._set_next(layer)
            self.layer_added.emit(layer)

    def _set_next(self, layer: Points) -> None:
        layer.feature_defaults = {"positive": [self._positive]}

    def _disconnect(self, layer: Layer) -> None:
        del self._images[layer]
        layer.events.data.disconnect(self._connected.pop(layer))

    def _on_data(self, place: TargetKey, event: Event) -> None:
        if not self._writing and str(event.action) in _FINAL:
            self._read(place)
            # Not now: napari is in the middle of drawing the rectangle.
            QTimer.singleShot(0, partial(self._keep_one_box, place))

    def _read(self, place: TargetKey) -> None:
        """Remember what the layers say, if it is something new."""
        self._go_on(place, self._said(place))

    def _said(self, place: TargetKey) -> Prompts:
        said = Prompts()
        for layer in self._of(place):
            if isinstance(layer, Points):
                said = replace(said, points=read_points(layer))
            elif isinstance(layer, Shapes):
                said = replace(said, box=newest_box(layer))
        return said

    def _go_on(self, place: TargetKey, said: Prompts) -> None:
        past = self._past.setdefault(place, PromptHistory())
        if not same_prompts(said, past.steps[past.now]):
            past.add(said)
            self.changed.emit(place)

    def _step(self, place: TargetKey, by: int) -> bool:
        past = self._past.setdefault(place, PromptHistory())
        if not 0 <= past.now + by < len(past.steps):
            return False
        before = past.steps[past.now]
        past.now += by
        self._write(place, before)
        self.changed.emit(place)
        return True

    def _write(
        self, place: TargetKey, before: Prompts, layers: Sequence[Layer] | None = None
    ) -> None:
        """Let the layers, or these, show what counts; a box that is just drawn is left alone."""
        said = self.at(place)
        with self._unheard():
            for layer in self._of(place) if layers is None else layers:
                if isinstance(layer, Points) and said.points != before.points:
                    write_points(layer, said.points)
                    # napari forgets what the next point is when the features are set.
                    self._set_next(layer)
                elif isinstance(layer, Shapes) and said.box != before.box:
                    write_box(layer, said.box)

    def _keep_one_box(self, place: TargetKey) -> None:
        """Take rectangles away that no longer count."""
        with self._unheard():
            for layer in self._of(place):
                wanted = 1 if self.at(place).box else 0
                if isinstance(layer, Shapes) and layer.nshapes != wanted:
                    write_box(layer, self.at(place).box)

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Change layers without taking it for what the user says."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

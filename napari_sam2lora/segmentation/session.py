"""The segmentation of one viewer: the current image and target, prompts, requests and results.

A session belongs to one viewer and knows no widget. Networks run in its worker thread; layers are
touched on the main thread alone.
"""

from collections.abc import Sequence

from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.layers.alignment import TransformSync
from napari_sam2lora.layers.conversion import mask_of
from napari_sam2lora.layers.image_ids import UniqueImageIds
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.masks import AcceptMode, find_mask_layer
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id, target_in
from napari_sam2lora.layers.orientation import UprightOffer
from napari_sam2lora.layers.points import PointLayers
from napari_sam2lora.layers.prompt_conversion import Tool, circle_in_view, prompt_tool
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.segmentation.model_choice import ModelChoices
from napari_sam2lora.segmentation.request_queue import RequestQueue
from napari_sam2lora.segmentation.requests import LocatedResult, SegmentationResult
from napari_sam2lora.segmentation.results import ResultStore
from sam2lora.prompts.outlines import fit_ellipse
from sam2lora.targets import TARGETS, Target, get_target, selectable_targets


class Session(QObject):
    """What is segmented in one viewer.

    Parameters
    ----------
    viewer
        The viewer.

    Signals
    -------
    selection_changed()
        Another image, target, model, adapter or input mode is chosen, or whether the mask is a
        prompt.
    positive_changed(positive)
        Whether the next points are positive.
    message(text)
        Something the user should read.
    result_ready(result)
        A `SegmentationResult` or a `LocatedResult` is shown.
    accepted(masks)
        Results were written into these masks.
    measured(measurements)
        A `MeasurementResult` is there.
    device_ready(device)
        It is known what computes: a `DeviceInfo`.
    busy_changed(busy), progressed(text, done, total)
        What the worker thread does.

    Attributes
    ----------
    choices
        What segments: model, device, adapters.
    images, prompts, results
        The viewer's images, prompts and results.
    queue
        Requests on their way to the network.
    image, target
        The current ones.
    """

    selection_changed = Signal()
    positive_changed = Signal(bool)
    message = Signal(str)
    result_ready = Signal(object)
    accepted = Signal(list)
    measured = Signal(object)
    device_ready = Signal(object)
    busy_changed = Signal(bool)
    progressed = Signal(str, object, object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.choices = ModelChoices()
        self.images = ImageLayers(viewer)
        self.prompts = PromptLayers(viewer)
        self.results = ResultStore(viewer)
        self.queue = RequestQueue(viewer, self.images, self.prompts, self.results, self.choices)
        self.image: Image | None = None
        self.target: Target = TARGETS["disc"]
        self._shown: TargetKey | None = None
        self._image_ids = UniqueImageIds(viewer)
        self._upright_offer = UprightOffer(viewer)
        self._transforms = TransformSync(viewer)
        self.choices.changed.connect(self.selection_changed)
        self.queue.message.connect(self.message)
        self.queue.result_ready.connect(self._on_result)
        self.queue.device_ready.connect(self.device_ready)
        self.queue.worker.busy_changed.connect(self.busy_changed)
        self.queue.worker.progressed.connect(self.progressed)
        self.results.live_measurements.measured.connect(self.measured)

    @property
    def points(self) -> PointLayers:
        """The targets of the viewer's images that are points."""
        return self.results.points

    # The current image and target

    @property
    def target_key(self) -> TargetKey | None:
        """The current image and target; None without an image."""
        return None if self.image is None else (ensure_image_id(self.image), self.target.name)

    def set_image(self, image: Image | None) -> None:
        """Set the image that is segmented."""
        self._select(image, self.target)

    def set_target(self, name: str, *, image: Image | None = None) -> None:
        """Set the target that clicks are about, and with it, where it is given, the image.

        Raises
        ------
        TargetError
            If there is no such target.
        """
        self._select(image or self.image, get_target(name))

    def segment(self, targets: Sequence[Target]) -> None:
        """Request targets of the current image, with the prompts of each."""
        if self.image is None:
            self.message.emit("Open a fundus image first.")
            return
        for target in targets:
            self.queue.submit(self.image, target)
        self._show_own()
        if self.target.kind == "point":
            self.points.use(self.image, self.target, adding=False)
        else:
            self.use(self.tool or "point")

    def has_accepted_point(self, target: Target) -> bool:
        """Check whether the current image has a point of this target that is accepted."""
        if self.image is None:
            return False
        point = self.points.at((ensure_image_id(self.image), target.name))
        return point is not None and point.accepted

    # Prompts

    @property
    def tool(self) -> Tool | None:
        """What a click in the canvas does now."""
        active = self.viewer.layers.selection.active
        if active is not None and self.points.has(active):
            return "point" if str(active.mode) == "add" else None
        if active is None or not self.prompts.has(active):
            return None
        if prompt_tool(active) == "outline":
            return "outline" if str(active.mode) == "select" else None
        points: Tool = "branch" if self.prompts.branch else "point"
        modes: dict[str, Tool] = {"add": points, "add_rectangle": "box"}
        return modes.get(str(active.mode))

    def use(self, tool: Tool) -> None:
        """Make the next click set a point or a branch, or draw a box, or drag the outline.

        Where the target has no such tool, it sets a point.
        """
        if self.image is None or self.target_key is None:
            return
        if self.target.kind == "point":
            self.points.use(self.image, self.target, adding=True)
            return
        fine = self.target.detail == "tiles"
        outlined = self.prompts.at(self.target_key).outline is not None
        if (tool == "branch" and not fine) or (tool == "outline" and not outlined):
            tool = "point"
        self.prompts.use(self.image, self.target, tool)
        self._show_own()

    def use_outline(self) -> None:
        """Show the handles of the target's outline, at first an ellipse around what is shown.

        That is the prediction, else the mask, else a circle in the middle of the view.

        Raises
        ------
        Sam2LoraError
            If two layers show the target, or its mask is a stack.
        """
        key = self.target_key
        if self.image is None or key is None:
            self.message.emit("Open a fundus image first.")
            return
        if self.target.kind == "point":
            self.message.emit(f"{self.target.name} is a point and has no outline: drag it.")
            return
        if self.target.detail == "tiles":
            self.message.emit(f"{self.target.name} has no outline: use Branch, or a brush.")
            return
        if self.prompts.at(key).outline is None:
            shown = None
            if self.result is not None:
                shown = fit_ellipse(self.results.mask(key))
            else:
                layer = find_mask_layer(self.viewer, self.image, self.target)
                if layer is not None:
                    shown = fit_ellipse(mask_of(layer_data(layer)))
            self.prompts.set_outline(key, shown or circle_in_view(self.viewer, self.image))
        self.use("outline")

    def set_positive(self, positive: bool) -> None:
        """Set whether the next points are positive."""
        if positive != self.prompts.positive:
            self.prompts.set_positive(positive)
            self.positive_changed.emit(positive)

    def toggle_positive(self) -> None:
        """Switch between positive and negative points; without a tool for them, set negative ones.

        A target that is a point has no negative ones: the next click sets it.
        """
        if self.target.kind == "mask":
            self.set_positive(self.tool in ("point", "branch") and not self.prompts.positive)
        if self.tool not in ("point", "branch"):
            self.use("point")

    def undo(self) -> None:
        """Undo the last prompt."""
        if self.target_key and self.target.kind == "point":
            if not self.points.undo(self.target_key):
                self.message.emit("There is nothing to undo.")
        elif self.target_key and not self.prompts.undo(self.target_key):
            self.message.emit("There is no prompt to undo. In a mask, Ctrl+Z undoes Accept.")
        elif self.image is not None:
            self.prompts.restore(self.image, self.target)  # one may have been deleted by hand

    def redo(self) -> None:
        """Redo a prompt that was undone."""
        if self.target_key and self.target.kind == "point":
            self.points.redo(self.target_key)
        elif self.image is not None and self.target_key and self.prompts.redo(self.target_key):
            self.prompts.restore(self.image, self.target)

    def clear(self) -> None:
        """Remove all points, the box and the outline of the current target, or its point itself."""
        if self.target.kind == "point":
            if self.image is not None and self.target_key:
                self.points.remove(self.target_key)
        elif self.target_key:
            self.prompts.clear(self.target_key)

    # Results

    @property
    def result(self) -> SegmentationResult | None:
        """The last result for the current image and target."""
        return self.results.latest.get(self.target_key) if self.target_key else None

    def set_threshold(self, threshold: float) -> None:
        """Set the probability that makes the current target's mask, and show it."""
        if self.target_key is not None:
            self.results.set_threshold(self.target_key, threshold)

    def accept(self, mode: AcceptMode) -> Labels | None:
        """Write the current target's result into its mask, and select that, to be corrected.

        A target that is a point is marked as accepted instead.

        Only an up-to-date result is written; otherwise a message says what to do.

        Raises
        ------
        Sam2LoraError
            If the mask's layer does not fit.
        """
        if self.target.kind == "point" and self.target_key is not None:
            self._accept_point(self.target_key)
            return None
        if self.image is None or self.result is None:
            self.message.emit("There is no result to accept. Press Segment first.")
            return None
        reason = self.queue.blocking_reason(self.result)
        if reason:
            self.message.emit(reason)
            return None
        labels = self._accept_mask(self.image, self.target, mode)
        self.viewer.layers.selection.active = labels
        self.message.emit(f"Accepted into {labels.name}. Ctrl+Z undoes it; H shows the preview.")
        self.accepted.emit([labels])
        return labels

    def _accept_mask(self, image: Image, target: Target, mode: AcceptMode) -> Labels:
        """Write a result into its mask; from now on, undo brings no earlier prediction back."""
        labels = self.results.accept(image, target, mode)
        self.prompts.forget_steps((ensure_image_id(image), target.name))
        return labels

    def _accept_point(self, key: TargetKey) -> None:
        if self.queue.is_pending(key):
            text = "The newest result is still being computed. Accept it when it is shown."
        elif self.points.accept(key) is None:
            text = "There is no result to accept. Press Segment first."
        else:
            text = f"The {key[1]} is accepted. Ctrl+Z undoes it."
        self.message.emit(text)

    def accept_all(self, mode: AcceptMode) -> bool:
        """Write the results of all targets that were not accepted into their masks.

        Returns
        -------
        Whether none is left: a message says what keeps the others back.

        Raises
        ------
        Sam2LoraError
            If the layer of a mask does not fit.
        """
        if self.image is None or self.target_key is None:
            self.message.emit("Open a fundus image first.")
            return False
        written, reasons, current = [], [], self.target
        for key in self.results.unaccepted(self.target_key[0]):
            reason = self.queue.blocking_reason(self.results.latest[key])
            if reason:
                reasons.append(f"{key[1]}: {reason}")
            else:
                written.append(self._accept_mask(self.image, get_target(key[1]), mode))
        points = []
        for key in self.points.unaccepted(self.target_key[0]):
            if self.queue.is_pending(key):
                reasons.append(f"{key[1]}: The newest result is still being computed.")
            else:
                self.points.accept(key)
                points.append(key[1])
        self.set_target(current.name)  # each new mask was selected when it was added
        if written and current.kind == "mask":
            own = find_mask_layer(self.viewer, self.image, current)
            if own is None:  # the brush paints what is selected, and the target says so
                self.set_target(target_in(written[-1].metadata, written[-1].name).name)
            self.viewer.layers.selection.active = own or written[-1]
        waiting = self.queue.waiting(self.target_key[0])
        reasons += [f"{name}: The result is still being computed." for name in waiting]
        names = ", ".join(labels.name for labels in written)
        text = f"Accepted into {names}. Ctrl+Z undoes it in the selected mask." if names else ""
        if points:
            text = "\n".join(filter(None, [text, f"Accepted: {', '.join(points)}."]))
        if not (written or points or reasons):
            text = "There is no new result to accept."
        self.message.emit("\n".join(filter(None, [text, *reasons])))
        self.accepted.emit(written)
        return not reasons

    def step_target(self, by: int) -> None:
        """Select the target `by` places further down the list, and its mask in place of another's.

        The brush of a mask stays active.
        """
        names = list(selectable_targets())
        name = names[(names.index(self.target.name) + by) % len(names)]
        active = self.viewer.layers.selection.active
        if self.image is not None and isinstance(active, Labels):
            layer = find_mask_layer(self.viewer, self.image, get_target(name))
            if layer is not None:
                mode = active.mode
                self.viewer.layers.selection.active = layer
                layer.mode = mode
        self.set_target(name)

    def measure(self) -> None:
        """Measure the current image soon.

        Raises
        ------
        Sam2LoraError
            If a mask is a stack, or two layers show one target.
        """
        self.results.live_measurements.cancel()
        if self.image is not None and self.result is not None:
            self.results.measure(self.image, self.target)

    def sync_layers(self) -> None:
        """Forget images and layers that left the viewer, and adopt prompts that are in it."""
        self._image_ids.forget_changes()
        self.put_results_aside()
        self.prompts.forget_missing()
        self.points.sync()
        # Without an image there is nothing to hide yet, and a layer that is hidden loses its tool.
        if self.prompts.adopt() and self.image is not None:
            self._show_own()
        self._transforms.refresh()
        if self.target_key != self._shown:  # the layer of the image shows another one
            self._on_selected()

    def put_results_aside(self) -> None:
        """Keep the results of images that are not in the viewer for when they are shown again."""
        images = self.images.ids()
        if any(key[0] not in images for key in self.results.latest):
            self._shown = None
        self.results.keep_only(images)
        self.queue.errors.keep_only(images)

    def close(self) -> None:
        """Stop the work, and disconnect from the viewer."""
        self.queue.close()
        self.results.close()
        self._image_ids.close()
        self._upright_offer.close()
        self._transforms.close()
        self.prompts.close()

    def _select(self, image: Image | None, target: Target) -> None:
        """Select both at once: the prompts of neither are hidden in between, and lose no tool."""
        if image is self.image and target == self.target:
            return
        tool = self.tool if target != self.target else None
        self.image, self.target = image, target
        self._on_selected()
        if tool and image is not None:
            self.use(tool)

    def _on_selected(self) -> None:
        before, self._shown = self._shown, self.target_key
        if (before and before[0]) != (self._shown and self._shown[0]):
            self.set_positive(True)  # nobody expects the first click in an image to remove anything
        if self.image is not None:
            self.queue.restore(self.image)
        self._show_own()
        self._select_point()
        self.selection_changed.emit()

    def _on_result(self, result: SegmentationResult | LocatedResult) -> None:
        self._select_point()
        self.result_ready.emit(result)

    def _select_point(self) -> None:
        """Make the point of the current target one that can be dragged, if it is shown."""
        if self.image is None or self.target_key is None or self.target.kind != "point":
            return
        active = self.viewer.layers.selection.active
        if self.points.find(self.target_key) and active in (None, self.image):
            self.points.use(self.image, self.target, adding=False)

    def _show_own(self) -> None:
        if (
            self.image is not None
            and self.target_key
            and not self.prompts.at(self.target_key).empty
        ):
            self.prompts.restore(self.image, self.target)  # the image may have come back
        self.prompts.show_only(self.target_key)
        self.results.previews.show_only(self.target_key and self.target_key[0])
        self.points.show_only(self.target_key and self.target_key[0])

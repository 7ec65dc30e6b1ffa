"""The segmentation of one viewer: the current image and target, prompts, requests and results.

A session belongs to one viewer and knows no widget. Networks run in its worker thread; layers are
touched on the main thread alone.
"""

from collections.abc import Sequence

from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.layers.alignment import TransformSync
from napari_sam2lora.layers.image_ids import UniqueImageIds
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.masks import AcceptMode
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.orientation import UprightOffer
from napari_sam2lora.layers.prompt_conversion import Tool
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.segmentation.model_choice import ModelChoices
from napari_sam2lora.segmentation.request_queue import RequestQueue
from napari_sam2lora.segmentation.requests import SegmentationResult
from napari_sam2lora.segmentation.results import ResultStore
from sam2lora.targets import TARGETS, Target, get_target


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
        A `SegmentationResult` is shown.
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
        self._image_ids = UniqueImageIds(viewer)
        self._upright_offer = UprightOffer(viewer)
        self._transforms = TransformSync(viewer)
        self.choices.changed.connect(self.selection_changed)
        self.queue.message.connect(self.message)
        self.queue.result_ready.connect(self.result_ready)
        self.queue.device_ready.connect(self.device_ready)
        self.queue.worker.busy_changed.connect(self.busy_changed)
        self.queue.worker.progressed.connect(self.progressed)
        self.results.live_measurements.measured.connect(self.measured)

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
        self.use(self.tool or "point")

    # Prompts

    @property
    def tool(self) -> Tool | None:
        """What a click in the canvas does now."""
        active = self.viewer.layers.selection.active
        modes: dict[str, Tool] = {"add": "point", "add_rectangle": "box"}
        if active is None or not self.prompts.has(active):
            return None
        return modes.get(str(active.mode))

    def use(self, tool: Tool) -> None:
        """Make the next click set a point, or draw a box."""
        if self.image is not None:
            self.prompts.use(self.image, self.target, tool)
            self._show_own()

    def set_positive(self, positive: bool) -> None:
        """Set whether the next points are positive."""
        if positive != self.prompts.positive:
            self.prompts.set_positive(positive)
            self.positive_changed.emit(positive)

    def undo(self) -> None:
        """Undo the last point or box."""
        if self.target_key and not self.prompts.undo(self.target_key):
            self.message.emit("There is no point or box to undo.")
        elif self.image is not None:
            self.prompts.restore(self.image, self.target)  # one may have been deleted by hand

    def redo(self) -> None:
        """Redo a point or box that was undone."""
        if self.image is not None and self.target_key and self.prompts.redo(self.target_key):
            self.prompts.restore(self.image, self.target)

    def clear(self) -> None:
        """Remove all points and the box of the current target."""
        if self.target_key:
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

        Only an up-to-date result is written; otherwise a message says what to do.

        Raises
        ------
        Sam2LoraError
            If the mask's layer does not fit.
        """
        if self.image is None or self.result is None:
            self.message.emit("There is no result to accept. Press Segment first.")
            return None
        reason = self.queue.blocking_reason(self.result)
        if reason:
            self.message.emit(reason)
            return None
        labels = self.results.accept(self.image, self.target, mode)
        self.viewer.layers.selection.active = labels
        self.message.emit(f"Accepted into {labels.name}. Ctrl+Z undoes it; H shows the preview.")
        return labels

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
        images = self.images.ids()
        self.results.keep_only(images)
        self.queue.errors.keep_only(images)
        self.prompts.forget_missing()
        # Without an image there is nothing to hide yet, and a layer that is hidden loses its tool.
        if self.prompts.adopt() and self.image is not None:
            self._show_own()
        self._transforms.refresh()

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
        self._show_own()
        self.selection_changed.emit()
        if tool and image is not None:
            self.use(tool)

    def _show_own(self) -> None:
        if (
            self.image is not None
            and self.target_key
            and not self.prompts.at(self.target_key).empty
        ):
            self.prompts.restore(self.image, self.target)  # the image may have come back
        self.prompts.show_only(self.target_key)
        self.results.previews.show_only(self.target_key and self.target_key[0])

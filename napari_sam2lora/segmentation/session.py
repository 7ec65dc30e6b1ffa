"""The segmentation of one viewer: what is chosen, what was asked, and what came back.

A session belongs to one viewer and knows no widget. Networks run in its worker; layers are touched
in the window's thread alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora._settings import preferences
from napari_sam2lora.layers.alignment import TransformSync
from napari_sam2lora.layers.conversion import mask_of
from napari_sam2lora.layers.image_ids import UniqueImageIds
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.masks import AcceptMode, find_mask_layer
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.prompt_conversion import Tool
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.segmentation.request_queue import RequestQueue
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    ModelChoice,
    SegmentationRequest,
    SegmentationResult,
)
from napari_sam2lora.segmentation.results import ResultStore
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import TARGETS, Target, get_target


class Session(QObject):
    """What is being segmented in one viewer.

    Parameters
    ----------
    viewer
        Its viewer.

    Signals
    -------
    selection_changed()
        Another image, target, model, adapter or detail is chosen.
    positive_changed(positive)
        Whether the next points are on the target.
    message(words)
        Something the user should read.

    Attributes
    ----------
    queue
        What asks the network, shows its answers, and says what computes.
    """

    selection_changed = Signal()
    positive_changed = Signal(bool)
    message = Signal(str)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.prompts = PromptLayers(viewer)
        self.results = ResultStore(viewer)
        self.image_ids = UniqueImageIds(viewer)
        self.images = ImageLayers(viewer)
        self.transform_sync = TransformSync(viewer)
        self.image: Image | None = None
        self.target: Target = TARGETS["disc"]
        self.model = "nano"
        self.device: str | None = None
        self.precision: PrecisionChoice | None = None
        self.start_from_mask = False
        self._choices: dict[str, ModelChoice] = {}
        self._adapters = 0
        self.queue = RequestQueue(
            self.images,
            self.prompts,
            self.results,
            request=self.request,
            how=lambda target: (self.compute, self.choice(target), self.start_from_mask),
        )
        self.queue.message.connect(self.message)

    # What is chosen

    @property
    def place(self) -> TargetKey | None:
        """The present image and target."""
        return None if self.image is None else (ensure_image_id(self.image), self.target.name)

    @property
    def compute(self) -> ComputeSettings:
        """The base model with device and precision: those chosen here, else the Preferences'."""
        chosen = preferences()
        return ComputeSettings(
            self.model, self.device or chosen.device, self.precision or chosen.precision
        )

    def set_image(self, image: Image | None) -> None:
        """Choose the image that is segmented."""
        self._choose(image, self.target)

    def set_target(self, name: str, *, image: Image | None = None) -> None:
        """Choose the target that clicks are about, and with it, where it is given, the image.

        Raises
        ------
        TargetError
            If there is none of that name.
        """
        self._choose(image or self.image, get_target(name))

    def set_compute(
        self, model: str, device: str | None = None, precision: PrecisionChoice | None = None
    ) -> None:
        """Choose what computes; None is what the Preferences say."""
        self.model, self.device, self.precision = model, device, precision
        self.queue.mark_old()
        self.selection_changed.emit()

    def choice(self, target: Target) -> ModelChoice:
        """Give how a target is answered."""
        return self._choices.get(target.name, ModelChoice())

    def choose(self, target: Target, choice: ModelChoice) -> None:
        """Say how a target is answered from now on."""
        self._choices[target.name] = choice
        self.queue.mark_old()
        self.selection_changed.emit()

    def start_from(self, painted: bool) -> None:
        """Say whether answers start from what is painted from now on."""
        self.start_from_mask = painted
        self.queue.mark_old()

    def forget_adapters(self) -> None:
        """Look adapters up again for what is asked from now on."""
        self._adapters += 1

    # Asking

    def segment(self, targets: Sequence[Target]) -> None:
        """Ask for targets in the present image, with what is said about each."""
        if self.image is None:
            self.message.emit("Open a fundus photograph first.")
            return
        for target in targets:
            self.queue.ask(self.image, target)
        self._show_own()
        self.use(self.tool or "point")

    def request(self, image: Image, target: Target) -> SegmentationRequest:
        """Say what would be asked about a target in an image as things are now.

        Raises
        ------
        ImageError
            If the image, or the painted mask, is a stack.
        TargetError
            If two layers show the target.
        """
        place = (ensure_image_id(image), target.name)
        prompts = self.prompts.at(place)
        if self.start_from_mask:
            painted = find_mask_layer(self.viewer, image, target)
            mask = None if painted is None else mask_of(layer_data(painted))
            prompts = replace(prompts, mask=mask)
        choice = self.choice(target)
        snapshot, painted = self.images.snapshot(image), self.start_from_mask
        return SegmentationRequest(
            snapshot, target, prompts, self.compute, choice, painted, self._adapters
        )

    # Prompts

    @property
    def tool(self) -> Tool | None:
        """What a click in the window does now."""
        active = self.viewer.layers.selection.active
        modes: dict[str, Tool] = {"add": "point", "add_rectangle": "box"}
        if active is None or not self.prompts.has(active):
            return None
        return modes.get(str(active.mode))

    def use(self, tool: Tool) -> None:
        """Let the next click set a point, or draw a box."""
        if self.image is not None:
            self.prompts.use(self.image, self.target, tool)
            self._show_own()

    def set_positive(self, positive: bool) -> None:
        """Say whether the next points are on the target."""
        if positive != self.prompts.positive:
            self.prompts.set_positive(positive)
            self.positive_changed.emit(positive)

    def undo(self) -> None:
        """Take the last point or box back."""
        if self.place and not self.prompts.undo(self.place):
            self.message.emit("There is no point or box to take back.")
        elif self.image is not None:
            self.prompts.restore(self.image, self.target)  # one may have been deleted by hand

    def redo(self) -> None:
        """Put a point or box back that was taken back."""
        if self.image is not None and self.prompts.redo(
            (ensure_image_id(self.image), self.target.name)
        ):
            self.prompts.restore(self.image, self.target)

    def clear(self) -> None:
        """Take all points and the box of the present target away."""
        if self.place:
            self.prompts.clear(self.place)

    # Answers

    @property
    def result(self) -> SegmentationResult | None:
        """The last answer for the present image and target."""
        return self.results.latest.get(self.place) if self.place else None

    def set_threshold(self, threshold: float) -> None:
        """Set the probability that makes the present target's mask, and show it."""
        if self.place is not None:
            self.results.set_threshold(self.place, threshold)

    def accept(self, mode: AcceptMode) -> Labels | None:
        """Write the present target's answer into its mask, and select that, to be corrected.

        Only an answer to what is asked now is written; of another it is said what to do.

        Raises
        ------
        Sam2LoraError
            If the mask's layer does not fit.
        """
        if self.image is None or self.result is None:
            self.message.emit("There is no answer to accept. Press Segment first.")
            return None
        obstacle = self.queue.obstacle(self.result)
        if obstacle:
            self.message.emit(obstacle)
            return None
        labels = self.results.accept(self.image, self.target, mode)
        self.viewer.layers.selection.active = labels
        self.message.emit(
            f"{labels.name} has the answer. Ctrl+Z takes it back; H shows the answer."
        )
        return labels

    def measure(self) -> None:
        """Measure the present image soon.

        Raises
        ------
        Sam2LoraError
            If a mask is a stack, or two layers show one target.
        """
        self.results.live_measurements.forget()
        if self.image is not None and self.result is not None:
            self.results.measure(self.image, self.target)

    def forget_missing(self) -> None:
        """Let go of images and layers that left the viewer, and know prompts that are in it."""
        self.image_ids.settle()
        images = self.images.ids()
        self.results.forget_but(images)
        self.prompts.forget_missing()
        # Without an image there is nothing to hide yet, and a layer that is hidden loses its tool.
        if self.prompts.adopt() and self.image is not None:
            self._show_own()
        self.transform_sync.refresh()

    def close(self) -> None:
        """End the work, and let go of the viewer."""
        self.queue.close()
        self.results.close()
        self.image_ids.close()
        self.transform_sync.close()
        self.prompts.close()

    def _choose(self, image: Image | None, target: Target) -> None:
        """Choose both at once: the prompts of neither are hidden in between, and lose no tool."""
        if image is self.image and target == self.target:
            return
        tool = self.tool if target != self.target else None
        self.image, self.target = image, target
        self._show_own()
        self.selection_changed.emit()
        if tool and image is not None:
            self.use(tool)

    def _show_own(self) -> None:
        if self.image is not None and self.place and not self.prompts.at(self.place).empty:
            self.prompts.restore(self.image, self.target)  # the image may have come back
        self.prompts.show_only(self.place)
        self.results.previews.show_only(self.place and self.place[0])

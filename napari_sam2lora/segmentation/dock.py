"""The Segment dock: one session's choices, prompts and answers as widgets.

Here alone the widgets meet the session; what they do is the session's work.
"""

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.layers.lookup import fundus_images
from napari_sam2lora.layers.mask_events import MaskWatcher
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, Section
from napari_sam2lora.segmentation import keybindings as keys
from napari_sam2lora.segmentation.batch_controller import BatchController
from napari_sam2lora.segmentation.cli_command import as_text, settings_of_image
from napari_sam2lora.segmentation.comparison_controller import ComparisonController
from napari_sam2lora.segmentation.live_measurements import MeasurementResult, rows
from napari_sam2lora.segmentation.model_controller import ModelController
from napari_sam2lora.segmentation.requests import SegmentationResult
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.viewer_sync import ViewerSync
from napari_sam2lora.segmentation.widgets.batch_panel import BatchPanel
from napari_sam2lora.segmentation.widgets.comparison_panel import ComparisonPanel
from napari_sam2lora.segmentation.widgets.measurement_rows import MeasurementRows
from napari_sam2lora.segmentation.widgets.model_panel import ModelPanel
from napari_sam2lora.segmentation.widgets.new_target_dialog import NewTargetDialog
from napari_sam2lora.segmentation.widgets.progress_bar import SegmentationProgress
from napari_sam2lora.segmentation.widgets.prompt_controls import PromptControls
from napari_sam2lora.segmentation.widgets.target_selector import TargetSelector
from napari_sam2lora.segmentation.widgets.threshold_controls import ThresholdControls
from sam2lora.errors import Sam2LoraError
from sam2lora.targets import TARGETS, all_targets

_WIDTH = 350  # pixels


class SegmentDock(QWidget):
    """Segments the photographs of a viewer, with points and boxes where the answer is wrong.

    Parameters
    ----------
    napari_viewer
        Its viewer; another viewer has a session of its own.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._measured: TargetKey | None = None  # whose numbers are shown
        self.session = Session(napari_viewer)
        self._build()
        self._wire()
        self.setup = ModelController(self.session, self.advanced)
        self.setup.warned.connect(self._on_warned)
        self.comparing = ComparisonController(self.session, self.setup, self.compare)
        self.batching = BatchController(self.session, self.batch)
        actions = {key.action: getattr(self, key.action) for key in keys.KEYS}
        self.following = ViewerSync(self.session, actions)
        self.following.layers_changed.connect(self._on_followed)
        self.masks = MaskWatcher(napari_viewer)
        self.masks.changed.connect(self._measure)
        self.following.layers_changed.connect(self.masks.refresh)
        self.following.tool_changed.connect(self._show_tool)
        # A window that closes destroys the dock without taking it out.
        self._parts = _Parts(self.following, self.masks, self.comparing, self.session)
        self.destroyed.connect(self._parts.close)
        self.following.refresh()
        self.session.queue.describe_device()

    def segment(self) -> None:
        """Ask for the chosen target in the chosen image."""
        self.session.segment([self.session.target])

    def segment_all(self) -> None:
        """Ask for vessel, disc and cup."""
        self.setup.warn(*TARGETS.values())
        self.session.segment(list(TARGETS.values()))

    def toggle_positive(self) -> None:
        """Let the next points mean the opposite."""
        self.session.set_positive(not self.session.prompts.positive)

    def use_points(self) -> None:
        """Let the next click set a point."""
        self.session.use("point")

    def use_box(self) -> None:
        """Let the next drag draw a box."""
        self.session.use("box")

    def undo(self) -> None:
        """Take the last point or box back."""
        self.session.undo()

    def redo(self) -> None:
        """Put a point or box back."""
        self.session.redo()

    def clear(self) -> None:
        """Take all prompts of the target away."""
        self.session.clear()

    def accept(self) -> None:
        """Write the answer into the target's mask."""
        self.threshold.accept_now()

    def toggle_preview(self) -> None:
        """Hide or show the answer."""
        key = self.session.target_key
        layer = self.session.results.previews.find(key) if key else None
        if layer is not None:
            layer.visible = not layer.visible

    def use_adapter(self, name: str) -> None:
        """Answer by an adapter that was just trained; the Train dock calls it."""
        self.setup.use_adapter(name)

    def free_gpu(self, device: str) -> None:
        """Free the GPU for a training that is about to begin; the Train dock calls it."""
        if device != "cpu":
            self.session.queue.free_memory()

    def sizeHint(self) -> QSize:
        """Ask for little width: the picture is what matters, and all parts fit."""
        return QSize(_WIDTH, super().sizeHint().height())

    def changeEvent(self, event: QEvent) -> None:
        """End the work and let go of the viewer when the dock is taken out of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._parts.close()

    def _build(self) -> None:
        self.targets, self.prompts = TargetSelector(), PromptControls()
        self.threshold, self.progress = ThresholdControls(), SegmentationProgress()
        self.live_measurements, self.advanced = MeasurementRows(), ModelPanel()
        self.compare, self.batch = ComparisonPanel(), BatchPanel()
        self._copy = QPushButton("Copy as command")
        self._copy.setToolTip("The command line that gives the same answer, on the clipboard")
        self.warnings = Paragraph()
        self.warnings.setStyleSheet("color: #e0a030;")
        self._segment, self._all = QPushButton("Segment"), QPushButton("Segment all")
        self._segment.setToolTip("Look for the target (G)")
        self._all.setToolTip("Look for vessel, disc and cup (Shift+G)")
        help_text = QLabel(keys.table())
        help_text.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self._segment, stretch=2)
        buttons.addWidget(self._all, stretch=1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.addWidget(self.targets)
        column.addLayout(buttons)
        column.addWidget(self.warnings)
        column.addWidget(self.prompts)
        column.addWidget(self.threshold)
        column.addWidget(self.progress)
        column.addWidget(self.live_measurements)
        column.addWidget(self._copy)
        for title, part in (
            ("ModelPanel", self.advanced),
            ("Compare models", self.compare),
            ("Segment many files", self.batch),
            ("Keys", help_text),
        ):
            column.addWidget(Section(title, part))
        column.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(_WIDTH)

    def _wire(self) -> None:
        session = self.session
        self._segment.clicked.connect(self.segment)
        self._all.clicked.connect(self.segment_all)
        self._copy.clicked.connect(self._copy_command)
        self.targets.image_selected.connect(self._on_image)
        self.targets.target_selected.connect(self._on_target)
        self.targets.new_target_requested.connect(self._ask_for_target)
        self.prompts.point_requested.connect(self._on_point_wanted)
        self.prompts.box_requested.connect(self.use_box)
        self.prompts.undo_requested.connect(self.undo)
        self.prompts.clear_requested.connect(self.clear)
        self.prompts.use_mask_toggled.connect(self._on_painted)
        self.threshold.threshold_changed.connect(session.set_threshold)
        self.threshold.accepted.connect(self._on_accept)
        self.progress.cancelled.connect(session.queue.cancel)
        session.busy_changed.connect(self.progress.show_busy)
        session.progressed.connect(self.progress.show_progress)
        session.message.connect(self.progress.show_message)
        session.selection_changed.connect(self._on_chosen)
        session.result_ready.connect(self._on_reply)
        session.positive_changed.connect(self._show_tool)
        session.prompts.changed.connect(self._on_prompts)
        session.results.threshold_changed.connect(self._on_threshold)
        session.measured.connect(self._on_measured)

    def _copy_command(self) -> None:
        with show_user_errors():
            text = as_text([settings_of_image(self.session)])
            QGuiApplication.clipboard().setText(text)
            if self.session.choices.start_from_mask:
                text += "\nThe painted mask is no file: export it, and add --mask FILE."
            self.progress.show_message(text)

    def _on_image(self, key: str) -> None:
        image = self.session.images.find(key)
        if image is not None:
            self.session.images.bring_to_front(image)
            self._viewer.layers.selection.active = image  # which the session follows

    def _on_target(self, name: str) -> None:
        with show_user_errors():
            self.session.set_target(name)

    def _ask_for_target(self) -> None:
        asked = NewTargetDialog(self)
        asked.exec()
        if asked.target is not None:
            self.session.set_target(asked.target.name)

    def _on_point_wanted(self, positive: bool) -> None:
        self.session.set_positive(positive)
        self.session.use("point")
        self._show_tool()

    def _on_painted(self, on: bool) -> None:
        self.session.choices.set_start_from_mask(on)

    def _on_accept(self, mode: str) -> None:
        with show_user_errors():
            self.session.accept(mode)
            self._measure()

    def _on_chosen(self) -> None:
        key = self.session.target_key
        if key:
            self.threshold.show_threshold(self.session.results.threshold(key))
        if key != self._measured:
            self._show_measurements(None)
        self._on_followed()
        self._measure()

    def _on_reply(self, result: SegmentationResult) -> None:
        key = self.session.target_key
        if key == (result.request.image.key, result.request.target.name):
            self.threshold.show_threshold(self.session.results.threshold(key))
        # Another target's refusal stays to be read.
        self.progress.show_message(self.session.queue.errors.of_image(result.request.image.key))
        self._measure()

    def _on_prompts(self) -> None:
        self.setup.warn()

    def _on_warned(self, words: str) -> None:
        self.warnings.setText(words)
        self.warnings.setVisible(bool(words))

    def _measure(self) -> None:
        """Measure soon. What stands in the way is said beside the numbers, not again and again."""
        words = ""
        try:
            self.session.measure()
        except Sam2LoraError as error:
            words = str(error)
            self._show_measurements(None)
        self.live_measurements.show_message(words)

    def _on_threshold(self) -> None:
        key = self.session.target_key
        if key:
            self.threshold.show_threshold(self.session.results.threshold(key))
        self._measure()

    def _on_measured(self, result: MeasurementResult) -> None:
        if result.key == self.session.target_key and not self.live_measurements.message.text():
            self._show_measurements(result)

    def _show_measurements(self, result: MeasurementResult | None) -> None:
        self._measured = None if result is None else result.key
        self.live_measurements.show_rows([] if result is None else rows(result))

    def _on_followed(self) -> None:
        """List what is in the viewer now."""
        session = self.session
        images = fundus_images(self._viewer.layers)
        key = ensure_image_id(session.image) if session.image is not None else None
        self.targets.show_images([(ensure_image_id(one), one.name) for one in images], key)
        with show_user_errors():
            self.targets.show_targets(list(all_targets().values()), session.target.name)

    def _show_tool(self, *_: object) -> None:
        self.prompts.show_tool(self.session.tool, self.session.prompts.positive)


class _Parts(QObject):
    """What has to let go of the viewer when the dock goes, which happens in one of two ways."""

    def __init__(self, *parts: ViewerSync | MaskWatcher | ComparisonController | Session) -> None:
        super().__init__()
        self._parts = list(parts)

    def close(self) -> None:
        """Let all parts go, once."""
        while self._parts:
            self._parts.pop(0).close()

"""The Segment dock: a session's choices, prompts and results as widgets.

Only here and in the controllers do widgets meet the session; the work is the session's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari.layers import Labels
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import QLabel, QPushButton

from napari_sam2lora.layers.conversion import fingerprint, mask_of
from napari_sam2lora.layers.list_rows import LayerRows
from napari_sam2lora.layers.lookup import fundus_images, layer_data
from napari_sam2lora.layers.mask_events import MaskWatcher
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id, plugin_metadata
from napari_sam2lora.qt.close_guard import CloseGuard
from napari_sam2lora.qt.dialogs import confirm
from napari_sam2lora.qt.dock import Dock, main_window
from napari_sam2lora.qt.dock_protocol import (
    SEGMENT,
    AcceptedPrediction,
    finish_image,
    logs_predictions,
    note_accepted,
    note_confidence,
)
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Section, column, row
from napari_sam2lora.segmentation import keybindings as keys
from napari_sam2lora.segmentation.batch_controller import BatchController
from napari_sam2lora.segmentation.cli_command import as_text, settings_of_image
from napari_sam2lora.segmentation.comparison_controller import ComparisonController
from napari_sam2lora.segmentation.live_measurements import MeasurementResult, point_rows, rows
from napari_sam2lora.segmentation.model_controller import ModelController
from napari_sam2lora.segmentation.opening_controller import OpeningController
from napari_sam2lora.segmentation.requests import LocatedResult, SegmentationResult
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.unsaved_notes import bring_back, notes_of
from napari_sam2lora.segmentation.viewer_sync import ViewerSync
from napari_sam2lora.segmentation.widgets.accept_buttons import AcceptButtons
from napari_sam2lora.segmentation.widgets.batch_panel import BatchPanel
from napari_sam2lora.segmentation.widgets.comparison_panel import ComparisonPanel
from napari_sam2lora.segmentation.widgets.measurement_rows import MeasurementRows
from napari_sam2lora.segmentation.widgets.model_panel import ModelPanel
from napari_sam2lora.segmentation.widgets.new_target_dialog import NewTargetDialog
from napari_sam2lora.segmentation.widgets.opening_controls import OpeningControls
from napari_sam2lora.segmentation.widgets.progress_bar import SegmentationProgress
from napari_sam2lora.segmentation.widgets.prompt_controls import PromptControls
from napari_sam2lora.segmentation.widgets.target_selector import TargetSelector
from napari_sam2lora.segmentation.widgets.threshold_controls import ThresholdControls
from sam2lora.errors import Sam2LoraError
from sam2lora.targets import selectable_targets

TITLE = SEGMENT
"""napari's name of the dock."""

_LISTED = 8  # images in a question


class SegmentDock(Dock):
    """Segments the images of a viewer, and corrects predictions by points and boxes.

    Parameters
    ----------
    napari_viewer
        The viewer; each viewer has a session of its own.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._viewer = napari_viewer
        self._measured: TargetKey | None = None  # whose measurements are shown
        self._accepted: list[tuple[Labels, int]] = []  # what the message is about
        self.session = Session(napari_viewer)
        self._build()
        self._wire()
        self.models = ModelController(self.session, self.model_panel)
        self.models.warned.connect(self._on_warned)
        self.comparison = ComparisonController(self.session, self.models, self.comparison_panel)
        self.batch = BatchController(self.session, self.batch_panel)
        self.opening = OpeningController(self.session, self.opening_controls)
        actions = {key.action: getattr(self, key.action) for key in keys.KEYS}
        self.sync = ViewerSync(self.session, actions)
        self.sync.layers_changed.connect(self._on_layers_changed)
        self.mask_watcher = MaskWatcher(napari_viewer)
        self.mask_watcher.changed.connect(self._on_masks)
        self.sync.layers_changed.connect(self.mask_watcher.refresh)
        self.sync.tool_changed.connect(self._show_tool)
        # A window that closes destroys the dock without removing it first.
        self._rows = LayerRows(napari_viewer)
        self._parts = _Parts(
            self.sync, self.mask_watcher, self.comparison, self.session, self._rows
        )
        self.destroyed.connect(self._parts.close)
        self.sync.refresh()
        self._close_guard = CloseGuard(self, self._may_close)
        self.session.queue.describe_device()

    def segment(self) -> None:
        """Segment the current target of the current image."""
        self.session.segment([self.session.target])

    def segment_all(self) -> None:
        """Segment vessel, disc, cup and all other targets that have an adapter.

        A point that is accepted stays where it is.
        """
        with show_user_errors(self):
            targets = self.models.targets_to_segment()
            targets = [one for one in targets if not self.session.has_accepted_point(one)]
            self.models.warn(*targets)
            self.session.segment(targets)

    def toggle_positive(self) -> None:
        """Switch between positive and negative points, or make the next click a negative one."""
        self.session.toggle_positive()
        self._show_tool()

    def use_points(self) -> None:
        """Make the next click add to the target."""
        self.session.set_positive(True)
        self.session.use("point")

    def use_box(self) -> None:
        """Make the next drag draw a box."""
        self.session.use("box")

    def use_branch(self) -> None:
        """Make the next click add or remove a branch."""
        self.session.use("branch")
        self._show_tool()

    def use_outline(self) -> None:
        """Show the handles of the target's outline."""
        with show_user_errors(self):
            self.session.use_outline()
        self._show_tool()

    def undo(self) -> None:
        """Undo the last prompt."""
        self.session.undo()

    def redo(self) -> None:
        """Redo a prompt."""
        self.session.redo()

    def clear(self) -> None:
        """Remove all prompts of the target."""
        self.session.clear()

    def accept(self) -> None:
        """Write the prediction into the target's mask."""
        with show_user_errors(self):
            self.session.accept(self.threshold.accept_mode)
            self._measure()

    def accept_all(self) -> bool:
        """Write the predictions of all targets into their masks; return whether none is left."""
        done = False
        with show_user_errors(self):
            done = self.session.accept_all(self.threshold.accept_mode)
            self._measure()
        return done

    def finish(self) -> None:
        """Accept all, mark the image as done in its list, and show the next one."""
        image = self.session.image
        if image is None or not self.accept_all():
            return
        if not finish_image(self._viewer, ensure_image_id(image)):
            self.session.message.emit("The image is in no list that is open, so it stays.")

    def next_target(self) -> None:
        """Select the next target."""
        with show_user_errors(self):
            self.session.step_target(1)

    def previous_target(self) -> None:
        """Select the previous target."""
        with show_user_errors(self):
            self.session.step_target(-1)

    def toggle_preview(self) -> None:
        """Hide or show the preview."""
        key = self.session.target_key
        results = self.session.results
        layer = (results.previews.find(key) or results.points.find(key)) if key else None
        if layer is not None:
            layer.visible = not layer.visible

    def use_adapter(self, name: str) -> None:
        """Segment with an adapter that was just trained; the Train dock calls it."""
        self.models.use_adapter(name)

    def free_gpu(self, device: str) -> None:
        """Free the GPU for a training that is about to start; the Train dock calls it."""
        if device != "cpu":
            self.session.queue.free_memory()

    def unsaved_notes(self, image: str) -> dict[str, Any]:
        """Return the prompts and previews of an image as JSON has them; the Grade dock calls it."""
        return notes_of(self.session, image)

    def restore_notes(self, image: str, notes: Mapping[str, Any]) -> None:
        """Bring back prompts and previews of an image; the Grade dock calls it."""
        with show_user_errors(self):
            bring_back(self.session, image, notes)

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the main window, to ask before it closes."""
        super().showEvent(event)
        self._close_guard.refresh()
        self._rows.follow(main_window(self))

    def changeEvent(self, event: QEvent) -> None:
        """Stop the work and disconnect when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._parts.close()
            self._close_guard.release()

    def _may_close(self) -> bool:
        """Ask before results are lost that were shown and not accepted."""
        lost = self.session.results.lost_on_closing()
        if not lost or self._close_guard.agreed.isActive():
            return True
        lines = [f"{Path(image).name}: {', '.join(targets)}" for image, targets in lost.items()]
        if len(lines) > _LISTED:
            lines[_LISTED:] = [f"… and {len(lines) - _LISTED} more images"]
        text = "Predictions that were not accepted are lost:\n\n" + "\n".join(lines)
        closes = confirm(self, TITLE, text, action="Close")
        if closes:
            self._close_guard.agreed.start()
        return closes

    def _build(self) -> None:
        self.targets, self.prompts = TargetSelector(), PromptControls()
        self.threshold, self.progress = ThresholdControls(), SegmentationProgress()
        self.opening_controls, self.accept_buttons = OpeningControls(), AcceptButtons()
        self.measurement_rows, self.model_panel = MeasurementRows(), ModelPanel()
        self.comparison_panel, self.batch_panel = ComparisonPanel(), BatchPanel()
        self._copy = QPushButton("Copy as command")
        self._copy.setToolTip("Copy the command line that gives the same prediction")
        self._segment, self._all = QPushButton("Segment"), QPushButton("Segment all")
        self._segment.setToolTip("Segment the target (G)")
        self._all.setToolTip(
            "Segment vessel, disc, cup, fovea, and your own targets that have an adapter (Shift+G)"
        )
        help_text = QLabel(keys.table())
        help_text.setWordWrap(True)
        sections = [
            Section(title, part)
            for title, part in (
                ("Advanced", self.model_panel),
                ("Compare models", self.comparison_panel),
                ("Batch", self.batch_panel),
                ("Keys", help_text),
            )
        ]
        self.fill(
            column(
                *(self.prompts, self.threshold, self.opening_controls, self.measurement_rows),
                *(self._copy, *sections),
            ),
            above=column(self.targets, row(self._segment, self._all)),
            below=column(self.accept_buttons, self.progress),
        )

    def _wire(self) -> None:
        session = self.session
        self._segment.clicked.connect(self.segment)
        self._all.clicked.connect(self.segment_all)
        self._copy.clicked.connect(self._copy_command)
        self.targets.image_selected.connect(self._on_image)
        self.targets.target_selected.connect(self._on_target)
        self.targets.new_target_requested.connect(self._add_target)
        self.prompts.point_requested.connect(self._on_point_wanted)
        self.prompts.box_requested.connect(self.use_box)
        self.prompts.branch_requested.connect(self.use_branch)
        self.prompts.outline_requested.connect(self.use_outline)
        self.prompts.undo_requested.connect(self.undo)
        self.prompts.clear_requested.connect(self.clear)
        self.prompts.use_mask_toggled.connect(self._on_use_mask)
        self.threshold.threshold_changed.connect(session.set_threshold)
        self.accept_buttons.accept_requested.connect(self.accept)
        self.accept_buttons.accept_all_requested.connect(self.accept_all)
        self.accept_buttons.finish_requested.connect(self.finish)
        self.progress.cancelled.connect(session.queue.cancel)
        session.busy_changed.connect(self.progress.show_busy)
        session.progressed.connect(self.progress.show_progress)
        session.message.connect(self._on_message)
        session.accepted.connect(self._on_accepted)
        session.selection_changed.connect(self._on_selection_changed)
        session.queue.predicted.connect(self._on_predicted)
        session.result_ready.connect(self._on_result)
        session.positive_changed.connect(self._show_tool)
        session.prompts.changed.connect(self._on_prompts)
        session.points.changed.connect(self._on_point)
        session.results.threshold_changed.connect(self._on_threshold)
        session.measured.connect(self._on_measured)

    def _copy_command(self) -> None:
        with show_user_errors(self):
            text = as_text([settings_of_image(self.session)])
            QGuiApplication.clipboard().setText(text)
            if self.session.choices.start_from_mask:
                text += "\nThe painted mask is not in a file yet: save it, and add --mask FILE."
            self.progress.show_message(text)

    def _on_image(self, key: str) -> None:
        image = self.session.images.find(key)
        if image is not None:
            self.session.images.bring_to_front(image)
            self._viewer.layers.selection.active = image  # which the session follows

    def _on_target(self, name: str) -> None:
        with show_user_errors(self):
            self.session.set_target(name)

    def _add_target(self) -> None:
        dialog = NewTargetDialog(self)
        dialog.exec()
        if dialog.target is not None:
            self.session.set_target(dialog.target.name)

    def _on_point_wanted(self, positive: bool) -> None:
        self.session.set_positive(positive)
        self.session.use("point")
        self._show_tool()

    def _on_use_mask(self, on: bool) -> None:
        self.session.choices.set_start_from_mask(on)

    def _on_accepted(self, masks: list[Labels]) -> None:
        """Remember what was accepted, to notice when a message about it is outdated."""
        self._accepted = [(layer, fingerprint(mask_of(layer_data(layer)))) for layer in masks]
        if logs_predictions(self._viewer):  # else no adapter's files need to be read
            with show_user_errors(self):
                for layer in masks:
                    self._note_accepted(plugin_metadata(layer.metadata))

    def _note_accepted(self, about: Mapping[str, Any]) -> None:
        """Notify docks that write it down of what predicted a mask."""
        result = self.session.results.latest.get((about["image"], about["target"]))
        if result is not None:
            adapter = result.task.adapter
            accepted = AcceptedPrediction(
                image=about["image"],
                target=about["target"],
                model=result.request.compute.model,
                adapter="" if adapter is None else adapter.name,
                adapter_sha256="" if adapter is None else adapter.digest(),
                confidence=about.get("confidence"),
            )
            note_accepted(self._viewer, accepted)

    def _on_message(self, text: str) -> None:
        self._accepted = []
        self.messages.add(text)
        self.progress.show_message(text)

    def _on_masks(self) -> None:
        """Measure, and clear the message about masks that were changed or undone since."""
        if any(fingerprint(mask_of(layer_data(one))) != was for one, was in self._accepted):
            self._accepted = []
            self.progress.show_message("")
        self._measure()

    def _on_selection_changed(self) -> None:
        key = self.session.target_key
        self._show_tool()
        if key:
            self.threshold.show_threshold(self.session.results.threshold(key))
        if key != self._measured:
            self._show_measurements(None)
        self._on_layers_changed()
        self._measure()

    def _on_predicted(self, result: SegmentationResult) -> None:
        image, target = result.request.image.key, result.request.target.name
        note_confidence(self._viewer, image, target, result.prediction.confidence)

    def _on_point(self, key: TargetKey) -> None:
        if key == self.session.target_key:
            self._measure()

    def _on_result(self, result: SegmentationResult | LocatedResult) -> None:
        key = self.session.target_key
        if key == (result.request.image.key, result.request.target.name):
            self.threshold.show_threshold(self.session.results.threshold(key))
        # An error of another target stays.
        self.progress.show_message(self.session.queue.errors.of_image(result.request.image.key))
        self._measure()

    def _on_prompts(self) -> None:
        self.models.warn()

    def _on_warned(self, text: str) -> None:
        self.messages.add(text)
        self.progress.show_warnings(text)

    def _measure(self) -> None:
        """Measure soon; what prevents it is shown beside the measurements."""
        message, key = "", self.session.target_key
        if key is not None and self.session.target.kind == "point":
            point = self.session.points.at(key)
            self._measured = key
            self.measurement_rows.show_rows(point_rows(key[1], point) if point else ())
            self.measurement_rows.show_message("")
            return
        try:
            self.session.measure()
        except Sam2LoraError as error:
            message = str(error)
            self._show_measurements(None)
        self.measurement_rows.show_message(message)

    def _on_threshold(self) -> None:
        key = self.session.target_key
        if key:
            self.threshold.show_threshold(self.session.results.threshold(key))
        self._measure()

    def _on_measured(self, result: MeasurementResult) -> None:
        if result.key == self.session.target_key and not self.measurement_rows.message.text():
            self._show_measurements(result)

    def _show_measurements(self, result: MeasurementResult | None) -> None:
        self._measured = None if result is None else result.key
        self.measurement_rows.show_rows([] if result is None else rows(result))

    def _on_layers_changed(self) -> None:
        """List the images and targets again."""
        session = self.session
        images = fundus_images(self._viewer.layers)
        key = ensure_image_id(session.image) if session.image is not None else None
        self.targets.show_images([(ensure_image_id(one), one.name) for one in images], key)
        with show_user_errors(self):
            self.targets.show_targets(list(selectable_targets().values()), session.target.name)

    def _show_tool(self, *_: object) -> None:
        target = self.session.target
        point = target.kind == "point"
        self.prompts.show_target(fine=target.detail == "tiles", point=point)
        self.threshold.show_kind(point=point)
        self.prompts.show_tool(self.session.tool, self.session.prompts.positive)


class _Parts(QObject):
    """What must disconnect from the viewer when the dock is removed or destroyed."""

    def __init__(
        self, *parts: ViewerSync | MaskWatcher | ComparisonController | Session | LayerRows
    ) -> None:
        super().__init__()
        self._parts = list(parts)

    def close(self) -> None:
        """Close all parts, once."""
        while self._parts:
            self._parts.pop(0).close()

"""The Train tab: images, target, preset and initial adapter, with the button to start."""

from pathlib import Path

from napari.layers import Labels, Layer
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam2lora.adapters import dice_of
from napari_sam2lora.qt.dock import scrolling
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, column, row
from napari_sam2lora.training.data.annotated_area import add_annotated_area
from napari_sam2lora.training.data.folder_pairs import FilePair, listed_folders, pairs_in_folder
from napari_sam2lora.training.data.new_run import PRESETS, TrainingPlan, fitting_adapters
from napari_sam2lora.training.data.pairs import real_path
from napari_sam2lora.training.data.proposals import merge_pairs
from napari_sam2lora.training.data.snapshot import labelled_images
from napari_sam2lora.training.data.viewer_pairs import (
    MaskSummary,
    pairs_in_viewer,
    target_shown,
)
from napari_sam2lora.training.setup_tab.command_row import CommandRow
from napari_sam2lora.training.setup_tab.estimator import CostEstimator
from napari_sam2lora.training.setup_tab.options import SetupOptions
from napari_sam2lora.training.setup_tab.pair_table import PairTable
from sam2lora.adapters import Adapter, list_adapters
from sam2lora.errors import Sam2LoraError
from sam2lora.models.registry import BASE_MODELS
from sam2lora.targets import all_targets

_TABLE_HEIGHT = 120  # pixels, at least
_DELAY = 400  # milliseconds between a change of the layers and the refresh


class SetupTab(QWidget):
    """Puts a training plan together.

    Parameters
    ----------
    viewer
        Viewer whose layers are listed.

    Signals
    -------
    train(plan)
        The user wants the plan trained.
    """

    train = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._folders: list[Path] = []
        self._folder_pairs: list[FilePair] = []
        self._summaries: dict[Labels, MaskSummary] = {}
        self._adapters: list[Adapter] = []
        self._all_outdated = False  # whether folders and adapters may have changed too
        self._changes: dict[str, object] = {}
        self._estimated: object = None  # the choices that the estimate is of
        self.options = SetupOptions(list(all_targets()), list(BASE_MODELS), PRESETS)
        self.pairs = PairTable()
        self.estimator = CostEstimator(self)
        self.command = CommandRow()
        self._estimate = Paragraph()
        self._ask = button(
            "Estimate",
            self.estimate,
            tip="Run one sample to see time, memory, and what share is trained.",
        )
        self._start = button(
            "Train",
            self._on_train,
            tip="Train on the selected images; napari can be used meanwhile.",
        )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self._on_time)
        self._build()
        active = viewer.layers.selection.active
        if isinstance(active, Labels):  # what was corrected last
            self.options.choose(target=target_shown(active))
        self.options.target_changed.connect(self.refresh)
        self.options.changed.connect(self._on_plan_changed)
        self.pairs.selection_changed.connect(self._on_plan_changed)
        self.estimator.estimated.connect(self._estimate.setText)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._on_layers)
        for layer in viewer.layers:
            self._connect(layer)
        self.refresh()

    def plan(self) -> TrainingPlan:
        """Return what is chosen now."""
        return TrainingPlan(
            target=self.options.target,
            model=self.options.model,
            preset=self.options.preset,
            start_from=self.options.start_from,
            name=self.options.name,
            changes=self._changes,
            pairs=self.pairs.selected_pairs(),
        )

    def set_changes(self, changes: dict[str, object]) -> None:
        """Set what differs from the preset, from the Advanced tab."""
        self._changes = changes
        self._on_plan_changed()

    def refresh(self) -> None:
        """List the pairs again, from the current layers, folders and adapters."""
        self._all_outdated = False
        self._summaries.clear()
        layers, target = self._viewer.layers, self.options.target
        folders = {
            real_path(folder): folder for folder in [*listed_folders(layers), *self._folders]
        }
        self._folder_pairs = []
        for folder in folders.values():
            with show_user_errors(self):
                self._folder_pairs += pairs_in_folder(folder, target, layers)
        with show_user_errors(self):
            self._adapters = list_adapters()
        self._refresh_layers()

    def refresh_adapters(self) -> None:
        """List the adapters again, and no folder: there may be many images in them."""
        with show_user_errors(self):
            self._adapters = list_adapters()
        self._on_plan_changed()

    def add_folder(self, folder: Path) -> None:
        """List the images of a folder too."""
        with show_user_errors(self):
            pairs_in_folder(folder, self.options.target)
            self._folders.append(folder)
            self.refresh()

    def estimate(self) -> None:
        """Estimate the cost of the training."""
        with show_user_errors(self):
            plan = self.plan()
            self._estimated = plan.choices()
            self._estimate.setText("Estimating…")
            self.estimator.request(plan.settings(), labelled_images(plan.pairs, plan.target))

    def show_state(self, *, busy: bool, training: bool) -> None:
        """Enable the buttons, as far as the session can do what they are for.

        Parameters
        ----------
        busy
            Whether a run is being written or started.
        training
            Whether a training is running.
        """
        self._start.setEnabled(not (busy or training))
        self._start.setText("Copying the images…" if busy else "Train")
        self.command.set_busy(busy)

    def show_prepared(self, plan: TrainingPlan, run: Path) -> None:
        """Show and copy the command of a run folder, and the name of the next run."""
        self._on_plan_changed()
        self.command.show_prepared(plan, run)

    def close_down(self) -> None:
        """Disconnect from the viewer."""
        self.estimator.cancel()
        self._timer.stop()
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._on_layers)
        for layer in self._viewer.layers:
            for name in _events_of(layer):
                layer.events[name].disconnect(self._on_layer_changed)

    def showEvent(self, event: QShowEvent) -> None:
        """Refresh: masks may have been saved, and adapters installed."""
        super().showEvent(event)
        self._all_outdated = True
        self._timer.start()

    def _build(self) -> None:
        self._start.setDefault(True)
        self.pairs.setMinimumHeight(_TABLE_HEIGHT)
        content = column(
            self.options,
            self.pairs,
            row(
                button("All", self._on_all, tip="Select all pairs without an issue."),
                button("None", self._on_none, tip="Select no pair."),
                button("Folder…", self._on_folder, tip="Add the images of a folder."),
                button(
                    "Annotated region…",
                    self._on_area,
                    tip="Outline the annotated part of the selected image; the rest is ignored.",
                ),
            ),
            self._estimate,
            self.command,
            stretch=self.pairs,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolling(content), stretch=1)
        layout.addWidget(column(row(self._ask, self._start)))

    def _refresh_layers(self) -> None:
        open_pairs = pairs_in_viewer(self._viewer, self.options.target, summaries=self._summaries)
        self.pairs.show_pairs(merge_pairs(open_pairs, self._folder_pairs))

    def _on_layers(self, event: Event) -> None:
        self.command.mark_changed()
        if event.value in self._viewer.layers:
            self._connect(event.value)
        self._all_outdated = True
        self._timer.start()

    def _connect(self, layer: Layer) -> None:
        for name in _events_of(layer):
            layer.events[name].connect(self._on_layer_changed)

    def _on_layer_changed(self, event: Event) -> None:
        self.command.mark_changed()
        self._summaries.pop(event.source, None)
        self._timer.start()

    def _on_time(self) -> None:
        """Refresh, unless the tab is hidden: it is refreshed when it is shown."""
        if not self.isVisibleTo(self.window()):
            return
        if self._all_outdated:
            self.refresh()
        else:
            self._refresh_layers()

    def _on_plan_changed(self) -> None:
        """Show what follows from the current plan: initial adapters, run name and command."""
        options = self.options
        try:
            adapters = fitting_adapters(self._adapters, options.target, options.model)
            options.show_adapters(
                {
                    adapter.name: ", ".join(filter(None, (adapter.name, dice_of(adapter.card))))
                    for adapter in adapters
                }
            )
            plan = self.plan()
            options.show_name(plan.run_name())
            self.command.show_plan(plan)
        except Sam2LoraError as error:
            self.command.show_text(str(error))
        if self._estimated != self.plan().choices():
            self._forget_estimate()

    def _forget_estimate(self) -> None:
        self.estimator.cancel()
        self._estimate.setText("")

    def _on_train(self) -> None:
        self._forget_estimate()
        self.train.emit(self.plan())

    def _on_all(self) -> None:
        self.pairs.select_all(True)

    def _on_none(self) -> None:
        self.pairs.select_all(False)

    def _on_area(self) -> None:
        with show_user_errors(self):
            add_annotated_area(self._viewer)

    def _on_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Add a folder of images with masks")
        if folder:
            self.add_folder(Path(folder))


def _events_of(layer: Layer) -> tuple[str, ...]:
    """Return the events of a layer after which its pair may differ."""
    # Undoing a stroke emits neither `paint` nor `data`.
    return ("name", "paint", "data", "set_data") if isinstance(layer, Labels) else ("name", "data")

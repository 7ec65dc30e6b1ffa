"""What is to be trained: images, target, preset and start, with the button to begin."""

from pathlib import Path

from napari.layers import Labels
from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import QFileDialog, QLineEdit, QVBoxLayout, QWidget

from napari_sam2lora.adapters import dice_of
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, row
from napari_sam2lora.training.data.annotated_area import add_annotated_area
from napari_sam2lora.training.data.folder_pairs import FilePair, listed_folders, pairs_in_folder
from napari_sam2lora.training.data.new_run import (
    PRESETS,
    TrainingPlan,
    fitting_adapters,
    plan_run,
    waits,
)
from napari_sam2lora.training.data.pairs import real_path
from napari_sam2lora.training.data.proposals import propose
from napari_sam2lora.training.data.snapshot import sources_of
from napari_sam2lora.training.data.viewer_pairs import pairs_in_viewer, target_shown
from napari_sam2lora.training.setup_tab.estimator import CostEstimator
from napari_sam2lora.training.setup_tab.options import SetupOptions
from napari_sam2lora.training.setup_tab.pair_table import PairTable
from sam2lora.adapters import Adapter, list_adapters
from sam2lora.errors import Sam2LoraError
from sam2lora.models.registry import BASE_MODELS
from sam2lora.targets import all_targets

_DELAY = 400  # milliseconds after which changes of the layers are looked at


class SetupTab(QWidget):
    """Puts a draft together.

    Parameters
    ----------
    viewer
        Whose layers are proposed.

    Signals
    -------
    train(draft)
        The user wants it trained.
    planned()
        Something else is chosen.
    """

    train = Signal(object)
    planned = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._folders: list[Path] = []
        self._listed: list[FilePair] = []
        self._adapters: list[Adapter] = []
        self._again = False  # whether folders and adapters may have changed too
        self._changes: dict[str, object] = {}
        self._asked: object = None
        self._written: tuple[object, Path, str] | None = None  # what Copy wrote last
        self.choices = SetupOptions(list(all_targets()), list(BASE_MODELS), PRESETS)
        self.pairs = PairTable()
        self.estimator = CostEstimator(self)
        self._command = QLineEdit()
        self._command.setReadOnly(True)
        self._command.setToolTip("The command that does the same, once Copy wrote its images.")
        self._copy = button(
            "Copy",
            self._on_copy,
            tip="Write the images and masks as they are now into the run folder, and copy the "
            "command that trains there.",
        )
        self._estimate = Paragraph()
        self._ask = button(
            "Estimate",
            self.estimate,
            tip="Try one sample: share of the network that is trained, time and memory.",
        )
        self._start = button("Train", self._on_train)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self._on_time)
        self._build()
        active = viewer.layers.selection.active
        if isinstance(active, Labels):  # what was corrected last
            self.choices.choose(target=target_shown(active))
        self.choices.target_changed.connect(self.refresh)
        self.choices.changed.connect(self._on_chosen)
        self.pairs.selection_changed.connect(self._on_chosen)
        self.estimator.answered.connect(self._estimate.setText)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._on_layers)
        for layer in viewer.layers:
            self._listen(layer)
        self.refresh()

    def draft(self) -> TrainingPlan:
        """Give what is chosen now."""
        return TrainingPlan(
            target=self.choices.target,
            model=self.choices.model,
            preset=self.choices.preset,
            start_from=self.choices.start_from,
            name=self.choices.name,
            changes=self._changes,
            pairs=self.pairs.selected_pairs(),
        )

    def set_changes(self, changes: dict[str, object]) -> None:
        """Take what was set under Advanced."""
        self._changes = changes
        self._on_chosen()

    def refresh(self) -> None:
        """List the pairs anew, as the layers, the folders and the adapters are now."""
        self._again = False
        layers, target = self._viewer.layers, self.choices.target
        folders = {real_path(one): one for one in [*listed_folders(layers), *self._folders]}
        self._listed = []
        for folder in folders.values():
            with show_user_errors():
                self._listed += pairs_in_folder(folder, target, layers)
        with show_user_errors():
            self._adapters = list_adapters()
        self._look_at_layers()

    def refresh_adapters(self) -> None:
        """List the adapters anew, and no folder: there may be many images in them."""
        with show_user_errors():
            self._adapters = list_adapters()
        self._on_chosen()

    def _look_at_layers(self) -> None:
        loaded = pairs_in_viewer(self._viewer, self.choices.target)
        self.pairs.show_pairs(propose(loaded, self._listed))

    def add_folder(self, folder: Path) -> None:
        """List the images of a folder too."""
        with show_user_errors():
            pairs_in_folder(folder, self.choices.target)
            self._folders.append(folder)
            self.refresh()

    def estimate(self) -> None:
        """Say what the training would do."""
        with show_user_errors():
            draft = self.draft()
            self._asked = _essence(draft)
            self._estimate.setText("One sample is being tried…")
            self.estimator.ask(draft.settings(), sources_of(draft.pairs, draft.target))

    def set_busy(self, busy: bool, words: str = "") -> None:
        """Offer to train, or say what is done instead."""
        self._start.setEnabled(not busy)
        self._start.setText(words or "Train")

    def close_down(self) -> None:
        """Let go of the viewer."""
        self.estimator.cancel()
        self._timer.stop()
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._on_layers)
        for layer in self._viewer.layers:
            self._ignore(layer)

    def showEvent(self, event: QShowEvent) -> None:
        """Look again: what was painted may have been saved, and adapters installed."""
        super().showEvent(event)
        self._again = True
        self._timer.start()

    def _build(self) -> None:
        self._start.setDefault(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self.choices)
        layout.addWidget(self.pairs, stretch=1)
        layout.addLayout(
            row(
                button("All", self._on_all, tip="Tick all that have nothing wrong with them."),
                button("None", self._on_none),
                button("Folder…", self._on_folder, tip="Add the images of a folder."),
                button("Area…", self._on_area, tip="Outline the part that was annotated."),
            )
        )
        layout.addWidget(self._estimate)
        layout.addLayout(row(self._command, self._copy))
        layout.addLayout(row(self._ask, self._start))

    def _on_layers(self, event: object) -> None:
        self._written = None
        layer = getattr(event, "value", None)
        if layer is not None and layer in self._viewer.layers:
            self._listen(layer)
        self._again = True
        self._timer.start()

    def _on_time(self) -> None:
        """Look again, unless nobody sees it: it is done when this is shown."""
        if not self.isVisibleTo(self.window()):
            return
        if self._again:
            self.refresh()
        else:
            self._look_at_layers()

    def _listen(self, layer: object) -> None:
        for name in ("name", "paint", "data"):
            if emitter := getattr(layer.events, name, None):
                emitter.connect(self._on_layers_change)

    def _ignore(self, layer: object) -> None:
        for name in ("name", "paint", "data"):
            if emitter := getattr(layer.events, name, None):
                emitter.disconnect(self._on_layers_change)

    def _on_layers_change(self) -> None:
        self._written = None
        self._timer.start()

    def _on_chosen(self) -> None:
        """Show what follows from what is chosen."""
        choices = self.choices
        try:
            adapters = fitting_adapters(self._adapters, choices.target, choices.model)
            shown = {
                one.name: ", ".join(filter(None, (one.name, dice_of(one.card)))) for one in adapters
            }
            choices.show_starts(shown)
            draft = self.draft()
            choices.show_name(draft.run_name())
            self._command.setText(draft.command())
            self._command.setCursorPosition(0)
        except Sam2LoraError as error:
            self._command.setText(str(error))
        if self._asked != _essence(self.draft()):
            self._forget_estimate()
        self.planned.emit()

    def _forget_estimate(self) -> None:
        self.estimator.cancel()
        self._estimate.setText("")

    def _on_train(self) -> None:
        self._forget_estimate()
        self.train.emit(self.draft())

    def _on_copy(self) -> None:
        """Write what the command trains on, so that it works, and copy it; the same only once."""
        with show_user_errors():
            draft = self.draft()
            kind = (_essence(draft), draft.name)
            if self._written is not None and self._written[0] == kind and waits(self._written[1]):
                self._show_copied(*self._written[1:])
                return
            planned = plan_run(draft)
            command = draft.command(planned.folder)
            self._written = None

            def written(folder: Path) -> None:
                self._on_chosen()  # the next run is called otherwise
                self._written = (kind, folder, command)
                self._show_copied(folder, command)

            def failed(error: Sam2LoraError) -> None:
                show_error(str(error))

            self._copy.setEnabled(False)
            in_background(self, planned.write, written, failed, self._on_copied)

    def _show_copied(self, folder: Path, command: str) -> None:
        QGuiApplication.clipboard().setText(command)
        self._command.setText(command)
        self._command.setCursorPosition(0)
        show_info(f"{folder.name} is written, and the command that trains it is copied.")

    def _on_copied(self) -> None:
        self._copy.setEnabled(True)

    def _on_all(self) -> None:
        self.pairs.select_all(True)

    def _on_none(self) -> None:
        self.pairs.select_all(False)

    def _on_area(self) -> None:
        with show_user_errors():
            add_annotated_area(self._viewer)

    def _on_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Add a folder of images with masks")
        if folder:
            self.add_folder(Path(folder))


def _essence(draft: TrainingPlan) -> object:
    """Give what an estimate depends on."""
    pairs = tuple(pair.key for pair in draft.pairs)
    return (draft.target, draft.model, draft.preset, draft.start_from, str(draft.changes), pairs)

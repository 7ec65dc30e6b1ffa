"""The runs and adapters on this computer: shown, compared, renamed, exported and deleted."""

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Layer
from napari.viewer import Viewer
from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QInputDialog, QMessageBox, QVBoxLayout, QWidget

from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.metadata import METADATA_KEY
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.dialogs import ask_where_to_save
from napari_sam2lora.qt.dock import scrolling
from napari_sam2lora.qt.notifications import notify, show_user_errors
from napari_sam2lora.qt.widgets import column
from napari_sam2lora.training.progress_tab.curves import Curves
from napari_sam2lora.training.run.history import RunHistory, ValidationCurve
from napari_sam2lora.training.runs_tab.table import (
    RunsRow,
    RunsTable,
    entry_of_adapter,
    entry_of_run,
)
from sam2lora.adapters import (
    delete_adapter,
    export_adapter,
    find_adapter,
    list_adapters,
    rename_adapter,
)
from sam2lora.errors import Sam2LoraError
from sam2lora.images.reading import read_image
from sam2lora.runs import (
    RunFolder,
    delete_run,
    list_runs,
    read_events,
    rename_run,
    runs_folder,
)


class RunsTab(QWidget):
    """Shows the runs and adapters, and renames, compares, opens, exports and deletes them.

    Parameters
    ----------
    viewer
        Viewer in which previews are opened.

    Signals
    -------
    show_run(folder)
        The user wants to see a run.
    moved(before, after)
        A run was renamed; after is None where it was deleted.
    """

    show_run = Signal(object)
    moved = Signal(object, object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.list = RunsTable()
        self.curves = Curves()
        self.curves.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolling(column(self.list, self.curves, stretch=self.list)))
        self.list.show_run.connect(self._on_show)
        self.list.compare.connect(self.compare)
        self.list.open_previews.connect(self.open_previews)
        self.list.rename.connect(self._ask_for_name)
        self.list.export.connect(self._ask_where_to)
        self.list.delete.connect(self._ask_to_delete)
        self.list.refresh.connect(self.refresh)

    def refresh(self) -> None:
        """List the runs and adapters again."""
        with show_user_errors(self):
            runs = [entry_of_run(one) for one in list_runs(runs_folder())]
            adapters = [entry_of_adapter(one) for one in list_adapters()]
            self.list.show_entries([*runs, *adapters])

    def showEvent(self, event: QShowEvent) -> None:
        """Refresh the table: other programs train too."""
        super().showEvent(event)
        self.refresh()

    def open_previews(self, entry: RunsRow) -> None:
        """Open the previews of a run as layers, of which the last is visible."""
        pictures = sorted(RunFolder(entry.folder).previews.glob("*.png"))

        def read() -> list[LayerData]:
            return [_as_layer(entry, path, path == pictures[-1]) for path in pictures]

        def show(layers: list[LayerData]) -> None:
            for layer in layers:
                self._viewer.add_layer(Layer.create(*layer))

        in_background(self, read, show, self._show_message)

    def compare(self, entries: Sequence[RunsRow]) -> None:
        """Show the curves of several runs in one plot."""

        def read() -> dict[str, RunHistory]:
            return {
                one.name: RunHistory(read_events(RunFolder(one.folder).events)[0])
                for one in entries
            }

        def show(runs: dict[str, RunHistory]) -> None:
            nothing: ValidationCurve = ([], [])
            self.curves.show()
            self.curves.compare(
                {
                    name: (one.losses().get("loss", nothing), one.dice())
                    for name, one in runs.items()
                },
                measure=" or ".join(dict.fromkeys(one.measure for one in runs.values())),
            )

        in_background(self, read, show, self._show_message)

    def rename(self, entry: RunsRow, name: str) -> None:
        """Rename a run or an adapter."""
        with show_user_errors(self):
            if entry.kind == "run":
                self.moved.emit(entry.folder, rename_run(entry.folder, name))
            else:
                rename_adapter(entry.name, name)
        self.refresh()

    def delete(self, entry: RunsRow) -> None:
        """Delete a run or an adapter, on a worker thread: a large run takes a while."""

        def delete() -> None:
            if entry.kind == "run":
                delete_run(entry.folder)
            else:
                delete_adapter(entry.name)

        def deleted(_: None) -> None:
            if entry.kind == "run":
                self.moved.emit(entry.folder, None)
            self.refresh()

        in_background(self, delete, deleted, self._show_message)

    def export(self, entry: RunsRow, path: Path) -> None:
        """Write an adapter, or the best one of a run, to a zip file, replacing an existing one."""
        source = entry.folder if entry.kind == "run" else entry.name
        in_background(
            self,
            lambda: export_adapter(find_adapter(source), path, replace=True),
            lambda _: None,
            self._show_message,
        )

    def _on_show(self, entry: RunsRow) -> None:
        self.show_run.emit(entry.folder)

    def _show_message(self, error: Sam2LoraError) -> None:
        notify(str(error), self)
        self.refresh()

    def _ask_for_name(self, entry: RunsRow) -> None:
        name, accepted = QInputDialog.getText(
            self, f"Rename {entry.name}", "New name:", text=entry.name
        )
        if accepted and name.strip() and name.strip() != entry.name:
            self.rename(entry, name.strip())

    def _ask_where_to(self, entry: RunsRow) -> None:
        path = ask_where_to_save(
            self, "Export the adapter", "Adapter", ".zip", name=f"{entry.name}.zip"
        )
        if path is not None:
            self.export(entry, path)

    def _ask_to_delete(self, entry: RunsRow) -> None:
        what = "training, its adapters and its previews" if entry.kind == "run" else "adapter"
        answer = QMessageBox.question(
            self, "Delete", f"Delete the {what}? {entry.name} cannot be restored."
        )
        if answer == QMessageBox.StandardButton.Yes:
            self.delete(entry)


def _as_layer(entry: RunsRow, path: Path, shown: bool) -> LayerData:
    options = {
        "name": f"{entry.name} step {int(path.stem)}",
        "rgb": True,
        "visible": shown,
        "metadata": {METADATA_KEY: {"view": "preview", "run": str(entry.folder)}},
    }
    return read_image(path).pixels, options, "image"

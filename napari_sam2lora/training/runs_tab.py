"""The runs and adapters on this computer, and what is done with them."""

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Layer
from napari.viewer import Viewer
from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QVBoxLayout, QWidget

from napari_sam2lora._notices import errors_in_words
from napari_sam2lora.training.history import History
from napari_sam2lora.training.runs_list import Entry, RunsList, entry_of_adapter, entry_of_run
from sam2lora.adapters import (
    delete_adapter,
    export_adapter,
    find_adapter,
    list_adapters,
    rename_adapter,
)
from sam2lora.images import read_image
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
        Where pictures are opened.

    Signals
    -------
    show_run(folder)
        The user wants to see a run.
    compare(runs)
        The user wants to see the histories of several runs, by their names.
    moved(before, after)
        A run is called otherwise; after is None where it was deleted.
    """

    show_run = Signal(object)
    compare = Signal(object)
    moved = Signal(object, object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.list = RunsList()
        layout = QVBoxLayout(self)
        layout.addWidget(self.list)
        self.list.show_run.connect(self._on_show)
        self.list.compare.connect(self._on_compare)
        self.list.open_previews.connect(self.open_previews)
        self.list.rename.connect(self._ask_for_name)
        self.list.export.connect(self._ask_where_to)
        self.list.delete.connect(self._ask_to_delete)
        self.list.refresh.connect(self.look)

    def look(self) -> None:
        """List what is there now."""
        with errors_in_words():
            runs = [entry_of_run(one) for one in list_runs(runs_folder())]
            adapters = [entry_of_adapter(one) for one in list_adapters()]
            self.list.show_entries([*runs, *adapters])

    def showEvent(self, event: QShowEvent) -> None:
        """List what is there now: other programs train too."""
        super().showEvent(event)
        self.look()

    def open_previews(self, entry: Entry) -> None:
        """Open the pictures of a run as layers, the last one shown."""
        with errors_in_words():
            pictures = sorted(RunFolder(entry.folder).previews.glob("*.png"))
            for path in pictures:
                options = {
                    "name": f"{entry.name} step {int(path.stem)}",
                    "rgb": True,
                    "visible": path == pictures[-1],
                    "metadata": {"sam2lora": {"view": "preview", "run": str(entry.folder)}},
                }
                pixels = read_image(path).pixels
                self._viewer.add_layer(Layer.create(pixels, options, "image"))

    def rename(self, entry: Entry, name: str) -> None:
        """Call a run or an adapter something else."""
        with errors_in_words():
            if entry.kind == "run":
                self.moved.emit(entry.folder, rename_run(entry.folder, name))
            else:
                rename_adapter(entry.name, name)
        self.look()

    def delete(self, entry: Entry) -> None:
        """Delete a run or an adapter."""
        with errors_in_words():
            if entry.kind == "run":
                delete_run(entry.folder)
                self.moved.emit(entry.folder, None)
            else:
                delete_adapter(entry.name)
        self.look()

    def export(self, entry: Entry, path: Path) -> None:
        """Write an adapter, or the best one of a run, as a zip file."""
        with errors_in_words():
            source = entry.folder if entry.kind == "run" else entry.name
            export_adapter(find_adapter(source), path.with_suffix(".zip"))

    def _on_show(self, entry: Entry) -> None:
        self.show_run.emit(entry.folder)

    def _on_compare(self, entries: Sequence[Entry]) -> None:
        with errors_in_words():
            histories = {
                one.name: History(read_events(RunFolder(one.folder).events)[0]) for one in entries
            }
            self.compare.emit(histories)

    def _ask_for_name(self, entry: Entry) -> None:
        name, said = QInputDialog.getText(
            self, f"Rename {entry.name}", "New name:", text=entry.name
        )
        if said and name.strip() and name.strip() != entry.name:
            self.rename(entry, name.strip())

    def _ask_where_to(self, entry: Entry) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Export the adapter", f"{entry.name}.zip", "Adapter (*.zip)"
        )
        if path:
            self.export(entry, Path(path))

    def _ask_to_delete(self, entry: Entry) -> None:
        what = "training, its adapters and its pictures" if entry.kind == "run" else "adapter"
        answer = QMessageBox.question(
            self, "Delete", f"Delete the {what}? {entry.name} cannot be brought back."
        )
        if answer == QMessageBox.StandardButton.Yes:
            self.delete(entry)

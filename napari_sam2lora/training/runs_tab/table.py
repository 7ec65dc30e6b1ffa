"""The table of runs and adapters, with buttons for the selected ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph, button
from sam2lora.adapters import Adapter
from sam2lora.runs import RunSummary
from sam2lora.targets import point_targets

_COLUMNS = ("Name", "Target", "Dice", "State", "Date", "Images", "Base")
_NOTHING_TO_LEARN = 0.9995  # validation Dice before the first step

_DATE = "%y-%m-%d"
_WIDTHS = (112, 46, 46, 64, 66, 46, 46)


@dataclass(frozen=True)
class RunsRow:
    """A run, or an adapter.

    Attributes
    ----------
    kind
        "run" or "adapter".
    name
        Name of the run or adapter.
    folder
        Its folder.
    cells
        Text of each column.
    summary
        Text shown below the table when the row is selected.
    """

    kind: str
    name: str
    folder: Path
    cells: tuple[str, ...]
    summary: str = ""


class RunsTable(QWidget):
    """Runs and adapters, with buttons for those that are selected.

    Signals
    -------
    show_run(entry), open_previews(entry), rename(entry), export(entry), delete(entry)
        The user wants it for the selected one.
    compare(entries)
        The user wants the curves of the selected runs in one plot.
    refresh()
        The user wants the table refreshed.
    """

    show_run = Signal(object)
    open_previews = Signal(object)
    rename = Signal(object)
    export = Signal(object)
    delete = Signal(object)
    compare = Signal(object)
    refresh = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[RunsRow] = []
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(list(_COLUMNS))
        self.tree.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.tree.setIndentation(12)
        for column, width in enumerate(_WIDTHS):
            self.tree.setColumnWidth(column, width)
        self.tree.itemSelectionChanged.connect(self._enable_buttons)
        self.message = Paragraph()
        self._buttons = {
            "show": button(
                "Show", self._on_show, tip="Show its curves and previews, and resume it."
            ),
            "compare": button(
                "Compare curves", self._on_compare, tip="Draw the curves of these runs in one plot."
            ),
            "previews": button("Previews as layers", self._on_previews, tip="Open its previews."),
            "rename": button("Rename…", self._on_rename, tip="Rename the run or adapter."),
            "export": button(
                "Export as zip…", self._on_export, tip="Save the best adapter as a file."
            ),
            "delete": button("Delete…", self._on_delete, tip="Delete it; you are asked first."),
        }
        grid = QGridLayout()
        for number, widget in enumerate(self._buttons.values()):
            grid.addWidget(widget, number // 2, number % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree, stretch=1)
        layout.addWidget(self.message)
        layout.addLayout(grid)
        layout.addWidget(button("Refresh", self.refresh.emit, tip="Read the folders again."))
        self._enable_buttons()

    def show_entries(self, entries: Sequence[RunsRow]) -> None:
        """Show runs and adapters; the selection is kept."""
        selected = {(one.kind, one.name) for one in self.selected()}
        self._entries = list(entries)
        self.tree.clear()
        for kind, title in (("run", "Training runs"), ("adapter", "Adapters")):
            own = [(n, one) for n, one in enumerate(self._entries) if one.kind == kind]
            group = QTreeWidgetItem([f"{title} ({len(own)})"])
            group.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.tree.addTopLevelItem(group)
            group.setFirstColumnSpanned(True)
            group.setExpanded(True)
            for number, entry in own:
                item = QTreeWidgetItem(list(entry.cells))
                item.setData(0, Qt.ItemDataRole.UserRole, number)
                item.setToolTip(0, f"{entry.folder}\n{entry.summary}".strip())
                group.addChild(item)
                item.setSelected((kind, entry.name) in selected)
        self._enable_buttons()

    def selected(self) -> list[RunsRow]:
        """Return the selected rows."""
        numbers = (one.data(0, Qt.ItemDataRole.UserRole) for one in self.tree.selectedItems())
        return [self._entries[number] for number in numbers if number is not None]

    def select(self, *names: str) -> None:
        """Select rows by their names, as a user would."""
        for group in map(self.tree.topLevelItem, range(self.tree.topLevelItemCount())):
            for item in map(group.child, range(group.childCount())):
                item.setSelected(item.text(0) in names)

    def _enable_buttons(self) -> None:
        selected = self.selected()
        runs = [row for row in selected if row.kind == "run"]
        single = len(selected) == 1
        enabled = {
            "show": single and bool(runs),
            "compare": len(runs) > 1 and len(runs) == len(selected),
            "previews": single and bool(runs),
            "rename": single,
            "export": single,
            "delete": single,
        }
        for name, can in enabled.items():
            self._buttons[name].setEnabled(can)
        self.message.setText(selected[0].summary if single else "")

    def _on_show(self) -> None:
        self.show_run.emit(self.selected()[0])

    def _on_compare(self) -> None:
        self.compare.emit(self.selected())

    def _on_previews(self) -> None:
        self.open_previews.emit(self.selected()[0])

    def _on_rename(self) -> None:
        self.rename.emit(self.selected()[0])

    def _on_export(self) -> None:
        self.export.emit(self.selected()[0])

    def _on_delete(self) -> None:
        self.delete.emit(self.selected()[0])


def entry_of_run(run: RunSummary) -> RunsRow:
    """Return the row of a run."""
    images = "" if run.images is None else str(run.images)
    progress = f"{run.step} of {run.steps} steps. " if run.steps else ""
    start = "" if run.start is None else f"Initial Dice {run.start:.3f}. "
    learned = run.start is None or run.start < _NOTHING_TO_LEARN
    point = run.target in point_targets()  # which has no Dice
    if point:
        start = ""
    if not learned and not point:
        start = "The initial adapter found the masks already: there was nothing to learn. "
    cells = (
        *(run.name, run.target or "", _dice(run.best) if learned and not point else "—", run.state),
        *(f"{run.date.astimezone():{_DATE}}" if run.date else "", images, run.base or ""),
    )
    base = f"On {run.base}, trained on {images or 'no'} images. " if run.base else ""
    summary = f"{base}{progress}{start}{run.status.message}"
    return RunsRow("run", run.name, run.folder, cells, summary.strip())


def entry_of_adapter(adapter: Adapter) -> RunsRow:
    """Return the row of an adapter."""
    card = adapter.card
    images = card.data.get("images")
    count = ""
    if isinstance(images, dict):
        count = str(sum(number for number in images.values() if isinstance(number, int)))
    dice = card.validation.get("dice")
    cells = (
        *(adapter.name, card.target.name, _dice(dice if isinstance(dice, float) else None)),
        *("shipped" if adapter.shipped else "own", f"{card.created.astimezone():{_DATE}}"),
        *(count, card.base.name),
    )
    summary = "Part of the package; it cannot be changed." if adapter.shipped else ""
    if isinstance(before := card.validation.get("start_dice"), float):
        summary = f"Initial Dice {before:.3f}. {summary}".strip()
    return RunsRow("adapter", adapter.name, adapter.folder, cells, summary)


def _dice(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

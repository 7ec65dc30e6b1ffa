"""The agreement of two graders as a table, and buttons to decide between them."""

import math
from collections import Counter
from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.qt.widgets import Paragraph, button, row
from sam2lora.grading.agreement import Agreement
from sam2lora.grading.consensus import MAJORITY, PAINTED, STAPLE

_HEADINGS = ("Image", "Target", "Dice", "Kappa", "HD95", "Taken")
_TAKEN = len(_HEADINGS) - 1
_HEIGHT = 130  # pixels, at least
REVIEW_KEYS = {"take": "Alt+T", "edit": "Alt+E", "withdraw": "Alt+B"}
"""Keys by what they do."""

_LETTERS = 6  # of a name that are shown at least; docks are narrow


class ReviewPanel(QWidget):
    """Compares two graders, lists where they agree least, and decides on one of the masks.

    Signals
    -------
    compare_requested(first, second)
        Two graders are to be compared.
    chosen(stem, target)
        The user wants to see a target of an image.
    choice_made(choice)
        A mask is taken for the consensus; None takes it back.
    paint_requested(choice)
        A mask is to be painted in, starting from this one.
    report_requested(), consensus_requested(otherwise)
        Something is to be written.
    """

    compare_requested = Signal(str, str)
    chosen = Signal(str, str)
    choice_made = Signal(object)
    paint_requested = Signal(str)
    report_requested = Signal()
    consensus_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.take = QComboBox(), QComboBox(), QComboBox()
        self.otherwise = QComboBox()
        self.first.setToolTip("The grader whose outline is cyan")
        self.second.setToolTip("The grader whose outline is magenta")
        self.take.setToolTip(
            "Which mask is taken: a grader's; what more than half of three or more have; what "
            "STAPLE estimates; or what you painted"
        )
        self.otherwise.setToolTip("Mask to use where no decision was made")
        self.summary = Paragraph()
        self.table = QTableWidget(0, len(_HEADINGS))
        self.table.setHorizontalHeaderLabels(_HEADINGS)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setMinimumHeight(_HEIGHT)
        self.table.setToolTip(
            "Targets drawn by one grader only, then the worst; click a row to see both outlines"
        )
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.table.cellClicked.connect(self._on_row)
        self.table.cellActivated.connect(self._on_row)
        compare = button(
            "Compare",
            self._on_compare,
            tip="Compare two graders in the images that all are done with",
        )
        self._decide = (
            button(
                "Take", self.decide, keys=REVIEW_KEYS["take"], tip="Use this mask in the consensus"
            ),
            button("Edit", self.edit, keys=REVIEW_KEYS["edit"], tip="Edit a copy of this mask"),
            button(
                "Withdraw",
                self.withdraw,
                keys=REVIEW_KEYS["withdraw"],
                tip="Withdraw the decision",
            ),
        )
        self._report = button(
            "Report…",
            self._on_report,
            tip="Write the agreement as text, tables and a Bland–Altman plot",
        )
        consensus = button(
            "Consensus…", self._on_consensus, tip="Write a data set with the masks taken"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.first, self.second, compare))
        layout.addWidget(self.summary)
        layout.addWidget(self.table, stretch=1)
        layout.addLayout(row(self.take, *self._decide))
        layout.addLayout(row(self.otherwise, consensus, self._report))
        for box in (self.first, self.second, self.take, self.otherwise):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(_LETTERS)
        self._pairs: list[tuple[str, str]] = []
        self._report.setEnabled(False)

    @property
    def graders(self) -> tuple[str, str]:
        """The two graders that are compared."""
        return self.first.currentText(), self.second.currentText()

    def show_graders(self, names: Sequence[str], *, decides: bool) -> None:
        """Show who has graded, and whether anything can be decided."""
        for number, box in enumerate((self.first, self.second)):
            box.clear()
            box.addItems(list(names))
            box.setCurrentIndex(min(number, len(names) - 1))
        self.take.clear()
        self.take.addItems([*names, MAJORITY, STAPLE, PAINTED])
        self.otherwise.clear()
        self.otherwise.addItem("else nothing", None)
        for name in (*names, MAJORITY, STAPLE):
            self.otherwise.addItem(f"else {name}", name)
        for widget in (self.take, *self._decide):
            widget.setVisible(decides)

    def show_agreement(self, agreement: Agreement) -> None:
        """List targets of images, those first that one grader alone drew, then the worst."""
        rows = [(one.stem, one.target, f"{one.grader} only", "", "") for one in agreement.lone]
        rows += [
            (one.stem, one.target, _text(one.dice, 3), _text(one.kappa, 3), _text(one.hd95, 1))
            for one in agreement.worst()
        ]
        self._pairs = [(stem, target) for stem, target, *_ in rows]
        self.table.setRowCount(len(rows))
        for number, cells in enumerate(rows):
            for column, text in enumerate((*cells, "")):
                self.table.setItem(number, column, QTableWidgetItem(text))
        self.summary.setText(summary_text(agreement))
        self._report.setEnabled(True)

    def show_choices(self, stem: str, choices: dict[str, str]) -> None:
        """Show what was taken in an image, by target."""
        for number, (image, target) in enumerate(self._pairs):
            item = self.table.item(number, _TAKEN)
            if image == stem and item is not None:
                item.setText(choices.get(target, ""))

    def decide(self) -> None:
        """Ask to take the chosen mask."""
        self.choice_made.emit(self.take.currentText())

    def edit(self) -> None:
        """Ask to paint in a copy of the chosen mask."""
        choice = self.take.currentText()
        self.paint_requested.emit(choice)
        self.take.setCurrentText(PAINTED)

    def withdraw(self) -> None:
        """Ask to take no mask."""
        self.choice_made.emit(None)

    def _on_compare(self) -> None:
        self.compare_requested.emit(*self.graders)

    def _on_row(self, number: int, column: int) -> None:
        self.chosen.emit(*self._pairs[number])

    def _on_report(self) -> None:
        self.report_requested.emit()

    def _on_consensus(self) -> None:
        self.consensus_requested.emit(self.otherwise.currentData(Qt.ItemDataRole.UserRole))


def summary_text(agreement: Agreement) -> str:
    """Return the agreement in a few lines: each target, the cup/disc ratio, the quality."""
    lines = []
    for target, summary in agreement.summaries.items():
        dice, kappa, distance = (summary[name].mean for name in ("dice", "kappa", "hd95"))
        means = f"Dice {_text(dice, 3)}, kappa {_text(kappa, 3)}, HD95 {_text(distance, 1)} px"
        lines.append(f"{target}, {summary['dice'].n} images: {means}")
    limits = agreement.limits
    if limits.n:
        lines.append(
            f"Cup/disc ratio, {limits.n} images: {agreement.first} minus {agreement.second} "
            f"{limits.bias:+.3f}, limits {limits.lower:+.3f} to {limits.upper:+.3f}"
        )
    if agreement.lone:
        counts = Counter(one.target for one in agreement.lone)
        named = ", ".join(f"{target} in {count}" for target, count in counts.items())
        lines.append(f"Drawn by one grader only: {named}")
    if agreement.problems:
        lines.append(f"Not compared: {', '.join(agreement.problems)}")
    return "\n".join(lines) or "No image is done by all graders yet."


def _text(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"

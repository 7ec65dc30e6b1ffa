"""Which models to compare, against what, and how to look at it."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QPushButton, QWidget

from napari_sam2lora.qt.widgets import Paragraph, row
from napari_sam2lora.segmentation.widgets.model_panel import (
    AUTOMATIC,
    NO_ADAPTER,
    ComboEntry,
    RefreshingComboBox,
    fill,
)

_NOBODY = "nobody"
_WAYS: Sequence[ComboEntry] = (("side by side", "side by side"), ("blinking", "blinking"))
_ALWAYS: Sequence[ComboEntry] = (("base model alone", NO_ADAPTER), ("automatic", AUTOMATIC))


class ComparisonPanel(QWidget):
    """Three contestants, a reference, a way to look, and the results in words.

    Signals
    -------
    compare_requested(contestants, reference, way)
        Names of adapters, `AUTOMATIC` or `NO_ADAPTER`; the reference as its list names it, or
        None; how to show it.
    clear_requested()
        What is shown is to be taken away.
    lists_requested()
        A list is about to open.
    """

    compare_requested = Signal(list, object, str)
    clear_requested = Signal()
    lists_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.models = [RefreshingComboBox() for _ in range(3)]
        self.reference, self.way = RefreshingComboBox(), QComboBox()
        fill(self.way, _WAYS, None)
        self.results = Paragraph()
        self._compare, away = QPushButton("Compare"), QPushButton("Take away")
        self._compare.clicked.connect(self._on_compare)
        away.clicked.connect(self.clear_requested)
        form = QFormLayout(self)
        form.setContentsMargins(12, 0, 0, 0)
        for letter, box in zip("ABC", self.models, strict=True):
            form.addRow(letter, box)
        form.addRow("Reference", self.reference)
        form.addRow("Shown", self.way)
        for box in (*self.models, self.reference):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.opening.connect(self.lists_requested)
        form.addRow(row(self._compare, away))
        form.addRow(self.results)
        self.show_adapters([])
        self.show_references([])

    def show_adapters(self, adapters: Sequence[ComboEntry]) -> None:
        """List those who can take part; the base model alone and automatic always can."""
        for number, box in enumerate(self.models):
            chosen = box.currentData() or (NO_ADAPTER, AUTOMATIC, _NOBODY)[number]
            nobody = [("—", _NOBODY)] if number else []
            fill(box, [*nobody, *_ALWAYS, *adapters], chosen)

    def show_references(self, layers: Sequence[ComboEntry]) -> None:
        """List the layers to judge by; one that was chosen and is not among them stays chosen."""
        entries: list[ComboEntry] = [("A", None), *layers]
        chosen = self.reference.currentData()
        if chosen not in [value for _, value in entries]:
            entries.append((self.reference.currentText(), chosen))
        fill(self.reference, entries, chosen)

    def show_busy(self, busy: bool) -> None:
        """Let nothing be compared while a comparison runs; it can be taken away."""
        self._compare.setEnabled(not busy)

    def show_message(self, words: str) -> None:
        """Show the results."""
        self.results.setText(words)

    def _on_compare(self) -> None:
        chosen = [box.currentData() for box in self.models]
        names = [name for name in dict.fromkeys(chosen) if name != _NOBODY]
        self.compare_requested.emit(names, self.reference.currentData(), self.way.currentData())

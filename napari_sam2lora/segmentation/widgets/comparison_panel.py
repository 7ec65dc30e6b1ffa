"""The models to compare, the reference, and how the comparison is displayed."""

from collections.abc import Sequence

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QPushButton, QScrollArea, QWidget

from napari_sam2lora.qt.widgets import Paragraph, row
from napari_sam2lora.segmentation.widgets.model_panel import (
    AUTOMATIC,
    NO_ADAPTER,
    ComboEntry,
    RefreshingComboBox,
    fill,
)

_NONE = "none"
_DISPLAYS: Sequence[ComboEntry] = (("Side by side", "side by side"), ("Blink", "blink"))
_ALWAYS: Sequence[ComboEntry] = (("No adapter", NO_ADAPTER), ("Automatic", AUTOMATIC))


class ComparisonPanel(QWidget):
    """Up to three models, a reference, a display mode, and the scores as text.

    Signals
    -------
    compare_requested(models, reference, display)
        Names of adapters, `AUTOMATIC` or `NO_ADAPTER`; the reference as its list names it, or
        None; "side by side" or "blink".
    clear_requested()
        Remove the comparison from the viewer.
    lists_requested()
        A list is about to open.
    """

    compare_requested = Signal(list, object, str)
    clear_requested = Signal()
    lists_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.models = [RefreshingComboBox() for _ in range(3)]
        self.reference, self.display = RefreshingComboBox(), QComboBox()
        fill(self.display, _DISPLAYS, None)
        for box in self.models:
            box.setToolTip("A model to compare: the base model without adapter, or with one")
        self.reference.setToolTip("The mask that the models are scored against")
        self.display.setToolTip("Beside each other, or one after the other in the same place")
        self._chosen = False  # whether the user selected the reference
        self.reference.activated.connect(self._on_reference)
        self.results = Paragraph()
        self._compare, clear = QPushButton("Compare"), QPushButton("Clear")
        self._compare.setToolTip("Segment with these models, and score them against the reference")
        clear.setToolTip("Remove the comparison from the viewer; also stops one that runs")
        self._compare.clicked.connect(self._on_compare)
        clear.clicked.connect(self.clear_requested)
        form = QFormLayout(self)
        form.setContentsMargins(12, 0, 0, 0)
        for letter, box in zip("ABC", self.models, strict=True):
            form.addRow(letter, box)
        form.addRow("Reference", self.reference)
        form.addRow("Display", self.display)
        for box in (*self.models, self.reference):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.opening.connect(self.lists_requested)
        form.addRow(row(self._compare, clear))
        form.addRow(self.results)
        self.show_adapters([])
        self.show_references([])

    def show_adapters(self, adapters: Sequence[ComboEntry]) -> None:
        """List the adapters to compare, after those that always exist."""
        for number, box in enumerate(self.models):
            chosen = box.currentData() or (NO_ADAPTER, AUTOMATIC, _NONE)[number]
            none = [("—", _NONE)] if number else []
            fill(box, [*none, *_ALWAYS, *adapters], chosen)

    def show_references(self, layers: Sequence[ComboEntry], own: str | None = None) -> None:
        """List the masks to compare with; a selected one that is gone stays selected.

        Parameters
        ----------
        layers
            The masks.
        own
            The mask of the target, which is selected until the user selects another reference.
        """
        entries: list[ComboEntry] = [("A", None), *layers]
        chosen = self.reference.currentData() if self._chosen else own
        if chosen not in [value for _, value in entries]:
            entries.append((self.reference.currentText(), chosen))
        fill(self.reference, entries, chosen)

    def show_busy(self, busy: bool) -> None:
        """Disable Compare while a comparison runs; it can still be cleared."""
        self._compare.setEnabled(not busy)

    def show_message(self, text: str) -> None:
        """Show the scores, or why there are none."""
        self.results.setText(text)
        if text:
            QTimer.singleShot(0, self._show_results)

    def _show_results(self) -> None:
        """Scroll the dock to the results, once they have their height."""
        area = self.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is not None and self.isVisible():
            area.ensureWidgetVisible(self.results)

    def _on_reference(self) -> None:
        self._chosen = True

    def _on_compare(self) -> None:
        chosen = [box.currentData() for box in self.models]
        names = [name for name in dict.fromkeys(chosen) if name != _NONE]
        self.compare_requested.emit(names, self.reference.currentData(), self.display.currentData())

"""Evaluate: a mask against a reference, in numbers, as a map of errors and as a CSV file."""

import math
from pathlib import Path

from napari.layers import Labels, Layer
from napari.utils.events import Event
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.evaluation.mask_comparison import (
    MaskComparison,
    compare_masks,
    comparison_input,
    save_comparisons,
)
from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.dialogs import ask_where_to_save
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, row, two_columns
from sam2lora.errors import Sam2LoraError

_WORDS = {
    "dice": "Dice",
    "iou": "IoU (Jaccard)",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "cldice": "clDice",
    "hd95": "Hausdorff distance, 95 %",
    "assd": "mean surface distance",
}
_PIXELS = {"tp": "right (px)", "fp": "wrong (px)", "fn": "missed (px)"}
_DISTANCES = ("hd95", "assd")

_COMPARING = "Comparing…"


class EvaluateDock(QWidget):
    """Compares two Labels layers of its viewer; every comparison stays for the CSV file.

    Parameters
    ----------
    napari_viewer
        Its viewer.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.comparisons: list[MaskComparison] = []
        self._mask, self._reference = QComboBox(), QComboBox()
        self._inside = QCheckBox("only inside the field of view")
        self._inside.setChecked(True)
        self._map = QCheckBox("show the errors as a layer")
        self._map.setChecked(True)
        self._state = Paragraph("Green: right; red: wrong; blue: missed.")
        self._table = two_columns("metric", "value")
        self._button = button("Compare", self.compare)
        self._build()
        napari_viewer.layers.events.connect(self._on_event)
        self._on_layers()

    def choose(self, mask: str, reference: str) -> None:
        """Choose layers by their names."""
        for box, name in ((self._mask, mask), (self._reference, reference)):
            box.setCurrentIndex(box.findText(name))

    def compare(self) -> None:
        """Compare the chosen layers, in a thread: distances of a large mask take seconds."""
        mask, reference = self._layer(self._mask), self._layer(self._reference)
        if mask is None or reference is None or mask is reference:
            show_error("Choose two Labels layers: the mask to judge, and the reference.")
            return
        with show_user_errors():
            inputs = comparison_input(
                self._viewer, mask, reference, inside_field=self._inside.isChecked()
            )
            self._button.setEnabled(False)
            self._state.setText(_COMPARING)
            in_background(
                self,
                lambda: compare_masks(inputs),
                self._on_compared,
                self._on_failed,
                self._on_ended,
            )

    def save(self, path: Path) -> None:
        """Write all comparisons so far as CSV."""
        with show_user_errors():
            save_comparisons(path, self.comparisons)

    def changeEvent(self, event: QEvent) -> None:
        """Let go of the viewer when the dock is taken out of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._viewer.layers.events.disconnect(self._on_event)

    def _build(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("mask", self._mask)
        form.addRow("reference", self._reference)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self._inside)
        layout.addWidget(self._map)
        layout.addWidget(self._button)
        layout.addWidget(self._state)
        layout.addWidget(self._table, stretch=1)
        layout.addLayout(
            row(
                button("Copy", self._copy),
                button("Save all as CSV…", self._ask_where_to_save),
            )
        )

    def _on_event(self, event: Event) -> None:
        """Look again where a layer came, went or is called otherwise: the list passes that on."""
        if event.type in ("inserted", "removed", "name"):
            self._on_layers()

    def _on_layers(self) -> None:
        """Offer the Labels layers there are, without maps of errors."""
        layers = [
            one
            for one in self._viewer.layers
            if isinstance(one, Labels)
            and "errors" not in str(plugin_metadata(one.metadata).get("view", ""))
        ]
        for number, box in enumerate((self._mask, self._reference)):
            before = box.currentData()
            box.clear()
            for layer in layers:
                box.addItem(layer.name, layer)
            kept = [n for n, layer in enumerate(layers) if layer is before]
            box.setCurrentIndex(kept[0] if kept else min(number, len(layers) - 1))

    def _layer(self, box: QComboBox) -> Labels | None:
        layer = box.currentData()
        return layer if isinstance(layer, Labels) else None

    def _on_compared(self, result: tuple[MaskComparison, LayerData]) -> None:
        comparison, errors = result
        self.comparisons.append(comparison)
        where = "the field of view" if comparison.inside_field else "the whole image"
        words = f"{comparison.mask} against {comparison.reference}, in {where}. {comparison.doubt}"
        self._state.setText(f"{words.strip()} Green: right; red: wrong; blue: missed.")
        self._fill(rows_of(comparison))
        if self._map.isChecked():
            self._show(errors)

    def _on_failed(self, error: Sam2LoraError) -> None:
        show_error(str(error))

    def _on_ended(self) -> None:
        self._button.setEnabled(True)
        if self._state.text() == _COMPARING:
            self._state.setText("")

    def _show(self, errors: LayerData) -> None:
        """Show a map of errors, in place of an older one of the same mask."""
        data, options, _ = errors
        about = plugin_metadata(options["metadata"])
        for layer in self._viewer.layers:
            if isinstance(layer, Labels) and plugin_metadata(layer.metadata) == about:
                layer.data = data
                return
        self._viewer.add_layer(Layer.create(*errors))

    def _fill(self, rows: list[tuple[str, str]]) -> None:
        self._table.setRowCount(len(rows))
        for number, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self._table.setItem(number, column, item)

    def _copy(self) -> None:
        if self.comparisons:
            last = self.comparisons[-1]
            rows = [("mask", last.mask), ("reference", last.reference), *rows_of(last)]
            QGuiApplication.clipboard().setText("\n".join(map("\t".join, rows)))

    def _ask_where_to_save(self) -> None:
        path = ask_where_to_save(self, "Save comparisons", "CSV", ".csv")
        if path is not None:
            self.save(path)


def rows_of(comparison: MaskComparison) -> list[tuple[str, str]]:
    """Give a comparison as rows of a name and a value; what is not defined is —."""
    rows = []
    for name, value in comparison.scores.items():
        unit = f" ({comparison.unit})" if name in _DISTANCES else ""
        rows.append((_WORDS.get(name, name) + unit, "—" if math.isnan(value) else f"{value:.4f}"))
    return rows + [(words, str(comparison.pixels[name])) for name, words in _PIXELS.items()]

"""The Evaluate dock: score a mask against a reference, show an error map, and save a CSV file."""

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

_LABELS = {
    "dice": "Dice",
    "iou": "IoU (Jaccard)",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "cldice": "clDice",
    "hd95": "Hausdorff distance, 95 %",
    "assd": "Mean surface distance",
}
_PIXEL_LABELS = {
    "tp": "True positive (px)",
    "fp": "False positive (px)",
    "fn": "False negative (px)",
}
_DISTANCES = ("hd95", "assd")

_COMPARING = "Comparing…"
_LEGEND = "Green: true positive; red: false positive; blue: false negative."


class EvaluateDock(QWidget):
    """Dock that compares two Labels layers of its viewer.

    Parameters
    ----------
    napari_viewer
        The viewer.

    Attributes
    ----------
    comparisons
        All comparisons since the dock was opened, for the CSV file.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.comparisons: list[MaskComparison] = []
        self._mask, self._reference = QComboBox(), QComboBox()
        self._inside = QCheckBox("Only inside the field of view")
        self._inside.setChecked(True)
        self._map = QCheckBox("Show error map")
        self._map.setChecked(True)
        self._state = Paragraph(_LEGEND)
        self._table = two_columns("Metric", "Value")
        self._button = button("Compare", self.compare)
        self._build()
        napari_viewer.layers.events.connect(self._on_event)
        self._on_layers()

    def choose(self, mask: str, reference: str) -> None:
        """Select the layers to compare by name."""
        for box, name in ((self._mask, mask), (self._reference, reference)):
            box.setCurrentIndex(box.findText(name))

    def compare(self) -> None:
        """Compare the selected layers in a worker thread: distances of large masks take seconds."""
        mask, reference = self._layer(self._mask), self._layer(self._reference)
        if mask is None or reference is None or mask is reference:
            show_error("Choose two different Labels layers: a mask and a reference.")
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
        """Write all comparisons to a CSV file."""
        with show_user_errors():
            save_comparisons(path, self.comparisons)

    def changeEvent(self, event: QEvent) -> None:
        """Disconnect from the viewer when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._viewer.layers.events.disconnect(self._on_event)

    def _build(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Mask", self._mask)
        form.addRow("Reference", self._reference)
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
        """Refresh when a layer is added, removed or renamed; the list emits its layers' events."""
        if event.type in ("inserted", "removed", "name"):
            self._on_layers()

    def _on_layers(self) -> None:
        """Offer the Labels layers of the viewer, without error maps."""
        layers = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Labels)
            and "errors" not in str(plugin_metadata(layer.metadata).get("view", ""))
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
        region = "the field of view" if comparison.inside_field else "the whole image"
        layers = f"{comparison.mask} against {comparison.reference}, in {region}."
        self._state.setText(" ".join(filter(None, (layers, comparison.warning, _LEGEND))))
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
        """Show an error map, replacing an older one of the same mask."""
        data, options, _ = errors
        metadata = plugin_metadata(options["metadata"])
        for layer in self._viewer.layers:
            if isinstance(layer, Labels) and plugin_metadata(layer.metadata) == metadata:
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
            rows = [("Mask", last.mask), ("Reference", last.reference), *rows_of(last)]
            QGuiApplication.clipboard().setText("\n".join(map("\t".join, rows)))

    def _ask_where_to_save(self) -> None:
        path = ask_where_to_save(self, "Save comparisons", "CSV", ".csv")
        if path is not None:
            self.save(path)


def rows_of(comparison: MaskComparison) -> list[tuple[str, str]]:
    """Return a comparison as rows of a label and a value; an undefined value is —."""
    rows = []
    for name, value in comparison.scores.items():
        unit = f" ({comparison.unit})" if name in _DISTANCES else ""
        text = "—" if math.isnan(value) else f"{value:.4f}"
        rows.append((_LABELS.get(name, name) + unit, text))
    return rows + [(label, str(comparison.pixels[name])) for name, label in _PIXEL_LABELS.items()]

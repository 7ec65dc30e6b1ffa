"""The Evaluate dock: score a mask against a reference, show an error map, and save a CSV file."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from napari.layers import Labels, Layer
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QTableWidgetItem,
)

from napari_sam2lora.evaluation.mask_comparison import (
    MaskComparison,
    compare_masks,
    comparison_input,
    save_comparisons,
)
from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.insertion import add_quietly
from napari_sam2lora.layers.metadata import plugin_metadata, target_in
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.dialogs import ask_where_to_save
from napari_sam2lora.qt.dock import Dock
from napari_sam2lora.qt.notifications import notify, show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, column, row, two_columns
from sam2lora.errors import Sam2LoraError, TargetError

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


class EvaluateDock(Dock):
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
        super().__init__(napari_viewer)
        self._viewer = napari_viewer
        self.comparisons: list[MaskComparison] = []
        self._target_warning = ""
        self._mask, self._reference = QComboBox(), QComboBox()
        self._inside = QCheckBox("Only inside the field of view")
        self._inside.setChecked(True)
        self._inside.setToolTip("Ignore the black area around the fundus")
        self._mask.setToolTip("The mask that is scored")
        self._reference.setToolTip("The mask that is taken to be correct")
        self._map = QCheckBox("Show error map")
        self._map.setChecked(True)
        self._map.setToolTip("Show what is right, wrong and missed as a layer")
        self._state = Paragraph(_LEGEND)
        self._table = two_columns("Metric", "Value")
        self._button = button("Compare", self.compare, tip="Score the mask against the reference")
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
            notify("Choose two different Labels layers: a mask and a reference.", self)
            return
        with show_user_errors(self):
            inputs = comparison_input(
                self._viewer, mask, reference, inside_field=self._inside.isChecked()
            )
            self._target_warning = about_targets(mask, reference)
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
        with show_user_errors(self):
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
        self.fill(
            column(form, self._inside, self._map, self._state, self._table, stretch=self._table),
            above=None,
            below=column(
                self._button,
                row(
                    button("Copy", self._copy, tip="Copy the last comparison, for a spreadsheet"),
                    button(
                        "Save all as CSV…",
                        self._ask_where_to_save,
                        tip="Write all comparisons since the dock was opened",
                    ),
                ),
            ),
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
            if isinstance(layer, Labels) and "view" not in plugin_metadata(layer.metadata)
        ]
        boxes = (self._mask, self._reference)
        chosen = [box.currentData() for box in boxes]
        if not all(one in layers for one in chosen):
            chosen = list(proposed_pair(layers))
        for box, layer in zip(boxes, chosen, strict=True):
            box.clear()
            for one in layers:
                box.addItem(one.name, one)
            box.setCurrentIndex(next((n for n, one in enumerate(layers) if one == layer), -1))

    def _layer(self, box: QComboBox) -> Labels | None:
        layer = box.currentData()
        return layer if isinstance(layer, Labels) else None

    def _on_compared(self, result: tuple[MaskComparison, LayerData]) -> None:
        comparison, errors = result
        self.comparisons.append(comparison)
        region = "the field of view" if comparison.inside_field else "the whole image"
        layers = f"{comparison.mask} against {comparison.reference}, in {region}."
        warnings = (self._target_warning, comparison.warning)
        self._state.setText(" ".join(filter(None, (layers, *warnings, _LEGEND))))
        self._fill(rows_of(comparison))
        if self._map.isChecked():
            self._show(errors)

    def _on_failed(self, error: Sam2LoraError) -> None:
        notify(str(error), self)

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
        layer = add_quietly(self._viewer, Layer.create(*errors))
        layer.editable = False  # no brush paints into it

    def _fill(self, rows: list[tuple[str, str]]) -> None:
        self._table.setRowCount(len(rows))
        for number, cells in enumerate(rows):
            for place, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self._table.setItem(number, place, item)

    def _copy(self) -> None:
        if self.comparisons:
            last = self.comparisons[-1]
            rows = [("Mask", last.mask), ("Reference", last.reference), *rows_of(last)]
            QGuiApplication.clipboard().setText("\n".join(map("\t".join, rows)))

    def _ask_where_to_save(self) -> None:
        path = ask_where_to_save(self, "Save comparisons", "CSV", ".csv")
        if path is not None:
            self.save(path)


def proposed_pair(layers: Sequence[Labels]) -> tuple[Labels | None, Labels | None]:
    """Return two masks of one target; else two that may be; else the first and no reference."""
    targets = {layer: _target(layer) for layer in layers}
    pairs = list(combinations(layers, 2))
    same = (pair for pair in pairs if targets[pair[0]] == targets[pair[1]] is not None)
    possible = (pair for pair in pairs if None in (targets[pair[0]], targets[pair[1]]))
    return next(same, None) or next(possible, None) or (next(iter(layers), None), None)


def about_targets(mask: Labels, reference: Labels) -> str:
    """Return a warning where two layers show different targets, or an empty text."""
    targets = _target(mask), _target(reference)
    if None in targets or targets[0] == targets[1]:
        return ""
    return f"These are different targets: {targets[0]} and {targets[1]}."


def _target(layer: Labels) -> str | None:
    try:
        return target_in(layer.metadata, layer.name).name
    except TargetError:
        return None


def rows_of(comparison: MaskComparison) -> list[tuple[str, str]]:
    """Return a comparison as rows of a label and a value; an undefined value is —."""
    rows = []
    for name, value in comparison.scores.items():
        unit = f" ({comparison.unit})" if name in _DISTANCES else ""
        text = "—" if math.isnan(value) else f"{value:.4f}"
        rows.append((_LABELS.get(name, name) + unit, text))
    return rows + [(label, str(comparison.pixels[name])) for name, label in _PIXEL_LABELS.items()]

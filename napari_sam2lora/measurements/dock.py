"""The Measurements dock: what the masks of an image measure, drawn on it, and saved as a table."""

from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QEvent
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QDockWidget, QFormLayout

from napari_sam2lora.layers.alignment import TransformSync
from napari_sam2lora.layers.metadata import with_plugin_metadata
from napari_sam2lora.layers.regions import RegionLayers
from napari_sam2lora.measurements.live import LiveEye
from napari_sam2lora.measurements.rows import MeasurementRow, drawn_texts, rows_of
from napari_sam2lora.measurements.snapshot import MeasuredEye
from napari_sam2lora.measurements.tree import MeasurementTree
from napari_sam2lora.qt.dialogs import ask_where_to_save
from napari_sam2lora.qt.dock import Dock, frame_of
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import WARNING, Paragraph, button, column, row
from sam2lora.cohort.table import add_row
from sam2lora.utils.csv_files import text_cell

_ABOUT = "What the masks of the selected image measure. Not a diagnosis."
_SCALES = {"file": "the file", "disc-fovea distance": "the distance of disc and fovea"}
_EYES = (("not stated", None), ("right", "right"), ("left", "left"))
_WIDTH = 440  # pixels: a value in pixels and millimeters leaves room for its name


class MeasurementsDock(Dock):
    """Dock that measures the masks of the selected image.

    Parameters
    ----------
    napari_viewer
        The viewer.

    Attributes
    ----------
    measured
        What is shown; None while nothing is.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, width=_WIDTH)
        self._viewer = napari_viewer
        self.measured: MeasuredEye | None = None
        self._frame: QDockWidget | None = None
        self._live, self._regions = LiveEye(napari_viewer), RegionLayers(napari_viewer)
        self._transforms: TransformSync | None = TransformSync(napari_viewer)
        self._title, self._warnings = Paragraph(_ABOUT), Paragraph()
        self._warnings.setStyleSheet(WARNING)
        self._warnings.hide()
        self._eye, self._side = QComboBox(), Paragraph()
        for text, eye in _EYES:
            self._eye.addItem(text, eye)
        self._eye.setToolTip("Side of the eye; not stated: it is taken from disc and fovea")
        self._draw = QCheckBox("Draw")
        self._draw.setToolTip("Draw on the image where it is measured: rim, zones and grid")
        self._add = button(
            "Add to table…",
            self._ask_where_to_save,
            tip="Write the row of this image as `sam2lora measure` does, into a new table or one "
            "that is there",
        )
        self._copy = button("Copy", self.copy, tip="Copy the measurements, for a spreadsheet")
        self._tree = MeasurementTree()
        self._build()
        self._show_state()
        self._eye.activated.connect(self._on_eye)
        self._draw.toggled.connect(self._on_draw)
        self._live.outdated.connect(self._show_state)
        self._live.measured.connect(self._on_measured)
        self._live.unavailable.connect(self._on_unavailable)
        self.destroyed.connect(self._live.close)
        self.destroyed.connect(self._regions.stop)

    def copy(self) -> None:
        """Copy the measurements to the clipboard as tab-separated text, for spreadsheets."""
        if self.measured is None:
            return
        lines = [("Image", self._name(), "", "")]
        lines += [(one.label, one.value, one.outside, one.confidence) for one in self._rows()]
        text = "\n".join("\t".join(map(text_cell, line)) for line in lines)
        QGuiApplication.clipboard().setText(text)

    def save(self, path: Path) -> None:
        """Write the row of the image into a table as `sam2lora measure` writes it, or add it."""
        if self.measured is not None:
            with show_user_errors(self):
                add_row(path, self.measured.row())

    def showEvent(self, event: QShowEvent) -> None:
        """Measure while the dock is shown and not behind another tab."""
        super().showEvent(event)
        frame = frame_of(self)
        if frame is not None and frame is not self._frame:
            self._frame = frame
            frame.visibilityChanged.connect(self._on_visible)
        self._on_visible(True)

    def changeEvent(self, event: QEvent) -> None:
        """Remove the drawings and disconnect when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._close()

    def _build(self) -> None:
        form = QFormLayout()
        form.addRow("Eye", row(self._eye, self._side))
        self.fill(
            column(
                *(self._title, form, self._draw, self._warnings, self._tree), stretch=self._tree
            ),
            above=None,
            below=column(row(self._copy, self._add)),
        )

    def _close(self) -> None:
        if self._transforms is not None:
            self._transforms.close()
            self._transforms = None
            self._regions.remove()
            self._live.close()

    def _name(self) -> str:
        return "" if self.measured is None else str(self.measured.snapshot.layer[1]["name"])

    def _rows(self) -> list[MeasurementRow]:
        if self.measured is None:
            return []
        snapshot = self.measured.snapshot
        return list(rows_of(self.measured.found, snapshot.confidences, snapshot.eye))

    def _show_state(self) -> None:
        """Show whether the measurements hold; only then they can be copied and saved.

        A side can be chosen while their image is selected.
        """
        current = self._live.current
        self._add.setEnabled(current)
        self._copy.setEnabled(current)
        self._warnings.setEnabled(current)
        self._tree.mark_outdated(outdated=not current)
        self._regions.mark_outdated(outdated=not current)
        self._eye.setEnabled(self._live.image is not None)

    def _on_measured(self, measured: MeasuredEye) -> None:
        self.measured = measured
        found, snapshot = measured.found, measured.snapshot
        scale = "no scale is known"
        if found.scale is not None:
            scale = f"{found.scale.mm_per_px:.4f} mm per pixel, by {_SCALES[found.scale.source]}"
        self._title.setText(
            f"{self._name()}: field of view {measured.field.diameter:.0f} px; {scale}. "
            "Not a diagnosis."
        )
        self._eye.setCurrentIndex(self._eye.findData(snapshot.eye))
        shown = "not known" if found.eye is None else f"{found.eye}, as disc and fovea show"
        self._side.setText("" if snapshot.eye else shown)
        rows = self._rows()
        marked = [f"{one.label}: {one.outside}." for one in rows if one.outside]
        self._warnings.setText("\n".join((*found.warnings, *marked)))
        self._warnings.setVisible(bool(self._warnings.text()))
        self._tree.show_rows(rows)
        self._show_drawings()
        self._show_state()

    def _on_unavailable(self, reason: str) -> None:
        self.measured = None
        self._show_state()
        self._title.setText(reason)
        self._eye.setCurrentIndex(self._eye.findData(None))
        self._side.setText("")
        self._warnings.hide()
        self._tree.empty()
        self._regions.remove()

    def _on_eye(self) -> None:
        image = self._live.image
        if image is not None:
            eye = self._eye.currentData()
            image.metadata = with_plugin_metadata(image.metadata, eye=eye)

    def _on_visible(self, visible: bool) -> None:
        self._live.set_active(visible or self._draw.isChecked())

    def _on_draw(self, drawn: bool) -> None:
        self._live.set_active(drawn or not self.visibleRegion().isEmpty())
        self._show_drawings()

    def _show_drawings(self) -> None:
        image = self._live.image
        if not self._draw.isChecked() or self.measured is None or image is None:
            self._regions.remove()
            return
        self._regions.show(image, self.measured.drawings, drawn_texts(self.measured.found))
        if self._transforms is not None:
            self._transforms.refresh()

    def _ask_where_to_save(self) -> None:
        path = ask_where_to_save(self, "Add to table", "CSV", ".csv", adds=True)
        if path is not None:
            self.save(path)

"""The measurements of a photograph's masks: a table to look at, to copy and to save."""

from collections.abc import Iterator
from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.layers.conversion import masks_of, spacing_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.lookup import layer_data, selected_image, visible_masks_of_image
from napari_sam2lora.qt.dialogs import ask_where_to_save
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, row, two_columns
from sam2lora.metrics.measurements import Measurements, measure
from sam2lora.targets import get_target
from sam2lora.utils.files import atomic_path

Rows = list[tuple[str, str]]

_RATIO = "{:.3f}"


def measure_chosen(viewer: Viewer) -> tuple[str, Measurements]:
    """Measure the masks of the chosen photograph, inside its field of view.

    Returns
    -------
    The name of the image, and what was measured.

    Raises
    ------
    Sam2LoraError
        If it is not clear which image or masks are meant, or their sizes differ.
    """
    image = selected_image(viewer)
    masks = masks_of([layer_data(layer) for layer in visible_masks_of_image(viewer, image)])
    layer = layer_data(image)
    return image.name, measure(masks, field_of_view(layer), spacing=spacing_of(layer))


def rows_of(measured: Measurements) -> Rows:
    """Give measurements as rows of a name with its unit, and a value; what is not defined is —."""
    rows = [
        ("field of view, diameter (px)", f"{measured.field_diameter_px:.0f}"),
        ("field of view, area (px)", str(measured.field_area_px)),
        ("vertical cup/disc ratio", _defined(measured.vertical_cup_disc_ratio, _RATIO)),
        ("area cup/disc ratio", _defined(measured.area_cup_disc_ratio, _RATIO)),
        ("vessel density", _defined(measured.vessel_density, "{:.1%}")),
    ]
    return [*rows, *_extents(measured)]


def _extents(measured: Measurements) -> Iterator[tuple[str, str]]:
    for name, extent in measured.structures.items():
        compact = get_target(name).detail != "tiles"  # a vessel tree has no height to speak of
        yield f"{name}, area (px)", str(extent.area_px)
        if compact:
            yield f"{name}, height × width (px)", f"{extent.vertical_px} × {extent.horizontal_px}"
        if extent.area_mm2 is not None:
            yield f"{name}, area (mm²)", f"{extent.area_mm2:.3f}"
        if extent.area_mm2 is not None and compact:
            size = f"{extent.vertical_mm:.2f} × {extent.horizontal_mm:.2f}"
            yield f"{name}, height × width (mm)", size


def _defined(value: float | None, form: str) -> str:
    return "—" if value is None else form.format(value)


class MeasurementsDock(QWidget):
    """Measures the masks of the photograph that is chosen in the viewer.

    Parameters
    ----------
    napari_viewer
        Its viewer.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._measured: Measurements | None = None
        self._title = Paragraph("Areas, diameters and ratios of an image's masks.")
        self._table = two_columns("measurement", "value")
        layout = QVBoxLayout(self)
        layout.addWidget(self._title)
        layout.addWidget(self._table)
        layout.addLayout(
            row(
                button("Measure", self.measure),
                button("Copy", self.copy),
                button("Save…", self._ask_where_to_save),
            )
        )
        if len(napari_viewer.layers):
            self.measure()

    def measure(self) -> None:
        """Measure the chosen photograph, and show the numbers."""
        with show_user_errors():
            name, self._measured = measure_chosen(self._viewer)
            rows = rows_of(self._measured)
            self._title.setText(name)
            self._table.setRowCount(len(rows))
            for number, cells in enumerate(rows):
                for column, text in enumerate(cells):
                    self._table.setItem(number, column, QTableWidgetItem(text))

    def copy(self) -> None:
        """Put the numbers on the clipboard, as a spreadsheet takes them."""
        if self._measured is not None:
            rows = [("image", self._title.text()), *rows_of(self._measured)]
            QGuiApplication.clipboard().setText("\n".join(map("\t".join, rows)))

    def save(self, path: Path) -> None:
        """Write the numbers as JSON, as `sam2lora demo` does."""
        if self._measured is not None:
            with show_user_errors(), atomic_path(path) as temporary:
                text = self._measured.model_dump_json(indent=2)
                temporary.write_text(text + "\n", encoding="utf-8")

    def _ask_where_to_save(self) -> None:
        path = ask_where_to_save(self, "Save measurements", "JSON", ".json")
        if path is not None:
            self.save(path)

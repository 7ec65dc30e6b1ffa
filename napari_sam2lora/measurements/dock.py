"""The Measurements dock: measure the masks of an image; show, copy and save the table."""

from collections.abc import Iterator
from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QTableWidgetItem

from napari_sam2lora.layers.conversion import masks_of, spacing_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.lookup import layer_data, selected_image, visible_masks_of_image
from napari_sam2lora.qt.dialogs import ask_where_to_save
from napari_sam2lora.qt.dock import Dock
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, column, row, two_columns
from sam2lora.measurements.structures import Measurements, measure
from sam2lora.targets import get_target
from sam2lora.utils.csv_files import text_cell
from sam2lora.utils.files import atomic_path

Rows = list[tuple[str, str]]

_RATIO = "{:.3f}"


def measure_selected(viewer: Viewer) -> tuple[str, Measurements]:
    """Measure the masks of the selected image, inside its field of view.

    Returns
    -------
    The name of the image, and its measurements.

    Raises
    ------
    Sam2LoraError
        If no single image is selected, it has no masks, or their sizes differ.
    """
    image = selected_image(viewer)
    masks = masks_of([layer_data(layer) for layer in visible_masks_of_image(viewer, image)])
    layer = layer_data(image)
    return image.name, measure(masks, field_of_view(layer), spacing=spacing_of(layer))


def rows_of(measurements: Measurements) -> Rows:
    """Return measurements as rows of a label with unit, and a value; an undefined value is —."""
    rows = [
        ("Field of view, diameter (px)", f"{measurements.field_diameter_px:.0f}"),
        ("Field of view, area (px)", str(measurements.field_area_px)),
        ("Vertical cup/disc ratio", _format(measurements.vertical_cup_disc_ratio, _RATIO)),
        ("Area cup/disc ratio", _format(measurements.area_cup_disc_ratio, _RATIO)),
        ("Vessel density", _format(measurements.vessel_density, "{:.1%}")),
    ]
    return [*rows, *_structure_rows(measurements)]


def _structure_rows(measurements: Measurements) -> Iterator[tuple[str, str]]:
    for name, extent in measurements.structures.items():
        label = name[:1].upper() + name[1:]
        compact = get_target(name).detail != "tiles"  # the height of a vessel tree means nothing
        yield f"{label}, area (px)", str(extent.area_px)
        if compact:
            yield f"{label}, height × width (px)", f"{extent.vertical_px} × {extent.horizontal_px}"
        if extent.area_mm2 is not None:
            yield f"{label}, area (mm²)", f"{extent.area_mm2:.3f}"
        if extent.area_mm2 is not None and compact:
            size = f"{extent.vertical_mm:.2f} × {extent.horizontal_mm:.2f}"
            yield f"{label}, height × width (mm)", size


def _format(value: float | None, form: str) -> str:
    return "—" if value is None else form.format(value)


class MeasurementsDock(Dock):
    """Dock that measures the masks of the selected image.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._viewer = napari_viewer
        self._measurements: Measurements | None = None
        self._title = Paragraph("Areas, diameters and ratios of an image's masks.")
        self._table = two_columns("Measurement", "Value")
        self.fill(
            column(self._title, self._table, stretch=self._table),
            above=None,
            below=column(
                row(
                    button("Measure", self.measure, tip="Measure the masks of the selected image"),
                    button("Copy", self.copy, tip="Copy the table, for a spreadsheet"),
                    button("Save…", self._ask_where_to_save, tip="Write the measurements as JSON"),
                )
            ),
        )
        if len(napari_viewer.layers):
            self.measure()

    def measure(self) -> None:
        """Measure the selected image, and show the table."""
        with show_user_errors(self):
            name, self._measurements = measure_selected(self._viewer)
            rows = rows_of(self._measurements)
            self._title.setText(name)
            self._table.setRowCount(len(rows))
            for number, cells in enumerate(rows):
                for place, text in enumerate(cells):
                    self._table.setItem(number, place, QTableWidgetItem(text))

    def copy(self) -> None:
        """Copy the table to the clipboard as tab-separated text, for spreadsheets."""
        if self._measurements is not None:
            rows = [("Image", self._title.text()), *rows_of(self._measurements)]
            lines = ["\t".join(map(text_cell, row)) for row in rows]
            QGuiApplication.clipboard().setText("\n".join(lines))

    def save(self, path: Path) -> None:
        """Write the measurements as JSON, as `sam2lora demo` does."""
        if self._measurements is not None:
            with show_user_errors(self), atomic_path(path) as temporary:
                text = self._measurements.model_dump_json(indent=2)
                temporary.write_text(text + "\n", encoding="utf-8")

    def _ask_where_to_save(self) -> None:
        path = ask_where_to_save(self, "Save measurements", "JSON", ".json")
        if path is not None:
            self.save(path)

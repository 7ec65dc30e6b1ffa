"""Pictures of the best, the median and the worst image: image, reference, prediction, errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

from sam2lora.errors import ImageError, ReportError
from sam2lora.evaluation.cases import stretch_to_square
from sam2lora.evaluation.report.plots import new_figure
from sam2lora.evaluation.report.schema import ImageEntry, Report
from sam2lora.images.reading import read_image, read_mask
from sam2lora.images.visualization import ERROR_COLORS, draw_errors, save_figure
from sam2lora.types import Mask, Pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PictureRange = tuple[slice, slice]

_PANEL = 460  # longer side of a panel, in pixels
_PADDING = 0.35  # around a compact structure, as a share of its larger side
_WIDTH, _GAP, _LINE, _HEAD = 4.0, 0.12, 0.2, 0.45  # inches
_LEGEND = ("found", "false", "missed")


@dataclass(frozen=True, eq=False)
class GalleryRow:
    """A row of a picture.

    Attributes
    ----------
    text
        Text above the row.
    panels
        Caption and pixels `(h, w, 3)` uint8 of each panel, all of the same size.
    """

    text: str
    panels: Sequence[tuple[str, Pixels]]

    @classmethod
    def of(cls, text: str, panels: Mapping[str, Pixels], window: PictureRange) -> Self:
        """Create a row by cropping panels of native size and reducing them to the panel size."""
        return cls(text, [(caption, _reduced(panel[window])) for caption, panel in panels.items()])


def save_galleries(folder: Path, report: Report) -> None:
    """Write `overview.png` for the first regime, and `overview_<regime>.png` for the others.

    Parameters
    ----------
    folder
        Folder of the report, with its masks.
    report
        The report.
    """
    for name, regime in gallery_names(report.settings.regimes).items():
        rows = [
            _row(folder, report, entry, rank)
            for data in report.data
            for model in report.models
            for rank, entry in _extremes(report.scored(model.name, data.dataset, regime))
        ]
        if rows:
            save_rows(folder / name, rows, title=f"{report.target.name}, prompts: {regime}")


def gallery_names(regimes: Sequence[str]) -> dict[str, str]:
    """Return the regime that each picture shows, by file name."""
    return {
        f"overview_{regime}.png" if number else "overview.png": regime
        for number, regime in enumerate(regimes)
    }


def _row(folder: Path, report: Report, entry: ImageEntry, rank: str) -> GalleryRow:
    """Create the row of one image: the image, the reference, the prediction and the errors."""
    reference = read_report_mask(folder / entry.truth)
    prediction = read_report_mask(folder / entry.answer)
    pixels = pixels_of(entry, report, reference.shape)
    dice = entry.scores.get("dice")
    panels = {
        "image": pixels,
        "reference": mask_to_rgb(reference),
        entry.model: mask_to_rgb(prediction),
        "errors": draw_errors(pixels, prediction, reference),
    }
    text = f"{rank}: {entry.dataset} {entry.image}, Dice {dice:.3f}"
    return GalleryRow.of(text, panels, picture_range(report, reference | prediction))


def read_report_mask(path: Path) -> Mask:
    """Read a mask that was saved with a report.

    Raises
    ------
    ReportError
        If it is missing or damaged.
    """
    try:
        return read_mask(path)
    except ImageError as error:
        raise ReportError(f"A mask of the report cannot be read: {error}") from error


def pixels_of(entry: ImageEntry, report: Report, shape: tuple[int, ...]) -> Pixels:
    """Read an image as it was scored; black if the file is missing or has changed in size."""
    try:
        pixels = read_image(Path(entry.path)).pixels
    except ImageError:
        return np.zeros((*shape, 3), np.uint8)
    size = report.settings.conventions.size
    pixels = pixels if size is None else stretch_to_square(pixels, size)
    return pixels if pixels.shape[:2] == shape else np.zeros((*shape, 3), np.uint8)


def picture_range(report: Report, masks: Mask) -> PictureRange:
    """Return the part of an image to show: a square around a compact structure, else the whole."""
    if report.target.detail == "tiles" or not masks.any():
        return np.s_[:, :]
    rows, columns = (np.flatnonzero(masks.any(axis=axis)) for axis in (1, 0))
    side = (1 + 2 * _PADDING) * max(np.ptp(rows), np.ptp(columns)) + 1
    ends = []
    for positions, limit in ((rows, masks.shape[0]), (columns, masks.shape[1])):
        width = min(round(side), limit)
        start = round((positions[0] + positions[-1] - width) / 2)
        start = min(max(start, 0), limit - width)
        ends.append(slice(start, start + width))
    return ends[0], ends[1]


def save_rows(path: Path, rows: Sequence[GalleryRow], *, title: str) -> None:
    """Write rows of panels as a PNG; each row is as high as its panels."""
    width = len(rows[0].panels) * (_WIDTH + _GAP) + _GAP
    heights = [_WIDTH * max(_aspect(panel) for _, panel in row.panels) for row in rows]
    height = _HEAD + sum(heights) + len(rows) * (2 * _LINE + _GAP)
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    top = height - _GAP
    _write(figure, _GAP, top, title, size=12, bold=True)
    for number, (name, color) in enumerate(zip(_LEGEND, ERROR_COLORS, strict=True)):
        _write(figure, width - (3 - number) * 0.75, top, name, size=10, color=color, bold=True)
    top = height - _HEAD
    for row, row_height in zip(rows, heights, strict=True):
        _write(figure, _GAP, top, row.text, size=10)
        top -= 2 * _LINE
        for column, (caption, panel) in enumerate(row.panels):
            left = _GAP + column * (_WIDTH + _GAP)
            _write(figure, left, top + _LINE, caption, size=8, color="#555555")
            panel_height = _WIDTH * _aspect(panel)
            axes = figure.add_axes(
                (
                    left / width,
                    (top - panel_height) / height,
                    _WIDTH / width,
                    panel_height / height,
                )
            )
            axes.imshow(panel, interpolation="nearest")
            axes.axis("off")
        top -= row_height + _GAP
    save_figure(path, figure)


def _write(
    figure: "Figure",
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    color: str = "black",
    bold: bool = False,
) -> None:
    """Write a text below a point, in inches from the lower left corner."""
    width, height = figure.get_size_inches()
    figure.text(
        x / width,
        y / height,
        text,
        va="top",
        fontsize=size,
        color=color,
        weight="bold" if bold else "normal",
        parse_math=False,  # file names may contain dollar signs
    )


def _aspect(panel: Pixels) -> float:
    height, width = panel.shape[:2]
    return float(height / width)


def mask_to_rgb(mask: Mask) -> Pixels:
    """Convert a mask to white on black, `(H, W, 3)` uint8."""
    return np.repeat(mask[:, :, np.newaxis], 3, axis=2).astype(np.uint8) * np.uint8(255)


def _reduced(pixels: Pixels) -> Pixels:
    """Reduce an image to the size of a panel by area averaging; small images are not enlarged."""
    step = max(pixels.shape) / _PANEL
    if step <= 1:
        return pixels
    height, width = (max(1, round(side / step)) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _extremes(entries: Sequence[ImageEntry]) -> list[tuple[str, ImageEntry]]:
    """Return the best, the median and the worst image by Dice, or as many as there are."""
    ranked = sorted(
        (entry for entry in entries if entry.scores.get("dice") is not None),
        key=lambda entry: (-(entry.scores["dice"] or 0.0), entry.image),
    )
    ranks = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    if len(ranked) < 3:
        del ranks["median"]
    return [(name, ranked[rank]) for name, rank in ranks.items() if ranked][: len(ranked)]

"""Pictures of the best, the median and the worst image: what was seen, drawn, found and missed."""

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
from sam2lora.images.visualization import ERROR_COLORS, draw_errors
from sam2lora.types import Mask, Pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PictureRange = tuple[slice, slice]

_PANEL = 460  # longer side of a panel, in pixels
_ROOM = 0.35  # around a compact structure, as a share of its larger side
_WIDTH, _GAP, _LINE, _HEAD = 4.0, 0.12, 0.2, 0.45  # inches
_LEGEND = ("found", "false", "missed")


@dataclass(frozen=True, eq=False)
class GalleryRow:
    """A line of a picture.

    Attributes
    ----------
    text
        Stands above it.
    panels
        Caption and `(h, w, 3)` uint8 of each, all of one size.
    """

    text: str
    panels: Sequence[tuple[str, Pixels]]

    @classmethod
    def of(cls, text: str, panels: Mapping[str, Pixels], window: PictureRange) -> Self:
        """Cut a part out of panels of native size, and reduce it to what a picture can show."""
        return cls(text, [(caption, _reduced(one[window])) for caption, one in panels.items()])


def save_galleries(folder: Path, report: Report) -> None:
    """Write `overview.png` for the first regime, and `overview_<regime>.png` for the others.

    Parameters
    ----------
    folder
        Of the report, with its masks.
    report
        What it says.
    """
    for name, regime in gallery_names(report.settings.regimes).items():
        rows = [
            _row(folder, report, entry, place)
            for data in report.data
            for model in report.models
            for place, entry in _extremes(report.scored(model.name, data.dataset, regime))
        ]
        if rows:
            save_rows(folder / name, rows, title=f"{report.target.name}, prompts: {regime}")


def gallery_names(regimes: Sequence[str]) -> dict[str, str]:
    """Give the regime that each picture shows, by the picture's name."""
    return {
        f"overview_{regime}.png" if number else "overview.png": regime
        for number, regime in enumerate(regimes)
    }


def _row(folder: Path, report: Report, entry: ImageEntry, place: str) -> GalleryRow:
    """Show one image: as it is, the truth, the answer, the errors."""
    truth, answer = (read_own_mask(folder / file) for file in (entry.truth, entry.answer))
    pixels = pixels_of(entry, report, truth.shape)
    dice = entry.scores.get("dice")
    panels = {
        "image": pixels,
        "truth": white(truth),
        entry.model: white(answer),
        "errors": draw_errors(pixels, answer, truth),
    }
    text = f"{place}: {entry.dataset} {entry.image}, Dice {dice:.3f}"
    return GalleryRow.of(text, panels, window_of(report, truth | answer))


def read_own_mask(path: Path) -> Mask:
    """Read a mask of a report.

    Raises
    ------
    ReportError
        If it is not there any more, or damaged.
    """
    try:
        return read_mask(path)
    except ImageError as error:
        raise ReportError(f"A mask of the report cannot be read: {error}") from error


def pixels_of(entry: ImageEntry, report: Report, shape: tuple[int, ...]) -> Pixels:
    """Read an image as it was judged; black where the file is gone or another one by now."""
    try:
        pixels = read_image(Path(entry.path)).pixels
    except ImageError:
        return np.zeros((*shape, 3), np.uint8)
    size = report.settings.conventions.size
    pixels = pixels if size is None else stretch_to_square(pixels, size)
    return pixels if pixels.shape[:2] == shape else np.zeros((*shape, 3), np.uint8)


def window_of(report: Report, masks: Mask) -> PictureRange:
    """Give the part of an image to show: a square around a compact structure, else everything."""
    if report.target.detail == "tiles" or not masks.any():
        return np.s_[:, :]
    rows, columns = (np.flatnonzero(masks.any(axis=axis)) for axis in (1, 0))
    side = (1 + 2 * _ROOM) * max(np.ptp(rows), np.ptp(columns)) + 1
    ends = []
    for places, limit in ((rows, masks.shape[0]), (columns, masks.shape[1])):
        width = min(round(side), limit)
        start = round((places[0] + places[-1] - width) / 2)
        start = min(max(start, 0), limit - width)
        ends.append(slice(start, start + width))
    return ends[0], ends[1]


def save_rows(path: Path, rows: Sequence[GalleryRow], *, title: str) -> None:
    """Write rows of panels as a PNG; each row is as high as its panels are."""
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
            own = _WIDTH * _aspect(panel)
            axes = figure.add_axes(
                (left / width, (top - own) / height, _WIDTH / width, own / height)
            )
            axes.imshow(panel, interpolation="nearest")
            axes.axis("off")
        top -= row_height + _GAP
    figure.savefig(path)


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
        parse_math=False,  # a file's name may have dollar signs in it
    )


def _aspect(panel: Pixels) -> float:
    height, width = panel.shape[:2]
    return float(height / width)


def white(mask: Mask) -> Pixels:
    """Paint a mask white on black."""
    return np.repeat(mask[:, :, np.newaxis], 3, axis=2).astype(np.uint8) * np.uint8(255)


def _reduced(pixels: Pixels) -> Pixels:
    """Reduce by area averaging to the size of a panel; small ones stay as they are."""
    step = max(pixels.shape) / _PANEL
    if step <= 1:
        return pixels
    height, width = (max(1, round(side / step)) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def _extremes(entries: Sequence[ImageEntry]) -> list[tuple[str, ImageEntry]]:
    """Give the best, the median and the worst image by Dice; fewer where there are fewer."""
    ranked = sorted(
        (entry for entry in entries if entry.scores.get("dice") is not None),
        key=lambda entry: (-(entry.scores["dice"] or 0.0), entry.image),
    )
    places = {"best": 0, "median": len(ranked) // 2, "worst": len(ranked) - 1}
    if len(ranked) < 3:
        del places["median"]
    return [(name, ranked[place]) for name, place in places.items() if ranked][: len(ranked)]

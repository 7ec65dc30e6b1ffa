"""Draw every image of evaluation reports on contact sheets, the worst first.

    sam2lora evaluate DATA --target disc --out REPORT
    python scripts/contact_sheets.py OUT REPORT...

Each tile shows the whole image and the part around the target (of vessels, which are everywhere,
the part with the most errors), with the outline of the reference
in green and that of the prediction in magenta; the text is the target, its Dice coefficient, the
expected IoU, the confidence where it is known, and the image. Images of all datasets and reports
are sorted together, so that the failures of all cameras are seen side by side. Of a report on
several models or with prompts, what the first one predicted without a prompt is drawn.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from sam2lora.evaluation import Report
from sam2lora.evaluation.report.gallery import pixels_of, read_report_mask
from sam2lora.evaluation.report.schema import ImageEntry, read_report
from sam2lora.images.visualization import outline
from sam2lora.types import Mask, Pixels

SIDE = 200  # of each of the two pictures of a tile, in pixels
TEXT = 14  # height of the text below them
COLUMNS, ROWS = 4, 6
SHARE = 0.25  # of the image's longer side: the part that is shown of a target all over it
PADDING = 0.6  # around the target, as a share of its side
REFERENCE, PREDICTION = (0, 255, 80), (255, 0, 255)


@dataclass(frozen=True)
class Scored:
    """One scored image, and the report that it is in."""

    folder: Path
    report: Report
    entry: ImageEntry

    @property
    def dice(self) -> float:
        """Its Dice coefficient; 0 if it is undefined."""
        return self.entry.scores.get("dice") or 0.0


def main() -> None:
    """Draw the contact sheets of the reports on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the sheets")
    parser.add_argument("reports", type=Path, nargs="+", help="folders of `sam2lora evaluate`")
    options = parser.parse_args()
    for path in draw_sheets(options.out, options.reports):
        print(path)


def draw_sheets(out: Path, reports: Sequence[Path]) -> Iterator[Path]:
    """Draw the sheets of reports, one after the other.

    Yields
    ------
    The path of each sheet, `OUT/01.png` and so on.
    """
    scored = [
        Scored(folder, report, entry)
        for folder in reports
        for report in [read_report(folder)]
        for entry in _automatic(report)
    ]
    scored.sort(key=lambda one: one.dice)
    yield from write_sheets(out, map(draw_tile, scored))


def _automatic(report: Report) -> Iterator[ImageEntry]:
    """Yield the scored images that the first model segmented without a prompt."""
    shown = (report.models[0].name, "none", "scored")
    for entry in report.images:
        if (entry.model, entry.regime, entry.status) == shown:
            yield entry


def draw_tile(scored: Scored) -> Pixels:
    """Draw the whole image, the part around the target, and the text of one image."""
    entry = scored.entry
    reference = read_report_mask(scored.folder / entry.truth)
    prediction = read_report_mask(scored.folder / entry.answer)
    pixels = pixels_of(entry, scored.report, reference.shape)
    tile = Image.new("RGB", (2 * SIDE, SIDE + TEXT))
    whole = square_around(np.ones_like(reference), padding=0)
    part = square_around(reference | prediction, padding=PADDING)
    if part[2] > whole[2]:
        part = worst_square(reference != prediction, round(SHARE * whole[2]))
    for column, box in enumerate((whole, part)):
        tile.paste(picture(pixels, reference, prediction, box), (column * SIDE, 0))
    iou = "" if entry.expected_iou is None else f", IoU {entry.expected_iou:.2f}"
    target = scored.report.target.name
    sure = "" if entry.confidence is None else f", sure {entry.confidence:.2f}"
    text = f"{target} {scored.dice:.3f}{iou}{sure}  {entry.dataset} {entry.image}"
    ImageDraw.Draw(tile).text((2, SIDE), text, fill="white")
    return np.asarray(tile)


def square_around(mask: Mask, *, padding: float) -> tuple[int, int, int]:
    """Return the square around a mask with padding: (left, top, side), maybe beyond the image."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return square_around(np.ones_like(mask), padding=0)
    side = int((1 + 2 * padding) * (max(np.ptp(rows), np.ptp(columns)) + 1))
    left, top = ((int(ends[0]) + int(ends[-1]) + 1 - side) // 2 for ends in (columns, rows))
    return left, top, side


def worst_square(errors: Mask, side: int) -> tuple[int, int, int]:
    """Return the square inside an image with the most errors: (left, top, side)."""
    density = ndimage.uniform_filter(errors.astype(np.float32), side, mode="constant")
    half = side // 2
    inner = density[half : density.shape[0] - half, half : density.shape[1] - half]
    top, left = np.unravel_index(inner.argmax(), inner.shape)
    return int(left), int(top), side


def picture(
    pixels: Pixels, reference: Mask, prediction: Mask, box: tuple[int, int, int]
) -> Image.Image:
    """Draw a square of an image, `SIDE` pixels wide, with both outlines."""
    left, top, side = box
    corners = (left, top, left + side, top + side)
    size = (SIDE, SIDE)
    drawn = np.array(Image.fromarray(pixels).crop(corners).resize(size, Image.Resampling.BOX))
    for mask, color in ((reference, REFERENCE), (prediction, PREDICTION)):
        cut = Image.fromarray(mask.astype(np.uint8) * 255).crop(corners)
        drawn[outline(np.asarray(cut.resize(size, Image.Resampling.BOX)) > 127)] = color
    return Image.fromarray(drawn)


def write_sheets(
    out: Path, tiles: Iterable[Pixels], *, columns: int = COLUMNS, rows: int = ROWS
) -> Iterator[Path]:
    """Write tiles on sheets, in their order; each tile is drawn when its sheet is.

    Yields
    ------
    The path of each sheet, `OUT/01.png` and so on.
    """
    out.mkdir(parents=True, exist_ok=True)
    left, number = iter(tiles), 0
    while sheet := list(islice(left, columns * rows)):
        number += 1
        path = out / f"{number:02}.png"
        Image.fromarray(arrange(sheet, columns=columns)).save(path)
        yield path


def arrange(tiles: Sequence[Pixels], *, columns: int = COLUMNS) -> Pixels:
    """Arrange tiles in rows; the last row may be shorter."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, min(columns, len(tiles)) * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * height, (number % columns) * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


if __name__ == "__main__":
    main()

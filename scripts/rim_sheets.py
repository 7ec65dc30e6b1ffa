"""Draw the rim sectors of every disc with a cup on contact sheets, the most doubtful first.

    python -m scripts.rim_sheets OUT DATASET... [--masks FOLDER]

Images and masks are found as by `sam2lora measure`. Each tile shows the part around the disc with
the regions that the rim is measured in: quarters white, clock hours blue, the narrowest part
magenta. The text is the image, the side of the eye, the vertical cup/disc ratio and the least
rim/disc ratio; below it are the warnings. Images with warnings come first, then those with the
narrowest rim.
"""

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sam2lora.cohort import find_records
from sam2lora.cohort.fovea import fovea_of
from sam2lora.datasets import Record
from sam2lora.errors import Sam2LoraError
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.measurements.drawing import Region, draw_regions
from sam2lora.measurements.eye import EyeMeasurements, measure_geometry
from sam2lora.measurements.geometry import eye_geometry
from sam2lora.types import Pixels
from scripts.contact_sheets import square_around, write_sheets

SIDE = 260  # of a picture, in pixels
TEXT = 12  # height of a line of text
LINES = 3
COLUMNS, ROWS = 6, 5
PADDING = 0.6  # around the disc, as a share of its side
COLORS = {"rim_width_hour": "#40a0ff", "rim_width": "#ffffff", "rim_disc_ratio": "#ff40d0"}


@dataclass(frozen=True, eq=False)
class Drawn:
    """One drawn image, and what was measured in it."""

    record: Record
    found: EyeMeasurements
    tile: Pixels

    @property
    def order(self) -> tuple[int, float]:
        """Place in the sheets: more warnings first, then narrower rims."""
        return -len(self.found.warnings), float(self.found.values["rim_disc_ratio"] or 0)


def main() -> None:
    """Draw the contact sheets of the datasets on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the sheets")
    parser.add_argument("inputs", nargs="+", help="images or datasets, as for sam2lora measure")
    parser.add_argument("--masks", type=Path, help="folder of predicted masks")
    options = parser.parse_args()
    for path in draw_sheets(options.out, find_records(options.inputs, masks=options.masks)):
        print(path)


def draw_sheets(out: Path, records: Sequence[Record]) -> Iterator[Path]:
    """Draw the sheets of all records with a disc and a cup.

    Yields
    ------
    The path of each sheet, `OUT/01.png` and so on.
    """
    drawn = [
        one for record in records if {"disc", "cup"} <= record.masks.keys() for one in _try(record)
    ]
    drawn.sort(key=lambda one: one.order)
    tiles = (one.tile for one in drawn)
    yield from write_sheets(out, tiles, columns=COLUMNS, rows=ROWS)


def _try(record: Record) -> Iterator[Drawn]:
    try:
        yield draw_record(record)
    except Sam2LoraError as error:
        print(f"{record.image}: {error}")


def draw_record(record: Record) -> Drawn:
    """Measure one image, and draw its rim.

    Raises
    ------
    Sam2LoraError
        If a file cannot be read.
    """
    image, fovea = record.read_image(), fovea_of(record)
    field = record.read_field_of_view() if record.fov else find_field_of_view(image.pixels)
    geometry = eye_geometry(
        {name: record.read_mask(name) for name in ("disc", "cup")},
        field,
        spacing=image.spacing,
        eye=image.eye,
        fovea=fovea.place if fovea else None,
    )
    found = measure_geometry(geometry)
    box = square_around(geometry.masks["disc"] | geometry.masks["cup"], padding=PADDING)
    regions = draw_regions(geometry, found.values).get("rim sectors", ())
    return Drawn(record, found, _tile(image.pixels, regions, box, _lines(record, found)))


def _lines(record: Record, found: EyeMeasurements) -> list[str]:
    values = found.values
    numbers = [values[name] for name in ("vertical_cup_disc_ratio", "rim_disc_ratio")]
    texts = ["-" if number is None else f"{number:.2f}" for number in numbers]
    first = f"{record.dataset} {record.stem} {found.eye or '?'} {' '.join(texts)}"
    return [first[:44], *textwrap.wrap(" ".join(found.warnings), 44)][:LINES]


def _tile(
    pixels: Pixels, regions: Sequence[Region], box: tuple[int, int, int], lines: Sequence[str]
) -> Pixels:
    left, top, side = box
    tile = Image.new("RGB", (SIDE, SIDE + LINES * TEXT + 2))
    crop = Image.fromarray(pixels).crop((left, top, left + side, top + side))
    tile.paste(crop.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    draw = ImageDraw.Draw(tile)
    zoom = SIDE / side
    for region in regions:
        color = next(color for start, color in COLORS.items() if region.name.startswith(start))
        for border in region.borders:
            places = (border.points[:, ::-1] + 0.5 - (left, top)) * zoom
            closed = [*map(tuple, places), *([tuple(places[0])] if border.closed else [])]
            draw.line(closed, fill=color)
        if region.label in ("N", "T"):
            row, column = region.label_at
            at = ((column - left) * zoom - 4, (row - top) * zoom - 5)
            draw.text(at, region.label, fill=color)
    for number, line in enumerate(lines):
        draw.text((2, SIDE + number * TEXT), line, fill="white")
    return np.asarray(tile)


if __name__ == "__main__":
    main()

"""A folder as VascX (retinalysis) reads it: `preprocessed_rgb/`, `vessels/`, `disc/`.

The files of an image share one name and are squares of 1024 pixels around the field of view;
`bounds.csv` says where the square was cut. Folders, names, square, the columns of the table, and
that a mask is every value above 0, are those of VascX's own sources. Arteries and veins
(`artery_vein/`) and the fovea (`fovea.csv`), which its biomarkers need too, are not segmented here.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sam2lora.annotations.mask_files import save_mask
from sam2lora.errors import GeometryError, OutputError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.images.visualization import save_image
from sam2lora.transforms.windows import Window
from sam2lora.types import Mask, Pixels
from sam2lora.utils.csv_files import text_cell, write_csv
from sam2lora.utils.files import make_folder

SIDE = 1024
"""Side of VascX's square images, in pixels."""

FOLDERS = {"vessel": "vessels", "disc": "disc"}
"""Target name to the folder of its masks; VascX has none for other targets."""

_COLUMNS = ("id", "success", "bounds")
_CUT = 2  # pixels; a straight border nearer to the circle than this does not count as a cut


def save_for_vascx(
    folder: Path, stem: str, pixels: Pixels, field: FieldOfView, masks: Mapping[str, Mask]
) -> list[Path]:
    """Add one image with its masks to a folder as `vascx run-models` writes it.

    Parameters
    ----------
    folder
        The folder, created if missing. Files of other images stay, those of this one are replaced.
    stem
        Name of the image, and of all its files (`csv_files.text_cell`).
    pixels
        `(H, W, 3)` uint8 RGB.
    field
        Field of view of the image; the square is cut around it.
    masks
        Target name to `(H, W)` bool; only targets in `FOLDERS` are written.

    Returns
    -------
    Paths of the written files.

    Raises
    ------
    GeometryError
        If there is no mask that VascX reads.
    OutputError
        If a file cannot be written, or an existing `bounds.csv` is another kind of table.
    """
    readable = {name: mask for name, mask in masks.items() if name in FOLDERS}
    if not readable:
        raise GeometryError(
            f"VascX reads masks of {' and '.join(FOLDERS)}; found: {', '.join(masks) or 'none'}."
        )
    window = Window.around(field.center, field.extent, SIDE)
    bounds = folder / "bounds.csv"
    image = text_cell(stem)  # VascX looks for the files under the name in the table
    rows = _rows(bounds) | {image: ("True", _bounds(field))}
    name = f"{image}.png"
    written = [make_folder(folder / "preprocessed_rgb") / name]
    save_image(written[0], window.cut(pixels))
    for target, mask in readable.items():
        place = make_folder(folder / FOLDERS[target]) / name
        written.append(save_mask(place, window.cut_mask(mask)))
    cells = ((key, *row) for key, row in rows.items())
    write_csv(bounds, _COLUMNS, (dict(zip(_COLUMNS, row, strict=True)) for row in cells))
    return [*written, bounds]


def _rows(path: Path) -> dict[str, tuple[str, str]]:
    """Read the rows of images that are already in the folder, by their names."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(f"{path}: cannot be read ({error}).") from error
    if not table or tuple(table[0]) != _COLUMNS or any(len(row) != 3 for row in table):
        raise OutputError(
            f"{path}: is not a table of VascX ({', '.join(_COLUMNS)}). Choose another folder."
        )
    return {name: (success, bounds) for name, success, bounds in table[1:]}


def _bounds(field: FieldOfView) -> str:
    """Return a field of view as VascX writes it: the circle, and lines that cut it, as (x, y)."""
    height, width = field.mask.shape
    x, y = map(float, field.center)
    radius = field.extent / 2
    rows, columns = (np.flatnonzero(field.mask.any(axis=axis)) for axis in (1, 0))
    edges = {
        "top": (int(rows[0]), max(0.0, y - radius)),
        "bottom": (int(rows[-1]) + 1, min(float(height), y + radius)),
        "left": (int(columns[0]), max(0.0, x - radius)),
        "right": (int(columns[-1]) + 1, min(float(width), x + radius)),
    }
    lines = {
        side: [[0, at], [width, at]] if side in ("top", "bottom") else [[at, 0], [at, height]]
        for side, (at, uncut) in edges.items()
        if abs(at - uncut) > _CUT
    }
    return repr({"hw": (height, width), "center": (x, y), "radius": radius, "lines": lines})

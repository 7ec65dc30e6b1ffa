"""A folder as VascX (retinalysis) reads it: `preprocessed_rgb/`, `vessels/`, `disc/`.

The files of an image share one name and are squares of 1024 pixels around the field of view;
`bounds.csv` says where the square was cut. Folders, names, square, the columns of the tables, and
that a mask is every value above 0, are those of VascX's own sources. Its command also needs
arteries and veins (`artery_vein/`) and the fovea (`fovea.csv`): written where they are known.
"""

import ast
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2lora.annotations.mask_files import save_mask, write_values
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

ARTERY_VEIN = "artery_vein"
"""Folder of the label maps: 1 artery, 2 vein, 3 where they cross."""

_BOUNDS = ("id", "success", "bounds")
_FOVEA = ("id", "x_fovea", "y_fovea")
_CUT = 2  # pixels; a straight border nearer to the circle than this does not count as a cut


def save_for_vascx(
    folder: Path,
    stem: str,
    pixels: Pixels,
    field: FieldOfView,
    masks: Mapping[str, Mask],
    *,
    fovea: tuple[float, float] | None = None,
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
        Target name to `(H, W)` bool; only targets in `FOLDERS` are written, and `artery` and
        `vein` where there are both.
    fovea
        Its center, (x, y) in native pixels; None if it is not known.

    Returns
    -------
    Paths of the written files.

    Raises
    ------
    GeometryError
        If there is no mask that VascX reads.
    OutputError
        If a file cannot be written, or an existing `bounds.csv` or `fovea.csv` is another kind of
        table.
    """
    readable = {name: mask for name, mask in masks.items() if name in FOLDERS}
    if not readable:
        raise GeometryError(
            f"VascX reads masks of {' and '.join(FOLDERS)}; found: {', '.join(masks) or 'none'}."
        )
    window = Window.around(field.center, field.extent, SIDE)
    image = text_cell(stem)  # VascX looks for the files under the name in the table
    bounds, points = folder / "bounds.csv", folder / "fovea.csv"
    rows = _rows(bounds, _BOUNDS) | {image: ("True", _bounds(field))}
    foveas = {name: row for name, row in _rows(points, _FOVEA).items() if name != image}
    name = f"{image}.png"
    written = [make_folder(folder / "preprocessed_rgb") / name]
    save_image(written[0], window.cut(pixels))
    for target, mask in readable.items():
        place = make_folder(folder / FOLDERS[target]) / name
        written.append(save_mask(place, window.cut_mask(mask)))
    if "artery" in masks and "vein" in masks:
        place = make_folder(folder / ARTERY_VEIN) / name
        artery, vein = (_as_values(window, masks[name]) for name in ("artery", "vein"))
        write_values(place, artery + 2 * vein)
        written.append(place)
    _write_rows(bounds, _BOUNDS, rows)
    if fovea is not None:
        x, y = window.to_network(np.array(fovea, np.float64))
        foveas[image] = (f"{x:.2f}", f"{y:.2f}")
    if foveas or points.exists():
        _write_rows(points, _FOVEA, foveas)
        written.append(points)
    return [*written, bounds]


def read_for_vascx(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what is in such a folder as VascX's functions take it: arguments by name of the image.

    Raises
    ------
    OutputError
        If `bounds.csv` or `fovea.csv` is another kind of table.
    """
    foveas = _rows(folder / "fovea.csv", _FOVEA)
    places = {"fundus_path": "preprocessed_rgb", "av_path": ARTERY_VEIN}
    places |= {"vessels_path": FOLDERS["vessel"], "disc_path": FOLDERS["disc"]}
    found: dict[str, dict[str, Any]] = {}
    for image, (_, bounds) in _rows(folder / "bounds.csv", _BOUNDS).items():
        files = {key: folder / place / f"{image}.png" for key, place in places.items()}
        found[image] = {
            "id": image,
            "bounds": ast.literal_eval(bounds),
            **{key: path for key, path in files.items() if path.is_file()},
        }
        if image in foveas:
            found[image]["fovea_location"] = tuple(map(float, foveas[image]))
    return found


def _as_values(window: Window, mask: Mask) -> NDArray[np.uint8]:
    return window.cut_mask(mask).astype(np.uint8)


def _write_rows(
    path: Path, columns: tuple[str, str, str], rows: Mapping[str, tuple[str, str]]
) -> None:
    cells = ((key, *row) for key, row in rows.items())
    write_csv(path, columns, (dict(zip(columns, row, strict=True)) for row in cells))


def _rows(path: Path, columns: tuple[str, str, str]) -> dict[str, tuple[str, str]]:
    """Read the rows of images that are already in the folder, by their names."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(f"{path}: cannot be read ({error}).") from error
    if not table or tuple(table[0]) != columns or any(len(row) != 3 for row in table):
        raise OutputError(
            f"{path}: is not a table of VascX ({', '.join(columns)}). Choose another folder."
        )
    return {name: (first, second) for name, first, second in table[1:]}


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

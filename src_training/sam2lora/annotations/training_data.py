"""Images with masks as a data set of its own: what a training from the viewer learns from.

A folder with `images/`, `masks/TARGET/`, `fov/` and `ignore/`, as a plain folder has them, and a
`dataset.csv`, which says who is who. The table is written last, so that what was cut off is no data
set.
"""

import csv
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sam2lora.annotations.mask_files import save_mask
from sam2lora.datasets.csv_dataset import TABLE_NAME
from sam2lora.errors import GeometryError
from sam2lora.images.decoding import image_suffix
from sam2lora.images.visualization import save_image
from sam2lora.targets import all_targets
from sam2lora.types import Mask, Pixels
from sam2lora.utils.files import atomic_path, make_folder


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with what is known about it.

    Attributes
    ----------
    name
        What it is called; other characters than those of file names are replaced.
    image
        Its file, which is copied, or `(H, W, 3)` uint8 RGB.
    masks
        Target name to `(H, W)` bool.
    patient
        Identifies the person; empty: the name says it.
    fov
        `(H, W)` bool: the field of view, where it is known better than by looking.
    ignored
        `(H, W)` bool: what is neither learned from nor judged.
    """

    name: str
    image: Path | Pixels
    masks: Mapping[str, Mask]
    patient: str = ""
    fov: Mask | None = None
    ignored: Mask | None = None


def save_training_data(folder: Path, images: Iterable[LabelledImage], *, copy: bool = True) -> Path:
    """Write a data set, beginning with an empty or missing folder.

    Parameters
    ----------
    folder
        Made if need be.
    images
        Read one after the other, so that they need not be in memory together.
    copy
        Whether images that are files are copied; otherwise the table names them where they are.

    Returns
    -------
    The table.

    Raises
    ------
    GeometryError
        If the masks of an image differ in size.
    OutputError
        If something cannot be written.
    """
    rows: list[dict[str, str]] = []
    for image in images:
        name = _file_name(image.name, [row["name"] for row in rows])
        rows.append(_save(folder, name, image, copy=copy))
    columns = ["image", *all_targets(), "fov", "ignore", "patient"]
    table = make_folder(folder) / TABLE_NAME
    with atomic_path(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return table


def _save(folder: Path, name: str, image: LabelledImage, *, copy: bool) -> dict[str, str]:
    planes = {f"masks/{target}": (target, mask) for target, mask in image.masks.items()}
    for column, place, extra in (("fov", "fov", image.fov), ("ignore", "ignore", image.ignored)):
        if extra is not None:
            planes[place] = (column, extra)
    sizes = {mask.shape for _, mask in planes.values()}
    if len(sizes) > 1:
        raise GeometryError(f"{image.name}: its masks differ in size: {sorted(sizes)}.")
    row = {"name": name, "patient": image.patient}
    if isinstance(image.image, Path) and not copy:
        row["image"] = str(image.image.resolve())
    else:
        row["image"] = _save_image(folder, name, image.image)
    for place, (column, mask) in planes.items():
        make_folder(folder / place)
        row[column] = f"{place}/{name}.png"
        save_mask(folder / row[column], mask)
    return row


def _save_image(folder: Path, name: str, image: Path | Pixels) -> str:
    make_folder(folder / "images")
    suffix = image_suffix(image) if isinstance(image, Path) else ".png"
    place = f"images/{name}{suffix}"
    if isinstance(image, Path):
        with atomic_path(folder / place) as temporary:
            shutil.copyfile(image, temporary)
    else:
        save_image(folder / place, image)
    return place


def _file_name(name: str, taken: Sequence[str]) -> str:
    """Make a file name of a name, unlike those taken whatever the case."""
    plain = re.sub(r"[^\w. -]+", "_", name).strip(" .") or "image"
    others = {one.casefold() for one in taken}
    numbered = (plain if number == 1 else f"{plain}_{number}" for number in range(1, 10**6))
    return next(one for one in numbered if one.casefold() not in others)

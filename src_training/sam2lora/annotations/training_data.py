"""Images with masks as a dataset of their own, for a training from the viewer.

A folder with `images/`, `masks/TARGET/`, `fov/` and `ignore/`, as in a plain folder dataset, and a
`dataset.csv`, which names the patients. The table is written last, so an interrupted copy is not
taken for a dataset.
"""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam2lora.annotations.mask_files import save_mask
from sam2lora.datasets.csv_dataset import TABLE_NAME
from sam2lora.errors import GeometryError
from sam2lora.images.decoding import image_suffix
from sam2lora.images.visualization import save_image
from sam2lora.targets import all_targets
from sam2lora.types import Mask, Pixels
from sam2lora.utils.csv_files import write_csv
from sam2lora.utils.files import atomic_path, make_folder


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with its masks, patient and annotated region.

    Attributes
    ----------
    name
        Name of the image; characters that file names cannot have are replaced.
    image
        Path of its file, or `(H, W, 3)` uint8 RGB.
    masks
        Target name to `(H, W)` bool.
    patient
        Identifies the patient; if empty, it is derived from the name.
    fov
        `(H, W)` bool: the field of view, if it need not be detected.
    ignored
        `(H, W)` bool: pixels that are neither trained on nor scored.
    notes
        Cells of further columns of the table, which no training reads.
    """

    name: str
    image: Path | Pixels
    masks: Mapping[str, Mask]
    patient: str = ""
    fov: Mask | None = None
    ignored: Mask | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def save_training_data(folder: Path, images: Iterable[LabelledImage], *, copy: bool = True) -> Path:
    """Write a dataset into an empty or missing folder.

    Parameters
    ----------
    folder
        The folder, created if missing.
    images
        The images; consumed one by one, so that they need not be in memory together.
    copy
        Whether image files are copied; otherwise the table refers to the original files.

    Returns
    -------
    Path of the table.

    Raises
    ------
    GeometryError
        If the masks of an image differ in size.
    OutputError
        If a file cannot be written.
    """
    rows: list[dict[str, str]] = []
    for image in images:
        name = _file_name(image.name, [row["name"] for row in rows])
        rows.append(_save(folder, name, image, copy=copy))
    columns = dict.fromkeys(["image", *all_targets(), "fov", "ignore", "patient"])
    columns |= dict.fromkeys(name for row in rows for name in row if name != "name")
    table = make_folder(folder) / TABLE_NAME
    write_csv(table, list(columns), rows)
    return table


def _save(folder: Path, name: str, image: LabelledImage, *, copy: bool) -> dict[str, str]:
    planes = {f"masks/{target}": (target, mask) for target, mask in image.masks.items()}
    for column, place, extra in (("fov", "fov", image.fov), ("ignore", "ignore", image.ignored)):
        if extra is not None:
            planes[place] = (column, extra)
    sizes = {mask.shape for _, mask in planes.values()}
    if len(sizes) > 1:
        raise GeometryError(f"{image.name}: the masks differ in size: {sorted(sizes)}.")
    row = {**image.notes, "name": name, "patient": image.patient}
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
    """Return a valid file name for a name, different from those taken, ignoring case."""
    plain = re.sub(r"[^\w. -]+", "_", name).strip(" .") or "image"
    others = {other.casefold() for other in taken}
    numbered = (plain if number == 1 else f"{plain}_{number}" for number in range(1, 10**6))
    return next(candidate for candidate in numbered if candidate.casefold() not in others)

"""Write a dataset of synthetic images as a plain folder, which is recognised like any other."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from sam2lora.errors import SettingsError
from sam2lora.images.visualization import save_image
from sam2lora.synthetic.fundus import draw_fundus, locate_fovea
from sam2lora.synthetic.settings import SyntheticSettings
from sam2lora.utils.csv_files import csv_text
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.progress import Progress, no_progress

POINTS_NAME = "points.csv"
"""Name of the table of foveas, which is a dataset by itself, of ellipses and points."""

_COLUMNS = ("dataset", "image", "structure", "cx", "cy", "rx", "ry")


def write_synthetic_dataset(
    folder: Path,
    *,
    count: int,
    seed: int = 0,
    settings: SyntheticSettings | None = None,
    processes: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Write images to `images/`, masks to `masks/TARGET/`, fields of view to `fov/`, and foveas.

    Each image has its own seed, which is in its name. Empty masks are not written. Images that
    already exist are kept, so that an interrupted call resumes where it stopped. The table of
    foveas is written last.

    Parameters
    ----------
    folder
        Folder of the dataset; created if it does not exist.
    count
        Number of images.
    seed
        Seed of the first image; each further image has the next one.
    settings
        Properties that all images share; the others are sampled from each seed.
    processes
        Number of parallel processes; by default the number of processors.
    progress
        Called with the number of images done so far and their total.

    Raises
    ------
    SettingsError
        If `count` is below 1, or `seed` below 0.
    OutputError
        If the folder cannot be written.
    """
    if count < 1 or seed < 0:
        raise SettingsError(
            f"At least one image and a seed of 0 or above are needed, not {count} from {seed}."
        )
    for name in ("images", "fov"):
        make_folder(folder / name)
    write, seeds = partial(_write, folder, settings=settings), range(seed, seed + count)
    with ProcessPoolExecutor(processes) as pool:
        for done, _ in enumerate(pool.map(write, seeds), start=1):
            progress(done, count)
    foveas = {number: locate_fovea(number, settings) for number in seeds}
    rows = [
        {
            "dataset": ".",
            "image": _stem(number),
            "structure": "fovea",
            "cx": f"{place[0]:.2f}",
            "cy": f"{place[1]:.2f}",
        }
        for number, place in foveas.items()
        if place is not None
    ]
    with atomic_path(folder / POINTS_NAME) as temporary:
        temporary.write_text(csv_text(_COLUMNS, rows), encoding="utf-8")


def _stem(seed: int) -> str:
    return f"synthetic_{seed:05}"


def _write(folder: Path, seed: int, *, settings: SyntheticSettings | None) -> None:
    name = f"{_stem(seed)}.png"
    image = folder / "images" / name
    if image.exists():  # the image is written last
        return
    drawn = draw_fundus(seed, settings)
    for target, mask in drawn.masks.items():
        if target == "fov":
            save_image(folder / "fov" / name, mask)
        elif mask.any():
            save_image(make_folder(folder / "masks" / target) / name, mask)
    save_image(image, drawn.image)

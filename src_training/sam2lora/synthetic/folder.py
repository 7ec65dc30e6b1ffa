"""Write a dataset of synthetic images as a plain folder, which is recognised like any other."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from sam2lora.errors import SettingsError
from sam2lora.images.visualization import save_image
from sam2lora.synthetic.fundus import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings
from sam2lora.utils.files import make_folder
from sam2lora.utils.progress import Progress, no_progress


def write_synthetic_dataset(
    folder: Path,
    *,
    count: int,
    seed: int = 0,
    settings: SyntheticSettings | None = None,
    processes: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Write images to `images/`, masks to `masks/TARGET/` and fields of view to `fov/`.

    Each image has its own seed, which is in its name. Empty masks are not written. Images that
    already exist are kept, so that an interrupted call resumes where it stopped.

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
    write = partial(_write, folder, settings=settings)
    with ProcessPoolExecutor(processes) as pool:
        for done, _ in enumerate(pool.map(write, range(seed, seed + count)), start=1):
            progress(done, count)


def _write(folder: Path, seed: int, *, settings: SyntheticSettings | None) -> None:
    name = f"synthetic_{seed:05}.png"
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

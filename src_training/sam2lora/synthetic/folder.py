"""Write a data set of synthetic images, as a plain folder that is recognised like any other."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from sam2lora.errors import SettingsError
from sam2lora.images.visualization import save_image
from sam2lora.synthetic.fundus import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings
from sam2lora.utils.files import make_folder

Progress = Callable[[int, int], None]


def write_synthetic_set(
    folder: Path,
    *,
    count: int,
    seed: int = 0,
    settings: SyntheticSettings | None = None,
    processes: int | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Draw images into `images/`, their masks into `masks/TARGET/`, their fields into `fov/`.

    Each image is drawn from a seed of its own, which its name gives. A mask without a pixel is not
    written. What is there already is kept, so that an interrupted call goes on where it stopped.

    Parameters
    ----------
    folder
        Where; it is made if need be.
    count
        How many images.
    seed
        Of the first image; the next one has the next.
    settings
        What all of them share; the rest is drawn from each seed.
    processes
        How many draw at once; as many as there are processors by default.
    progress
        Called with (images done, images in all).

    Raises
    ------
    SettingsError
        If `count` is below 1, or `seed` below 0.
    OutputError
        If the folder cannot be written.
    """
    if count < 1 or seed < 0:
        raise SettingsError(
            f"At least one image is drawn, from seeds of 0 or above; found {count} from {seed}."
        )
    for name in ("images", "fov"):
        make_folder(folder / name)
    draw = partial(_write, folder, settings=settings)
    with ProcessPoolExecutor(processes) as pool:
        for done, _ in enumerate(pool.map(draw, range(seed, seed + count)), start=1):
            progress(done, count)


def _write(folder: Path, seed: int, *, settings: SyntheticSettings | None) -> None:
    name = f"synthetic_{seed:05}.png"
    image = folder / "images" / name
    if image.exists():  # it is written last
        return
    drawn = draw_fundus(seed, settings)
    for target, mask in drawn.masks.items():
        if target == "fov":
            save_image(folder / "fov" / name, mask)
        elif mask.any():
            save_image(make_folder(folder / "masks" / target) / name, mask)
    save_image(image, drawn.image)

"""The drawn images of the tutorials, for `tutorial.py`."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.synthetic.folder import write_synthetic_dataset

_SIZE = SyntheticSettings(size=512)
_DRIVE = SyntheticSettings(size=(584, 565), view="macula")


def draw_eyes(folder: Path) -> Path:
    """Draw what the first hour draws: `drawn/` with masks, its images in `my-eyes/`, and `new/`."""
    write_synthetic_dataset(folder / "drawn", count=6, seed=40, settings=_SIZE, processes=1)
    shutil.copytree(folder / "drawn" / "images", folder / "my-eyes")
    write_synthetic_dataset(folder / "new", count=1, seed=90, settings=_SIZE, processes=1)
    return folder


def draw_drive(folder: Path) -> Path:
    """Draw a dataset in the layout of DRIVE: five images to train on, two to test with."""
    root = folder / "DRIVE"
    for number in (1, 2, 21, 22, 23, 24, 25):
        half = "test" if number < 21 else "training"
        drawn = draw_fundus(number + 300, _DRIVE)
        files = {
            f"images/{number:02}_{half}.tif": drawn.image,
            f"1st_manual/{number:02}_manual1.gif": drawn.masks["vessel"],
            f"mask/{number:02}_{half}_mask.gif": drawn.masks["fov"],
        }
        for name, pixels in files.items():
            path = root / half / name
            path.parent.mkdir(parents=True, exist_ok=True)
            scaled = pixels if pixels.ndim == 3 else pixels.astype(np.uint8) * np.uint8(255)
            Image.fromarray(scaled).save(path)
    return root

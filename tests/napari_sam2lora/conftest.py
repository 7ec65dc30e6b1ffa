"""A tiny data set, and napari's notifications as text."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import Notification, notification_manager
from PIL import Image

SHAPE = (96, 90)


def disk(radius: float, center: tuple[float, float] = (45, 48)) -> np.ndarray:
    """Give a round mask around (x, y)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(x - center[0], y - center[1]) <= radius


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Write two images as DRIVE has them; the vessel is a vertical bar."""
    root = tmp_path / "DRIVE"
    for split, numbers in (("training", (21,)), ("test", (1,))):
        for folder in ("images", "1st_manual", "mask"):
            (root / split / folder).mkdir(parents=True)
        for number in numbers:
            pixels = np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8)
            name = f"{number:02}_{split}"
            tifffile.imwrite(root / split / "images" / f"{name}.tif", pixels, compression="lzw")
            _save(root / split / "1st_manual" / f"{number:02}_manual1.gif", bar())
            _save(root / split / "mask" / f"{name}_mask.gif", disk(40))
    return root


def bar() -> np.ndarray:
    """Give the vessel of the tiny data set."""
    mask = np.zeros(SHAPE, bool)
    mask[20:70, 44:47] = True
    return mask


def _save(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(path)


@pytest.fixture
def notices() -> Iterator[list[str]]:
    """Collect what napari shows to its user."""
    shown: list[str] = []

    def keep(notice: Notification) -> None:
        shown.append(notice.message)

    notification_manager.notification_ready.connect(keep)
    yield shown
    notification_manager.notification_ready.disconnect(keep)

"""Every mask that is written has the mark, and nothing else does."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.annotations import save_label_map, save_mask
from sam2lora.images.file_mark import is_marked
from sam2lora.images.reading import read_mask
from sam2lora.images.visualization import save_image

MASK = np.eye(8, 12) > 0


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_masks_and_label_maps_are_marked(tmp_path: Path, name: str) -> None:
    path = save_mask(tmp_path / name, MASK)
    assert is_marked(path)
    np.testing.assert_array_equal(read_mask(path), MASK)
    assert is_marked(save_label_map(tmp_path / f"b{name}", {"disc": MASK})[0])


def test_masks_of_save_image_are_marked_and_images_are_not(tmp_path: Path) -> None:
    for name, pixels, marked in (
        ("a.png", MASK, True),
        ("b.png", np.zeros((8, 12, 3), np.uint8), False),
        ("c.jpg", MASK, False),
    ):
        save_image(tmp_path / name, pixels)
        assert is_marked(tmp_path / name) is marked


@pytest.mark.parametrize("name", ["a.png", "a.tif", "missing.png"])
def test_damaged_file_is_not_marked(tmp_path: Path, name: str) -> None:
    if name != "missing.png":
        (tmp_path / name).write_bytes(b"")
    assert not is_marked(tmp_path / name)

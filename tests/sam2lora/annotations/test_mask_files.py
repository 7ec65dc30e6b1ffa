"""Masks as files: they are read back as they were written."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.annotations import save_mask, save_masks
from sam2lora.errors import OutputError
from sam2lora.images.reading import read_mask, read_values

MASK = np.zeros((40, 30), bool)
MASK[5:20, 3:9] = True


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.b.tiff"])
def test_mask_is_written_as_0_and_255_and_read_back(tmp_path: Path, name: str):
    path = save_mask(tmp_path / name, MASK)
    values = read_values(path)
    assert values.dtype == np.uint8
    assert set(np.unique(values)) == {0, 255}
    np.testing.assert_array_equal(read_mask(path), MASK)


def test_empty_mask_is_read_back_empty(tmp_path: Path):
    assert not read_mask(save_mask(tmp_path / "a.png", MASK & False)).any()


def test_each_target_gets_a_file_named_after_it(tmp_path: Path):
    files = save_masks(tmp_path / "eye.v2.tif", {"vessel": MASK, "disc": ~MASK})
    assert [file.name for file in files] == ["eye.v2_vessel.tif", "eye.v2_disc.tif"]
    np.testing.assert_array_equal(read_mask(files[1]), ~MASK)


@pytest.mark.parametrize("name", ["a.jpg", "a.gif", "a"])
def test_lossy_formats_are_refused(tmp_path: Path, name: str):
    with pytest.raises(OutputError, match=r"a.*cannot be written as .*\.png"):
        save_mask(tmp_path / name, MASK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["no-such/a.png", "no-such/a.tif"])
def test_unwritable_path_is_named(tmp_path: Path, name: str):
    with pytest.raises(OutputError, match=r"no-such.*cannot be written \(No such file"):
        save_mask(tmp_path / name, MASK)

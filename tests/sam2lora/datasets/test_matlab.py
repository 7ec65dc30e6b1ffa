"""Masks in MATLAB files. Files that unpack to too much are in `tests/sam2lora/images`."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from sam2lora.datasets.matlab import read_matlab_mask
from sam2lora.errors import ImageError


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
def test_mask_is_read_and_a_wider_one_is_cropped(tmp_path: Path, options: dict) -> None:
    mask = np.arange(12.0).reshape(2, 6)
    savemat(tmp_path / "a.mat", {"other": np.ones(3), "mask": mask}, **options)
    np.testing.assert_array_equal(read_matlab_mask(tmp_path / "a.mat", (2, 6)), mask)
    np.testing.assert_array_equal(read_matlab_mask(tmp_path / "a.mat", (2, 4)), mask[:, 1:5])


@pytest.mark.parametrize(
    "content",
    [
        {"other": np.ones((2, 2))},
        {"mask": "text"},
        {"mask": {"a": 1}},
        {"mask": np.ones((2, 2, 2))},
        {"mask": np.ones((0, 3))},
        {"mask": csc_array(np.eye(3))},
    ],
)
def test_files_without_a_mask_are_refused(tmp_path: Path, content: dict) -> None:
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(ImageError, match=r"a\.mat: (holds no|the image is empty)"):
        read_matlab_mask(tmp_path / "a.mat", (2, 2))


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_files_are_refused(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"mask": np.arange(400.0).reshape(20, 20)}, do_compression=compressed)
    content = path.read_bytes()
    for length in (0, 4, 100, 130, 200, len(content) - 40):
        path.write_bytes(content[:length])
        with pytest.raises(ImageError, match=r"a\.mat: "):
            read_matlab_mask(path, (20, 20))

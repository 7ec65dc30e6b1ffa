"""Reading masks in every encoding, and errors for invalid files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sam2lora.datasets import ENCODINGS, MaskFile
from sam2lora.errors import ImageError

Put = Callable[[str, Any], Path]
SHAPE = (8, 12)


@pytest.mark.parametrize("high", [1, 253, 255])
def test_half_reads_all_common_pairs_of_values(put: Put, box: np.ndarray, high: int) -> None:
    values = np.where(box, high, 3 if high == 253 else 0).astype(np.uint8)
    path = put("a.png", values)
    np.testing.assert_array_equal(MaskFile(path, "half").read(SHAPE), box)


@pytest.mark.parametrize(
    "line", ["{x} , {y}", "{x},{y}", "{x} {y}", "   {x}\t{y}  ", "{x:e} {y:e}"]
)
def test_contour_lines_are_read_in_all_formats_of_the_datasets(
    put: Put, box: np.ndarray, outline: list[tuple[float, float]], line: str
) -> None:
    text = "\n".join(line.format(x=x, y=y) for x, y in outline) + "\n\n"
    np.testing.assert_array_equal(MaskFile(put("a.txt", text), "contour").read(SHAPE), box)


def test_contour_beyond_the_border_is_clipped(put: Put) -> None:
    path = put("a.txt", "-0.5 -0.5\n11.5 -0.5\n11.5 3.4\n-0.5 3.4")
    mask = MaskFile(path, "contour").read(SHAPE)
    assert mask[:4].all()
    assert not mask[4:].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 points"),
        ("1 1\n2 2", "has 2 points"),
        ("1 1\n2 2\nthree 3", "line 3 is 'three 3'"),
        ("1 1\n2 2 2\n3 3", "line 2 is '2 2 2'"),
        ("1 1\nnan 2\n3 3", "line 2 is 'nan 2'"),
        ("1 1\n90 2\n3 3", r"reaches \(90, 2\), outside its image of 12 × 8"),
    ],
)
def test_invalid_contour_is_refused(put: Put, text: str, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        MaskFile(put("a.txt", text), "contour").read(SHAPE)
    assert "a.txt" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x81", b"\x89PNG\r\n\x1a\n\x00\xff"])
def test_binary_contour_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="not a text file"):
        MaskFile(path, "contour").read(SHAPE)


def test_two_polygons_of_one_label_are_one_mask(
    put: Put, box: np.ndarray, outline: list[tuple[float, float]]
) -> None:
    moved = [(x + 4, y + 2) for x, y in outline]
    shapes = [{"label": "OD", "points": points} for points in (outline, moved)]
    path = put("a.json", {"shapes": shapes})
    expected = box | np.roll(box, (2, 4), axis=(0, 1))
    np.testing.assert_array_equal(MaskFile(path, "labelme-od").read(SHAPE), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "is truncated or not JSON"),
        ("[" * 100_000, "nested deeper than 100 levels"),
        ("[1, 2]", "not a labelme JSON file"),
        ('{"shapes": [{"label": "OD"}]}', "not a labelme JSON file"),
        ('{"shapes": [{"label": "OD", "points": [["a", 1]]}]}', "not a labelme JSON file"),
        ('{"shapes": [{"label": "OD", "points": [[1, 1], [2, 2], [1e999, 1]]}]}', "outside"),
        ('{"shapes": [{"label": "OD", "points": [[1, 1], [2, 2]]}]}', "'OD' has 2 points"),
        ('{"shapes": [{"label": "OC", "points": []}]}', "no polygon labelled 'OD'; its labels: OC"),
        ('{"shapes": []}', "its labels: none"),
        ('{"shapes": [], "imageHeight": 80, "imageWidth": 120}', "120 × 80, but its image is 12"),
    ],
)
def test_invalid_labelme_file_is_refused(put: Put, content: str, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        MaskFile(put("a.json", content), "labelme-od").read(SHAPE)
    assert "a.json" in str(caught.value)


def test_matlab_file_without_the_array_mask_is_refused(put: Put) -> None:
    with pytest.raises(ImageError, match="no two-dimensional array of numbers named `mask`"):
        MaskFile(put("a.mat", {"other": np.zeros(SHAPE)}), "matlab-disc").read(SHAPE)


def test_invalid_matlab_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_text("hello")
    with pytest.raises(ImageError, match=r"a\.mat: cannot be read as a MATLAB file"):
        MaskFile(path, "matlab-disc").read(SHAPE)


def test_error_for_matlab_7_3_gives_the_remedy(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    path = tmp_path / "a.mat"
    path.write_bytes(header + bytes(600))
    with pytest.raises(ImageError, match=r"version 7\.3 \(HDF5\).*-v7"):
        MaskFile(path, "matlab-cup").read(SHAPE)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_missing_file_is_named_for_every_encoding(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(ImageError, match=r"missing\.x"):
        MaskFile(tmp_path / "missing.x", encoding).read(SHAPE)


def test_mask_without_pixels_is_an_error_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with pytest.warns(UserWarning, match="zero-size"):
        tifffile.imwrite(path, np.zeros((0, 0), np.uint8))
    path.write_bytes(path.read_bytes() + bytes(64))
    with pytest.raises(ImageError, match=r"a\.tif: "):
        MaskFile(path, "half").read(SHAPE)

"""Datasets described by a CSV file, and errors for invalid ones."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.datasets import read_dataset
from sam2lora.errors import DatasetError
from sam2lora.utils.csv_files import write_csv

Put = Callable[[str, Any], Path]

GOOD = """image,vessel,disc,fov,patient,split,age
photos/a_L.png,m/a.png,,m/f.png,P1,train,61
photos/b_L.png,,m/a.png,,P1,Train,61

photos/c_R.png,m/a.png,m/a.png,,,validation,50
"""


@pytest.fixture
def files(put: Put, box: np.ndarray) -> Put:
    """Write the files that `GOOD` names; return `put`."""
    for stem in ("a_L", "b_L", "c_R"):
        put(f"photos/{stem}.png", "photo")
    put("m/a.png", box)
    put("m/f.png", ~box)
    return put


@pytest.mark.parametrize("name", ["dataset.csv", "mine.csv"])
@pytest.mark.parametrize(
    "write",
    [str, lambda text: text.replace(",", ";"), lambda text: "\ufeff" + text.replace("\n", "\r\n")],
    ids=["commas", "semicolons", "excel"],
)
def test_csv_table_is_read(
    files: Put, tmp_path: Path, box: np.ndarray, name: str, write: Any
) -> None:
    table = files(name, write(GOOD))
    dataset = read_dataset(tmp_path if name == "dataset.csv" else table)
    assert dataset.layout == "csv"
    assert dataset.name == (tmp_path.name if name == "dataset.csv" else "mine")
    assert [(r.stem, r.patient, r.eye, r.split) for r in dataset.records] == [
        ("a_L", "P1", "left", "train"),
        ("b_L", "P1", "left", "train"),
        ("c_R", "c", "right", "val"),
    ]
    assert [set(r.masks) for r in dataset.records] == [{"vessel"}, {"disc"}, {"vessel", "disc"}]
    np.testing.assert_array_equal(dataset.records[0].read_mask("vessel"), box)
    np.testing.assert_array_equal(dataset.records[0].read_field_of_view().mask, ~box)


def test_one_target_of_a_csv_table_is_read(files: Put, tmp_path: Path) -> None:
    files("dataset.csv", GOOD)
    dataset = read_dataset(tmp_path, target="disc")
    assert [r.stem for r in dataset.with_target("disc")] == ["b_L", "c_R"]
    assert dataset.targets == ("disc",)
    with pytest.raises(DatasetError, match="recognised as csv, but no image has a mask of cup"):
        read_dataset(tmp_path, target="cup")


def test_images_with_one_name_in_two_folders_get_different_stems(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    for visit in ("one", "two"):
        put(f"{visit}/a.png", "photo")
    put("m.png", box)
    put("dataset.csv", "image,disc\none/a.png,m.png\n./two\\a.png,m.png\n")
    assert [r.stem for r in read_dataset(tmp_path).records] == ["one_a", "two_a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image,disc\n", "its columns: none, or no rows"),
        ("picture,disc\nphotos/a_L.png,m/a.png\n", "a column `image`.*its columns: picture, disc"),
        ("image,dics\nphotos/a_L.png,m/a.png\n", r"one for each target \(vessel, disc, cup\)"),
        ("image,disc,disc\nphotos/a_L.png,m/a.png,m/a.png\n", "'disc' appears 2 times"),
        ("image,disc\nphotos/a_L.png\n", "line 2 has 1 cells, the header has 2"),
        ("image,disc\n\n,m/a.png\n", "line 3 names no image"),
        ("image,disc,split\n\nphotos/a_L.png,m/a.png,tset\n", "line 3 has the split 'tset'"),
        ("image,disc\nphotos/a_L.png,\n", "no image has a mask"),
        (
            "image,disc\nphotos/a_L.png,m/a.png\nphotos/a_L.png,m/a.png\n",
            "has the same name as",
        ),
        (
            "image,disc\nphotos/a_L.png,m/gone.png\n",
            r"do not exist: .*m.gone\.png\. Paths are relative",
        ),
        ("image,disc\n" + "gone.png,no.png\n" * 4, "gone.png, .* and 5 more"),
    ],
)
def test_invalid_tables_are_refused(files: Put, tmp_path: Path, text: str, message: str) -> None:
    files("dataset.csv", text)
    with pytest.raises(DatasetError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 5000, "x/" * 2500, "é" * 200, "a\0b"])
def test_path_that_no_system_has_is_refused_in_a_line(put: Put, tmp_path: Path, name: str) -> None:
    put("dataset.csv", f"image,vessel\n{name}.png,m/a.png\n")
    with pytest.raises(DatasetError, match="names files that do not exist") as caught:
        read_dataset(tmp_path)
    assert len(str(caught.value)) < 1000


NAMES = ["=1+1", "+a", "-b", "@c", "'=d", "e,f", "'g", "-1"]


def test_table_is_read_back_as_it_is_written(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    names = NAMES if os.name == "nt" else [*NAMES, "h\u2028h", "two\nlines"]
    rows = []
    for name in names:
        rows.append({"image": f"{name}.png", "disc": f"{name}_disc.png", "patient": name})
        put(f"{name}.png", "photo")
        put(f"{name}_disc.png", box)
    write_csv(tmp_path / "dataset.csv", ["image", "disc", "patient"], rows)
    records = read_dataset(tmp_path).records
    assert sorted(record.image.name for record in records) == sorted(row["image"] for row in rows)
    assert sorted(record.patient for record in records) == sorted(names)
    assert all((record.masks["disc"][0].path).is_file() for record in records)


def test_binary_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.csv").write_bytes(b"\x89PNG\xff\x00")
    with pytest.raises(DatasetError, match=r"dataset\.csv: cannot be read as a CSV file"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("forms", ["NFC NFD", "NFD NFC"])
def test_paths_match_in_both_unicode_forms(files: Put, tmp_path: Path, forms: str) -> None:
    written, named = (unicodedata.normalize(form, "Müller") for form in forms.split())
    for folder in ("images", "discs"):
        (tmp_path / folder / written).mkdir(parents=True)
        (tmp_path / folder / written / "a.png").touch()
    files("dataset.csv", f"image,disc\nimages/{named}/a.png,discs/{named}/a.png\n")
    (record,) = read_dataset(tmp_path).records
    assert all(file.is_file() for file in record.files())

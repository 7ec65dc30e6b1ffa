"""Tables on disk."""

from pathlib import Path

import pytest

from sam2lora.cohort.record_row import COLUMNS
from sam2lora.cohort.run import TableWriter
from sam2lora.cohort.table import add_row, as_cells, check_path, read_table, write_table
from sam2lora.errors import OutputError, SettingsError

ROW = {
    "file": "=a, b.png",
    "patient": "007",
    "width_px": 1500,
    "disc_area_px": 1234567,
    "vessel_skeleton_length_px": 1234567.89,
    "vessel_density": 0.123456789,
    "vertical_cup_disc_ratio": 0.0,
    "rim_disc_ratio": 1e-7,
    "isnt_rule": False,
    "ddls_stage": 3,
    "disc_area_mm2": None,
    "vessel_tortuosity_mean": float("nan"),
}
TEXT = {
    "file": "=a, b.png",
    "patient": "007",
    "width_px": "1500",
    "disc_area_px": "1234567",
    "vessel_skeleton_length_px": "1234568",
    "vessel_density": "0.123457",
    "vertical_cup_disc_ratio": "0",
    "rim_disc_ratio": "1e-07",
    "isnt_rule": "no",
    "ddls_stage": "3",
    "disc_area_mm2": "",
    "vessel_tortuosity_mean": "",
}


def test_cells_have_six_digits_and_words() -> None:
    cells = as_cells(ROW)
    assert tuple(cells) == COLUMNS
    assert {name: cells[name] for name in TEXT} == TEXT


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_is_read_as_it_was_written_and_again_the_same_bytes(tmp_path: Path, suffix: str):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"table{suffix}"
    cells = [as_cells(ROW), as_cells({"file": "b", "error": "is\nbroken"})]
    write_table(path, cells)
    first = path.read_bytes()
    assert read_table(path) == cells
    write_table(path, read_table(path))
    assert path.read_bytes() == first


def test_parquet_has_types(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "table.parquet", [as_cells(ROW)])
    (row,) = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert (row["patient"], row["isnt_rule"], row["width_px"]) == ("007", False, 1500.0)
    assert row["disc_area_mm2"] is None


def test_no_spreadsheet_takes_a_name_for_a_formula(tmp_path: Path):
    write_table(tmp_path / "table.csv", [as_cells(ROW)])
    assert '\n"\'=a, b.png"' in (tmp_path / "table.csv").read_text()


def test_other_formats_and_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SettingsError, match=r"\.csv or \.parquet"):
        check_path(tmp_path / "table.xlsx")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OutputError, match="no table of measurements"):
        read_table(tmp_path / "other.csv")
    with pytest.raises(OutputError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SettingsError, match="pip install"):
        check_path(tmp_path / "table.parquet")


def test_row_is_added_or_replaced(tmp_path: Path):
    path = tmp_path / "table.csv"
    for file, area in (("a.png", 1), ("b.png", 2), ("a.png", 3)):
        add_row(path, {"file": file, "disc_area_px": area})
    assert [(row["file"], row["disc_area_px"]) for row in read_table(path)] == [
        *(("a.png", "3"), ("b.png", "2")),
    ]


@pytest.mark.parametrize("called_in", [".", "elsewhere"])
def test_row_with_a_relative_path_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called_in: str
):
    for folder in ("photos", "others", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").touch()
    path = tmp_path / "results" / "table.csv"
    path.parent.mkdir()
    files = ("photos/a.png", "others/a.png")
    write_table(path, [as_cells({"file": file, "disc_area_px": 1}) for file in files])
    monkeypatch.chdir(tmp_path / called_in)
    add_row(path, {"file": (tmp_path / "others" / "a.png").as_posix(), "disc_area_px": 2})
    assert [(row["file"], row["disc_area_px"]) for row in read_table(path)] == [
        *((files[0], "1"), (files[1], "2")),
    ]
    TableWriter(path, files)
    outside = (tmp_path / "elsewhere" / "a.png").as_posix()
    add_row(path, {"file": outside})
    assert [row["file"] for row in read_table(path)] == [*files, outside]

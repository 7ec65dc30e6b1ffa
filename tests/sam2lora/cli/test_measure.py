"""`sam2lora measure`, and `predict --measure`."""

import csv
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2lora.measurements import DEFINITIONS


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_dataset_becomes_a_table_and_is_kept(run_cli, eyes: Path, tmp_path: Path):
    table = tmp_path / "table.csv"
    ran = run_cli("measure", eyes, "--out", table)
    assert (ran.code, ran.out, ran.err) == (0, f"8 of 8 images measured: {table}\n", "")
    assert len(rows(table)) == 8
    again = run_cli("measure", eyes, "--out", table)
    assert again.out == f"8 of 8 images measured, 8 of them kept: {table}\n"


def test_broken_image_is_listed(run_cli, eyes: Path, tmp_path: Path):
    data = shutil.copytree(eyes, tmp_path / "data")
    (data / "images" / "p01_left.png").write_bytes(b"")
    ran = run_cli("measure", data, "--out", tmp_path / "table.csv")
    assert ran.code == 1
    assert "7 of 8 images measured" in ran.out
    assert "1 failed:" in ran.err
    assert "p01_left.png\tthe file is empty" in ran.err
    assert [row["error"] != "" for row in rows(tmp_path / "table.csv")].count(True) == 1


def test_bad_options_are_one_line(run_cli, eyes: Path, tmp_path: Path):
    ran = run_cli("measure", eyes)
    assert (ran.code, "error: Images and a table are needed" in ran.err) == (2, True)
    ran = run_cli("measure", eyes, "--out", tmp_path / "table.txt")
    assert (ran.code, ".csv or .parquet" in ran.err) == (2, True)


def test_definitions_are_printed(run_cli):
    ran = run_cli("measure", "--definitions")
    lines = ran.out.splitlines()
    assert [line.split("\t")[0] for line in lines] == list(DEFINITIONS)


def test_predictions_are_measured(run_cli, photo: NDArray[np.uint8], tmp_path: Path):
    Image.fromarray(photo).save(tmp_path / "eye.png")
    table = tmp_path / "table.csv"
    out = ("--out", tmp_path / "out", "--bare", "--device", "cpu", "--measure", table)
    ran = run_cli("predict", tmp_path / "eye.png", "--target", "disc", *out)
    assert ran.code == 0
    (row,) = rows(table)
    assert row["model"] == "nano"
    assert row["disc_area_px"]


def test_cluster_is_an_option(run_cli, eyes: Path, tmp_path: Path):
    ran = run_cli("measure", eyes, "--out", tmp_path / "table.csv", "--cluster", "eight")
    assert (ran.code, "'eight' is no cluster: there are local" in ran.err) == (2, True)
    ran = run_cli("measure", eyes, "--out", tmp_path / "table.csv", "--cluster", "local:1")
    assert (ran.code, "8 of 8 images measured" in ran.out) == (0, True)

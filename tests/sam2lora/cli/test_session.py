"""`sam2lora session`: from a folder of images to a packed session elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.grading import GradingSession, SessionGrader, read_doubts
from sam2lora.images.visualization import save_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("p1_left", "p1_right", "p2_left")):
        Image.new("RGB", (40, 30), (90, 40 + number, 20)).save(folder / f"{name}.png")
    return folder


def test_session_is_created_graded_and_shown(run_cli, photos: Path, tmp_path: Path):
    folder = tmp_path / "s"
    ran = run_cli("session", "new", folder, photos / "p1_left.png", photos / "p1_right.png")
    assert (ran.code, ran.out) == (0, f"2 images of 1 patients: {folder}\n")
    ran = run_cli("session", "add", folder, photos)
    copies = "2 files are left out: their content is in the session already.\n"
    assert ran.out == f"1 images added; 3 in all.\n{copies}"
    assert "Nobody has graded" in run_cli("session", "status", folder).out
    with SessionGrader(GradingSession.open(folder), "anna") as grader:
        grader.set_state("p1_left", "done")
        grader.set_state("p1_right", "flagged", reason="too dark")
    place = folder / "graders" / "anna"
    (place / "masks").mkdir()
    (place / "masks" / "p1_left_drusen.png").touch()
    with (place / "log.jsonl").open("ab") as stream:
        stream.write(b"?\n")
    ran = run_cli("session", "status", folder)
    assert ran.code == 0
    assert "anna\tp1_left\tdrusen" in ran.err
    assert "Lines of logs that cannot be read" in ran.err
    assert "anna\t1\n" in ran.err
    assert "anna\t1\t0\t1\t1\t0\t0.0" in ran.out
    assert "anna\tp1_right\ttoo dark" in ran.out


def test_session_is_packed_unpacked_and_its_images_located(run_cli, photos: Path, tmp_path: Path):
    folder, packed = tmp_path / "s", tmp_path / "s.zip"
    run_cli("session", "new", folder, photos)
    ran = run_cli("session", "pack", folder, packed)
    assert ran.out == f"3 images, without their files: {packed}\n"
    assert run_cli("session", "pack", folder, packed).code == 2
    assert run_cli("session", "pack", folder, packed, "--replace", "--images").code == 0
    moved = shutil.move(photos, tmp_path / "moved")
    assert run_cli("session", "unpack", packed, tmp_path / "whole").code == 0
    ran = run_cli("session", "status", folder)
    assert ran.code == 1
    assert "3 missing:" in ran.err
    assert f"sam2lora session locate {folder}" in ran.err
    ran = run_cli("session", "locate", folder, moved)
    assert (ran.code, ran.out) == (0, "3 images found.\n")


def test_bad_input_is_one_line(run_cli, photos: Path, tmp_path: Path):
    for arguments, reason in (
        (("status", photos), "is not a session"),
        (("new", tmp_path / "s", tmp_path / "*.tif"), "no image here"),
        (("unpack", tmp_path / "no.zip", tmp_path / "s"), "no such file"),
    ):
        ran = run_cli("session", *arguments)
        assert ran.code == 2
        assert reason in ran.err
        assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_doubts_are_found_in_predictions(run_cli, photos: Path, tmp_path: Path):
    folder, mine, other = tmp_path / "s", tmp_path / "mine", tmp_path / "other"
    run_cli("session", "new", folder, photos)
    for predictions, name in ((mine, "p1_left"), (other, "p1_left"), (mine, "p1_right")):
        predictions.mkdir(exist_ok=True)
        mask = np.zeros((30, 40), bool)
        mask[5 : 15 if predictions == mine else 20] = True
        save_image(predictions / f"{name}_disc.png", mask)
    ran = run_cli("session", "doubt", folder, mine, other)
    assert ran.code == 0, ran.err
    assert "p1_left\t0.20\tmine and other disagree most on the disc: Dice 0.80." in ran.out
    assert "2 images have no such predictions." in ran.out
    assert read_doubts(GradingSession.open(folder))["p1_left"].value == 0.2
    ran = run_cli("session", "doubt", folder, mine)
    assert ran.code == 2
    assert "compare with other predictions" in ran.err
    assert len(read_doubts(GradingSession.open(folder))) == 1

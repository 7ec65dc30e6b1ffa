"""`sam2lora session export`, `agree` and `consensus`."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets import read_dataset
from sam2lora.grading import Adjudicator, GradingSession, SessionGrader, list_sources


@pytest.fixture
def graded(eyes: Path, tmp_path: Path) -> Path:
    """Return a session of three eyes; two graders are done with two of them."""
    sources = list_sources([eyes])[:3]
    session = GradingSession.create(tmp_path / "session", sources)
    records = {record.stem: record for record in read_dataset(eyes).records}
    for name, shift in (("anna", 0), ("ben", 2)):
        with SessionGrader(session, name) as grader:
            for image in session.images[:2]:
                disc = np.roll(records[image.stem].read_mask("disc"), shift, axis=0)
                grader.corrections.save(image.stem, session.path(image.stem), {"disc": disc})
                grader.set_state(image.stem, "done")
    return session.folder


def test_session_is_exported_with_the_masks_of_one(run_cli, graded: Path, tmp_path: Path):
    out = tmp_path / "out"
    ran = run_cli("session", "export", graded, "--out", out, "--masks", "ben", "--format", "coco")
    assert ran.code == 0, ran.err
    assert "Masks of ben in 2 images: coco" in ran.out
    assert sorted(path.name for path in out.iterdir()) == [
        "coco.json",
        "session.csv",
        "session.json",
    ]
    ran = run_cli("session", "export", graded, "--out", out, "--no-numbers")
    written = f"Session: {out / 'session.csv'} and {out / 'session.json'}\n"
    assert (ran.code, ran.out) == (0, written)


@pytest.mark.parametrize("command", ["export", "agree", "consensus"])
def test_nothing_is_written_into_the_session(run_cli, graded: Path, command: str):
    before = {path: path.stat().st_mtime_ns for path in graded.rglob("*")}
    out = graded if command == "export" else graded / "out"
    ran = run_cli("session", command, graded, "--out", out)
    assert ran.code == 2
    assert "lies in the session" in ran.err
    assert {path: path.stat().st_mtime_ns for path in graded.rglob("*")} == before


def test_what_is_not_read_is_reported_by_all(run_cli, graded: Path, tmp_path: Path):
    session = GradingSession.open(graded)
    first, second = (image.stem for image in session.images[:2])
    place = graded / "graders" / "anna"
    shutil.copyfile(place / f"masks/{first}_disc.png", place / f"masks/{first}_drusen.png")
    with Adjudicator(session, "cleo") as third:
        third.choose(first, "disc", "anna")
        third.choose(second, "disc", "anna")
    with SessionGrader(session, "ben") as grader:
        grader.set_state(second, "started")
        grader.set_state(second, "done")
    with (place / "log.jsonl").open("ab") as stream:
        stream.write(b'{"image":"x"}\n')
    for command, *options in (("export",), ("agree",), ("consensus", "--adjudicator", "cleo")):
        ran = run_cli("session", command, graded, "--out", tmp_path / command, *options)
        assert ran.code == 1
        assert "anna\t1\n" in ran.err
        assert f"{first}\tnot read: anna's drusen" in ran.err
    assert "decide again" in ran.out
    assert f"{second}\tdisc" in ran.out
    assert "anna 1. Images that they may" in (tmp_path / "agree/agreement.md").read_text()


def test_two_graders_are_compared(run_cli, graded: Path, tmp_path: Path):
    out = tmp_path / "agreement"
    ran = run_cli("session", "agree", graded, "--out", out)
    assert ran.code == 0, ran.err
    assert "disc\t2\t0." in ran.out
    assert "1 images are not compared" in ran.out
    assert (out / "agreement.md").is_file()
    ran = run_cli("session", "agree", graded, "--out", out, "--grader", "anna")
    assert ran.code == 2
    assert "Name two: --grader A --grader B" in ran.err


def test_consensus_is_a_dataset(run_cli, graded: Path, tmp_path: Path):
    session = GradingSession.open(graded)
    with Adjudicator(session, "cleo") as third:
        third.choose(session.images[0].stem, "disc", "anna")
    ran = run_cli(
        *("session", "consensus", graded, "--out", tmp_path / "set", "--adjudicator", "cleo"),
    )
    assert ran.code == 0, ran.err
    assert "anna\t1" in ran.out
    assert "1 images are left out" in ran.out
    assert f"{session.images[1].stem}\tdisc" in ran.out
    assert len(read_dataset(tmp_path / "set").records) == 1
    ran = run_cli("session", "consensus", graded, "--out", tmp_path / "all", "--otherwise", "ben")
    assert "ben\t2" in ran.out


def test_staple_of_two_is_warned_about(run_cli, graded: Path, tmp_path: Path):
    pytest.importorskip("SimpleITK")
    ran = run_cli("session", "consensus", graded, "--out", tmp_path / "a", "--otherwise", "staple")
    assert ran.code == 0
    assert "cannot know who is right" in ran.err
    assert "staple\t2" in ran.out


def test_bad_options_are_explained(run_cli, graded: Path, tmp_path: Path):
    for arguments, reason in (
        (("export", graded, "--format", "coco"), "name their grader with --masks"),
        (("export", graded, "--masks", "anna", "--format", "xml"), "'xml' is unknown"),
        (("consensus", graded), "there is no consensus to write"),
        (("agree", graded, "--grader", "eve"), "eve has not graded here"),
    ):
        ran = run_cli("session", *arguments, "--out", tmp_path / "out")
        assert ran.code == 2
        assert reason in ran.err
    assert not (tmp_path / "out").exists()

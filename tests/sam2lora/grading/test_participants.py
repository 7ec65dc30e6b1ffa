"""A person's part of a session: one window writes it, two people do not meet."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from sam2lora.annotations.points import PointAnnotation
from sam2lora.datasets import read_dataset
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import Adjudicator, GradingSession, SessionGrader, locate
from sam2lora.grading.entries import CommentEntry
from sam2lora.grading.participants import checked_name, read_grades
from tests.sam2lora.grading.helpers import Eyes, Grade


def test_what_was_said_is_there_when_opened_again(session: GradingSession):
    with SessionGrader(session, "anna") as grader:
        assert grader.set_state("p1_left", "started").state == "started"
        grader.set_comment("p1_left", "a cup?")
        grader.set_quality("p1_left", "partly")
        grader.set_state("p1_left", "flagged", reason="ask")
        assert grader.grade("p1_right").state == "to do"
    with SessionGrader(session, "anna") as again:
        grade = again.grade("p1_left")
        assert (grade.state, grade.reason) == ("flagged", "ask")
        assert (grade.comment, grade.quality) == ("a cup?", "partly")
        assert again.skipped_lines == 0
    assert read_grades(session, "anna") == (dict(again.grades), 0)


def test_second_window_is_refused_or_reads_only(session: GradingSession, masks: Eyes):
    path = session.found_path("p1_left")
    with SessionGrader(session, "anna") as first:
        first.set_state("p1_left", "done")
        with pytest.raises(OutputError, match=r"part of anna is open in another window .*process"):
            SessionGrader(session, "ANNA")
        with SessionGrader(session, "anna", read_only=True) as second:
            assert second.grade("p1_left").state == "done"
            for write in (
                lambda: second.set_state("p1_left", "to do"),
                lambda: second.corrections.save("p1_left", path, masks["p1_left"]),
                lambda: second.corrections.forget("p1_left"),
                lambda: second.corrections.set_done("p1_left", True),
                lambda: second.corrections.set_as_predicted("p1_left", {"disc": True}),
                lambda: second.corrections.save_points("p1_left", path, {}),
            ):
                with pytest.raises(OutputError, match="open read-only"):
                    write()
            second.corrections.set_position("p1_right")
            assert second.corrections.position() is None
        with SessionGrader(session, "ben") as other:
            other.set_state("p1_left", "started")
        first.close()
        first.close()
        SessionGrader(session, "Anna").close()
    assert session.graders() == ("anna", "ben")


def test_masks_and_points_are_a_store_of_the_grader(session: GradingSession, masks: Eyes):
    with SessionGrader(session, "anna") as grader:
        path = session.found_path("p1_left")
        grader.corrections.save("p1_left", path, masks["p1_left"])
        point = PointAnnotation(target="fovea", x=4, y=5)
        grader.corrections.save_points("p1_left", path, {"fovea": point})
    stored = SessionGrader(session, "anna", read_only=True).corrections
    np.testing.assert_array_equal(
        stored.masks("p1_left", (96, 96))["disc"], masks["p1_left"]["disc"]
    )
    assert stored.points("p1_left") == {"fovea": point}
    assert read_dataset(session.folder / "graders" / "anna").targets == ("disc", "cup")


def test_store_follows_images_that_were_moved(session: GradingSession, grade: Grade, photos: Path):
    grade("anna", ["p1_left"])
    moved = shutil.move(photos, photos.parent / "moved")
    locate(session, [Path(moved)])
    SessionGrader(session, "anna").close()
    (record,) = read_dataset(session.folder / "graders" / "anna").records
    assert record.image == Path(moved) / "p1_left.png"


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "..", "-a", "Staple", "a" * 41, "a b", "a.", "con", "LPT1"]
)
def test_names_that_cannot_be_folders_are_refused(session: GradingSession, name: str):
    with pytest.raises(SessionError, match="cannot be a name"):
        SessionGrader(session, name)
    assert session.graders() == ()


def test_names_are_compared_without_case_and_form():
    assert checked_name("Ren\u0065\u0301", ("ren\u00e9",)) == "ren\u00e9"
    assert checked_name(" ben ") == "ben"


def test_what_makes_no_sense_is_refused(session: GradingSession):
    with SessionGrader(session, "anna") as grader:
        with pytest.raises(SessionError, match="p1_left: a flagged image needs a reason"):
            grader.set_state("p1_left", "flagged")
        with pytest.raises(SessionError, match="no image called 'q'"):
            grader.write(CommentEntry(image="q", text="?"))
    with pytest.raises(SessionError, match="ben has no part"):
        SessionGrader(session, "ben", read_only=True)


@pytest.mark.skipif(os.name == "nt", reason="a folder with an open lock cannot be deleted")
def test_grade_stays_as_it_was_if_it_cannot_be_written(session: GradingSession):
    with SessionGrader(session, "anna") as grader:
        grader.set_state("p1_left", "started")
        shutil.rmtree(grader.folder)
        with pytest.raises(OutputError, match=r"log\.jsonl: cannot be written"):
            grader.set_state("p1_left", "done")
        assert grader.grade("p1_left").state == "started"


def test_damaged_log_releases_the_lock(session: GradingSession):
    SessionGrader(session, "anna").close()
    log = session.folder / "graders" / "anna" / "log.jsonl"
    log.mkdir()
    for read in (session.graders, lambda: SessionGrader(session, "anna")):
        with pytest.raises(SessionError, match="cannot be read"):
            read()
    log.rmdir()
    SessionGrader(session, "anna").close()


def test_closed_window_refuses_to_write(session: GradingSession, masks: Eyes):
    path = session.found_path("p1_left")
    grader = SessionGrader(session, "anna")
    grader.set_state("p1_left", "started")
    grader.close()
    with SessionGrader(session, "anna") as other:
        other.recovery.write("p1_left", notes={}, arrays={})
        for write in (
            lambda: grader.set_state("p1_left", "done"),
            lambda: grader.corrections.save("p1_left", path, masks["p1_left"]),
            lambda: grader.recovery.write("p1_right", notes={}, arrays={}),
            grader.recovery.discard,
        ):
            with pytest.raises(OutputError, match=r"was closed here.*Open it again"):
                write()
        found = other.recovery.read()
    assert found is not None
    assert found.image == "p1_left"
    assert read_grades(session, "anna")[0]["p1_left"].state == "started"
    assert grader.corrections.masks("p1_left", (96, 96)) == {}


def test_adjudicator_cannot_grade(session: GradingSession, grade: Grade):
    grade("anna")
    with Adjudicator(session, "cleo") as third:
        third.choose("p1_left", "disc", "anna")
    with pytest.raises(SessionError, match="Cleo is an adjudicator of this session"):
        SessionGrader(session, "Cleo")

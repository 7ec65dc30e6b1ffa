"""A third person decides, once both graders are done."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sam2lora.errors import OutputError, SealedError, SessionError
from sam2lora.grading import Adjudicator, GradingSession, SessionGrader
from sam2lora.grading.entries import StateEntry
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_decisions_are_kept_apart_from_the_graders(
    session: GradingSession, grade: Grade, masks: Eyes
):
    grade("anna")
    grade("ben", STEMS[:2], shift=1)
    before = {path: path.read_bytes() for path in session.folder.rglob("graders/*/[!.]*.*")}
    with Adjudicator(session, "cleo") as third:
        third.choose(STEMS[0], "disc", "ben")
        third.corrections.save(
            STEMS[0], session.found_path(STEMS[0]), {"cup": masks[STEMS[0]]["disc"]}
        )
        third.choose(STEMS[0], "cup", "painted")
        third.choose(STEMS[1], "disc", "anna")
        third.choose(STEMS[1], "disc", None)
        np.testing.assert_array_equal(
            third.mask(STEMS[0], "cup", "painted"), masks[STEMS[0]]["disc"]
        )
    again = Adjudicator(session, "Cleo", read_only=True)
    assert again.choices(STEMS[0]) == {"disc": "ben", "cup": "painted"}
    assert again.choices(STEMS[1]) == {}
    with pytest.raises(OutputError, match="read-only"):
        again.choose(STEMS[0], "disc", "anna")
    after = {path: path.read_bytes() for path in session.folder.rglob("graders/*/[!.]*.*")}
    assert after == before
    assert session.adjudicators() == ("cleo",)


def test_sealed_images_cannot_be_decided_on(session: GradingSession, grade: Grade):
    grade("anna")
    grade("ben", STEMS[:1])
    with Adjudicator(session, "cleo") as third:
        with pytest.raises(SealedError, match="Not done: ben"):
            third.choose(STEMS[1], "disc", "anna")
        grade("ben", STEMS[1:2])
        third.refresh()
        third.choose(STEMS[1], "disc", "anna")


def test_choice_about_an_image_that_was_taken_back_counts_no_longer(
    session: GradingSession, grade: Grade
):
    grade("anna", STEMS[:2])
    grade("ben", STEMS[:2])
    with Adjudicator(session, "cleo") as third:
        for stem in STEMS[:2]:
            third.choose(stem, "disc", "anna")
        grade("anna", STEMS[:1], shift=3)
        third.refresh()
        assert third.choices(STEMS[0]) == {}
        assert third.choices(STEMS[1]) == {"disc": "anna"}
        third.choose(STEMS[0], "disc", "ben")
        assert third.choices(STEMS[0]) == {"disc": "ben"}


def test_choice_counts_by_what_was_seen_and_not_by_clocks(
    session: GradingSession, grade: Grade, masks: Eyes
):
    grade("anna")
    grade("ben")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with SessionGrader(session, "anna") as grader:  # on a computer whose clock is ahead
        grader.write(StateEntry(image=STEMS[0], state="done", time=tomorrow))
    with Adjudicator(session, "cleo") as third:
        for target in ("disc", "cup"):
            third.choose(STEMS[0], target, "anna")
        third.choose(STEMS[1], "disc", "anna")
        assert third.choices(STEMS[0]) == {"disc": "anna", "cup": "anna"}
        with SessionGrader(session, "anna") as grader:  # and one whose clock is behind
            grader.write(
                StateEntry(image=STEMS[1], state="done", time=datetime(2000, 1, 1, tzinfo=UTC))
            )
            grader.corrections.save(
                STEMS[0], session.found_path(STEMS[0]), {"cup": masks[STEMS[0]]["disc"]}
            )
        third.refresh()
        assert third.choices(STEMS[0]) == {"disc": "anna"}
        assert third.void_choices(STEMS[0]) == {"cup": "anna"}
        assert third.choices(STEMS[1]) == {}
        assert third.void_choices(STEMS[1]) == {"disc": "anna"}


def test_choice_about_other_graders_counts_no_longer(session: GradingSession, grade: Grade):
    grade("anna")
    grade("ben")
    with Adjudicator(session, "cleo") as third:
        third.choose(STEMS[0], "disc", "staple")
        grade("dora", STEMS[:1])
        third.refresh()
        assert third.void_choices(STEMS[0]) == {"disc": "staple"}


def test_choice_without_a_mask_is_refused(session: GradingSession, grade: Grade):
    grade("anna", targets=("disc",))
    grade("ben", targets=("disc",))
    with Adjudicator(session, "cleo") as third:
        for target, choice in (("cup", "anna"), ("disc", "painted"), ("disc", "majority")):
            with pytest.raises(SessionError, match=r"no mask|Nothing was painted|majority needs"):
                third.choose(STEMS[0], target, choice)
        assert third.grades == {}


def test_grader_is_no_third_person(session: GradingSession, grade: Grade):
    with pytest.raises(SessionError, match="nobody has graded"):
        Adjudicator(session, "cleo")
    grade("anna")
    with pytest.raises(SessionError, match="Anna is a grader of this session"):
        Adjudicator(session, "Anna")
    with Adjudicator(session, "cleo"), pytest.raises(OutputError, match="another window"):
        Adjudicator(session, "cleo")
    SessionGrader(session, "ben").close()


def test_who_opened_the_review_cannot_grade(session: GradingSession, grade: Grade):
    grade("anna")
    Adjudicator(session, "cleo").close()
    with pytest.raises(SessionError, match="may have seen all masks"):
        SessionGrader(session, "CLEO")


def test_a_mask_that_was_changed_since_it_was_seen_is_not_taken(
    session: GradingSession, grade: Grade
):
    grade("anna")
    grade("ben", shift=1)
    with Adjudicator(session, "cleo") as third:
        seen = third.seen(STEMS[0], "disc")
        grade("anna", STEMS[:1], shift=5)
        third.refresh()
        with pytest.raises(SessionError, match="has changed the disc"):
            third.choose(STEMS[0], "disc", "anna", seen=seen)
        third.choose(STEMS[0], "disc", "anna", seen=third.seen(STEMS[0], "disc"))
        third.choose(STEMS[0], "disc", None, seen=seen)

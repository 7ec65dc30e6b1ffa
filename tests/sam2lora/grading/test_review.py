"""Masks of others are seen once all are done, and not before."""

import shutil

import numpy as np
import pytest

from sam2lora.errors import ImageError, SealedError, SessionError
from sam2lora.grading import GradingSession, Review, SessionGrader
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_masks_are_sealed_until_both_are_done(session: GradingSession, grade: Grade, masks: Eyes):
    grade("anna")
    grade("ben", STEMS[:1], shift=2)
    grade("ben", STEMS[1:2], state="flagged")
    grade("ben", STEMS[2:3], state="skipped")
    review = Review(session)
    assert review.graders == ("anna", "ben")
    assert review.open_stems() == [STEMS[0]]
    drawn = review.masks(STEMS[0])
    np.testing.assert_array_equal(drawn["anna"]["disc"], masks[STEMS[0]]["disc"])
    np.testing.assert_array_equal(drawn["ben"]["disc"], np.roll(masks[STEMS[0]]["disc"], 2, axis=0))
    assert review.points(STEMS[0]) == {"anna": {}, "ben": {}}
    for stem in STEMS[1:]:
        assert review.sealed_by(stem) == ("ben",)
        for see in (review.masks, review.points):
            with pytest.raises(SealedError, match=rf"{stem}: .*Not done: ben"):
                see(stem)


def test_image_taken_back_is_sealed_again(session: GradingSession, grade: Grade):
    grade("anna", STEMS[:1])
    grade("ben", STEMS[:1])
    review = Review(session)
    assert len(review.masks(STEMS[0])) == 2
    with SessionGrader(session, "anna") as grader:
        grader.set_state(STEMS[0], "started")
    with pytest.raises(SealedError, match="Not done: anna"):
        review.masks(STEMS[0])
    assert Review(session).open_stems() == []


def test_a_third_grader_sees_nothing_before_being_done(session: GradingSession, grade: Grade):
    grade("anna")
    grade("ben")
    assert len(Review(session, ["anna", "ben"]).open_stems()) == 4
    grade("cleo", STEMS[:1])
    looked = Review(session, ["anna", "ben"], viewer="Cleo")
    assert looked.open_stems() == [STEMS[0]]
    assert looked.sealed_by(STEMS[1]) == ("cleo",)
    assert Review(session, ["anna", "ben"], viewer="dora").open_stems() == []
    SessionGrader(session, "dora").close()
    with pytest.raises(SealedError, match="Not done: dora"):
        Review(session, viewer="dora").masks(STEMS[0])
    assert Review(session).open_stems() == [STEMS[0]]
    assert len(Review(session, ["ANNA"]).open_stems()) == 4


def test_unknown_graders_are_named(session: GradingSession, grade: Grade):
    with pytest.raises(SessionError, match="nobody has graded"):
        Review(session)
    grade("anna", STEMS[:1])
    with pytest.raises(SessionError, match=r"eve has not graded here\. Graders: anna"):
        Review(session, ["eve"])


def test_missing_image_is_reported(session: GradingSession, grade: Grade):
    grade("anna")
    session.path(STEMS[0]).unlink()
    review = Review(session)
    assert review.has_masks("anna", STEMS[0])
    with pytest.raises(ImageError, match="is not there"):
        review.masks(STEMS[0])


def test_masks_of_unknown_targets_are_named(session: GradingSession, grade: Grade):
    grade("anna", STEMS[:2])
    folder = session.folder / "graders" / "anna" / "masks"
    for stem in (STEMS[0], STEMS[3]):
        shutil.copyfile(folder / f"{STEMS[0]}_disc.png", folder / f"{stem}_hard_drusen.png")
    review = Review(session)
    assert list(review.unknown_masks()) == [STEMS[0]]  # the other one is sealed
    assert "anna's hard_drusen" in review.unknown_masks()[STEMS[0]]
    assert set(review.masks(STEMS[0])["anna"]) == {"disc", "cup"}


def test_image_is_not_done_if_a_line_about_it_cannot_be_read(session: GradingSession, grade: Grade):
    grade("anna")
    log = session.folder / "graders" / "anna" / "log.jsonl"
    with log.open("ab") as stream:
        stream.write(b'{"kind":"doubted","image":"p1_left"}\n')
    review = Review(session)
    assert (review.unreadable, review.sealed_by(STEMS[0])) == ({"anna": 1}, ("anna",))
    assert review.open_stems() == list(STEMS[1:])
    grade("anna", STEMS[:1])
    assert Review(session).open_stems() == list(STEMS)
    with log.open("ab") as stream:
        stream.write(b"\0\0\0\n")
    assert Review(session).open_stems() == []  # it may have been about any of them
    with SessionGrader(session, "anna") as grader:
        grader.set_state(STEMS[2], "done")
        assert grader.skipped_lines == 2
    assert Review(session).open_stems() == [STEMS[2]]


def test_log_that_is_gone_meanwhile_is_reported(session: GradingSession, grade: Grade):
    grade("anna")
    review = Review(session)
    (session.folder / "graders/anna/log.jsonl").unlink()
    with pytest.raises(SessionError, match=r"log\.jsonl"):
        review.masks(STEMS[0])

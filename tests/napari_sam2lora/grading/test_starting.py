"""A part that another window has is read only; what was not saved is found."""

import numpy as np
import pytest

from napari_sam2lora.grading import starting
from napari_sam2lora.grading.starting import (
    find_unsaved,
    joins_as_adjudicator,
    known_doubts,
    open_grader,
    wants_back,
)
from sam2lora.errors import SessionError
from sam2lora.grading import Adjudicator, Doubt, GradingSession, SessionGrader
from sam2lora.grading.doubts import write_doubts


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is asked; the action is taken unless `False` was added."""
    texts: list[str] = []

    def agree(parent: object, title: str, text: str, *, action: str) -> bool:
        texts.append(f"{text} [{action}]")
        return "refuse" not in texts

    def keep(parent: object, title: str, text: str, *, keep: str, delete: str) -> bool:
        return agree(parent, title, text, action=keep)

    monkeypatch.setattr(starting, "confirm", agree)
    monkeypatch.setattr(starting, "keep_or_delete", keep)
    return texts


def test_second_window_may_only_read(session: GradingSession, asked: list[str]):
    with SessionGrader(session, "anna") as first:
        second = open_grader(None, "Grade", session, "anna")
        assert second.read_only
        assert "open in another window" in asked[0]
        assert "[Open read-only]" in asked[0]
        assert find_unsaved(second) is None
        asked.append("refuse")
        assert open_grader(None, "Grade", session, "anna") is None
        with open_grader(None, "Grade", session, "ben") as other:
            assert not other.read_only
        assert not first.read_only
    with pytest.raises(SessionError, match="cannot be a name"):
        open_grader(None, "Grade", session, "")


def test_what_was_not_saved_is_found_and_offered(
    session: GradingSession, asked: list[str], notices: list[str]
):
    with SessionGrader(session, "anna") as grader:
        assert find_unsaved(grader) is None
        mask = {"disc.now": np.ones((2, 2), np.uint8)}
        grader.recovery.write("eye2", notes={}, arrays=mask)
        file, found = find_unsaved(grader)
        assert not grader.recovery.path.exists(), "the next one does not replace it"
        assert wants_back(None, "Grade", found)
        assert "eye2" in asked[0]
        away = session.path("eye2").rename(session.path("eye2").with_name("away"))
        assert find_unsaved(grader) is None
        assert file.path.name in notices[-1]
        away.rename(session.path("eye2"))
        assert find_unsaved(grader)[0].path == file.path
        file.discard()
        grader.recovery.path.write_bytes(b"damaged")
        assert find_unsaved(grader) is None
        assert "The file is now damaged-" in notices[-1]
        assert find_unsaved(grader) is None
        assert len(notices) == 2


def test_only_who_is_new_is_asked_before_seeing_all_masks(graded: GradingSession, asked: list[str]):
    assert joins_as_adjudicator(None, "Grade", graded, "Anna")
    assert asked == []
    assert joins_as_adjudicator(None, "Grade", graded, "cleo")
    assert "cannot grade afterwards" in asked[0]
    asked.append("refuse")
    assert not joins_as_adjudicator(None, "Grade", graded, "cleo")
    Adjudicator(graded, "cleo").close()
    assert joins_as_adjudicator(None, "Grade", graded, "Cleo")


def test_damaged_doubts_do_not_keep_anybody_from_grading(
    session: GradingSession, notices: list[str]
):
    doubts = {"eye2": Doubt(0.5, "Both differ.")}
    path = write_doubts(session, doubts)
    assert known_doubts(session) == doubts
    path.write_bytes(b"\xff")
    assert known_doubts(session) == {}
    assert "doubts.csv: is damaged" in notices[0]

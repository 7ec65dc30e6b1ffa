"""A part that another window has is read only; what was not saved is found."""

from pathlib import Path

import numpy as np
import pytest

from napari_sam2lora.grading import starting
from napari_sam2lora.grading.starting import find_unsaved, open_grader, wants_back
from sam2lora.errors import ImageError, SessionError
from sam2lora.grading import GradingSession, SessionGrader


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
        assert "[Open to read only]" in asked[0]
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
        found = find_unsaved(grader)
        assert wants_back(None, "Grade", found)
        assert "eye2" in asked[0]
        Path(session.path("eye2")).unlink()
        with pytest.raises(ImageError):
            find_unsaved(grader)
        grader.recovery.path.write_bytes(b"damaged")
        assert find_unsaved(grader) is None
        assert "damaged" in notices[-1]

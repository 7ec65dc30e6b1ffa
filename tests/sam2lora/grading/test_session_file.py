"""`session.json` that is damaged, of another version, or cannot be written."""

import json
import os
from pathlib import Path

import pytest

from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import GradingSession, list_sources


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "has format 2, this version reads 1. Update"),
        ({"images": [{"stem": "a"}]}, r"is damaged \(images\.0\.sha256: Field required"),
        ({"created": "yesterday"}, r"is damaged \(created:"),
    ],
)
def test_damaged_file_is_explained(session: GradingSession, change: dict[str, object], reason: str):
    path = session.folder / "session.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SessionError, match=rf"session\.json: {reason}"):
        GradingSession.open(session.folder)


def test_two_images_of_one_name_are_refused(session: GradingSession):
    path = session.folder / "session.json"
    content = json.loads(path.read_text())
    content["images"][1]["stem"] = "P1_LEFT"
    path.write_text(json.dumps(content))
    with pytest.raises(SessionError, match="two images are called 'p1_left'"):
        GradingSession.open(session.folder)


def test_torn_file_is_explained(session: GradingSession):
    path = session.folder / "session.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SessionError, match="truncated"):
        GradingSession.open(session.folder)


def test_full_disk_keeps_the_list(
    session: GradingSession, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    (photos / "new.png").write_bytes((photos / "p1_left.png").read_bytes() + b"\0")
    before = (session.folder / "session.json").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        session.add(list_sources([photos]))
    assert (session.folder / "session.json").read_bytes() == before
    assert len(GradingSession.open(session.folder).images) == 4

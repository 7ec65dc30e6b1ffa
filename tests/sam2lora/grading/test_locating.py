"""Images under another path are found by their content."""

import shutil
from pathlib import Path

import pytest

import sam2lora.grading.locating as locating
from sam2lora.errors import SessionError
from sam2lora.grading import GradingSession, locate
from sam2lora.utils.files import sha256_of
from tests.sam2lora.grading.helpers import STEMS


def test_renamed_and_moved_images_are_found(session: GradingSession, photos: Path, tmp_path: Path):
    place = tmp_path / "disk" / "deep"
    place.mkdir(parents=True)
    shutil.move(photos / "p1_left.png", place / "renamed.png")
    shutil.move(photos / "p2_left.png", place / "p2_left.png")
    (photos / "p1_right.png").unlink()
    located = locate(session, [tmp_path / "disk"])
    assert located.found == {
        "p1_left": place / "renamed.png",
        "p2_left": place / "p2_left.png",
    }
    assert [image.stem for image in located.missing] == ["p1_right"]
    again = GradingSession.open(session.folder)
    assert again.found_path("p1_left") == place / "renamed.png"
    assert [image.stem for image in again.missing()] == ["p1_right"]


def test_only_files_of_the_right_size_are_read_and_names_first(
    session: GradingSession, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "disk"
    place.mkdir()
    content = (photos / "p1_left.png").read_bytes()
    (place / "a.png").write_bytes(b"\0" * len(content))
    (place / "b.png").write_bytes(b"short")
    shutil.move(photos / "p1_left.png", place / "p1_left.png")
    read: list[str] = []

    def watched(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(locating, "sha256_of", watched)
    assert list(locate(session, [place]).found) == ["p1_left"]
    assert read == ["p1_left.png"]


def test_file_that_only_looks_the_same_is_not_taken(session: GradingSession, photos: Path):
    path = photos / STEMS[0]
    content = path.with_suffix(".png").read_bytes()
    path.with_suffix(".png").unlink()
    (photos / "p1_left.png").with_name("fake.png").write_bytes(content[:-1] + b"!")
    before = (session.folder / "session.json").read_bytes()
    assert [image.stem for image in locate(session, [photos]).missing] == ["p1_left"]
    assert (session.folder / "session.json").read_bytes() == before


def test_missing_folder_is_named(session: GradingSession, tmp_path: Path):
    with pytest.raises(SessionError, match="no such folder to look in"):
        locate(session, [tmp_path / "none"])

"""A session's list of images: created, added to, relocated, and never half-written."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sam2lora.errors import ImageError, OutputError, SessionError
from sam2lora.grading import GradingSession, SessionGrader, WorkEntry, list_sources, locate
from sam2lora.utils.files import sha256_of
from sam2lora.utils.process_lock import process_lock
from tests.sam2lora.grading.helpers import STEMS


def test_created_session_is_opened_again(session: GradingSession, photos: Path):
    again = GradingSession.open(session.folder)
    assert again.images == session.images
    assert [image.stem for image in again.images] == ["p1_left", "p1_right", "p2_left", "p2_right"]
    first = again.images[0]
    assert (first.patient, first.eye, first.file_name) == ("p1", "left", "p1_left.png")
    assert first.sha256 == sha256_of(photos / "p1_left.png")
    assert again.found_path("p1_left") == photos / "p1_left.png"
    assert again.missing() == []
    assert again.graders() == again.adjudicators() == ()


def test_folder_in_use_is_refused(session: GradingSession, photos: Path, tmp_path: Path):
    with pytest.raises(OutputError, match="is a session already"):
        GradingSession.create(session.folder, list_sources([photos]))
    with pytest.raises(OutputError, match="not an empty folder"):
        GradingSession.create(photos, list_sources([photos]))
    with pytest.raises(SessionError, match="at least one image"):
        GradingSession.create(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()
    with pytest.raises(SessionError, match=r"is not a session.*sam2lora session new"):
        GradingSession.open(photos)


def test_images_in_the_session_are_listed_relative_to_it(photos: Path, tmp_path: Path):
    session = GradingSession.create(tmp_path / "s", list_sources([photos / "p1_left.png"]))
    inside = session.folder / "images"
    inside.mkdir()
    shutil.copyfile(photos / "p2_left.png", inside / "b.png")
    session.add(list_sources([inside]))
    assert [image.path for image in session.images] == [str(photos / "p1_left.png"), "images/b.png"]
    moved = GradingSession.open(shutil.move(session.folder, tmp_path / "elsewhere"))
    assert moved.missing() == []
    assert moved.found_path("b") == moved.folder / "images" / "b.png"


def test_added_images_come_last_and_none_comes_twice(session: GradingSession, photos: Path):
    other = photos.parent / "other"
    other.mkdir()
    shutil.copyfile(photos / "p1_left.png", other / "the same bytes.png")
    content = (photos / "p1_left.png").read_bytes()
    (other / "P1_Left.png").write_bytes(content + b"\0")
    grown = GradingSession.open(session.folder)
    added = grown.add(list_sources([other]))
    assert [image.stem for image in added] == ["P1_Left_2"]
    session.reload()
    assert session.images == grown.images
    assert grown.add(list_sources([other])) == ()


def test_list_that_another_process_changes_is_refused(session: GradingSession, photos: Path):
    with (
        process_lock(session.folder, refusal=str),
        pytest.raises(OutputError, match=r"being changed by process .* Try again"),
    ):
        session.add(list_sources([photos]))


def test_missing_and_replaced_images_are_named(session: GradingSession, photos: Path):
    (photos / "p1_left.png").unlink()
    (photos / "p1_right.png").write_bytes(b"another")
    assert [image.stem for image in session.missing()] == ["p1_left", "p1_right"]
    with pytest.raises(ImageError, match=r"is not there.*session locate"):
        session.found_path("p1_left")
    with pytest.raises(ImageError, match="is not the file that was added"):
        session.found_path("p1_right")
    with pytest.raises(SessionError, match="no image called 'q'"):
        session.found_path("q")


def test_unreadable_image_leaves_no_session(photos: Path, tmp_path: Path):
    sources = list_sources([photos])
    (photos / "p2_left.png").unlink()
    with pytest.raises(ImageError, match=r"p2_left\.png: cannot be read"):
        GradingSession.create(tmp_path / "s", sources)
    assert not (tmp_path / "s").exists()


def test_graders_are_those_who_wrote_something(session: GradingSession):
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for name in ("ben", "anna", "anan", "looked"):
        with SessionGrader(session, name) as grader:
            if name != "anan":
                grader.write(WorkEntry(image="p1_left", start=start, end=start))
            if name in ("ben", "anna"):
                grader.set_state("p1_left", "started")
    (session.folder / "graders" / ".hidden").mkdir()
    assert session.graders() == ("anna", "ben")
    assert session.names("graders") == ("anan", "anna", "ben", "looked")


def test_two_images_of_the_same_size_are_not_mistaken(session: GradingSession):
    first, second = (session.path(stem) for stem in STEMS[:2])
    size = max(path.stat().st_size for path in (first, second))
    contents = [path.read_bytes().ljust(size, b"\0") for path in (first, second)]
    for path, content in zip((first, second), contents, strict=True):
        path.write_bytes(content)
    folder = session.folder.with_name("other")
    swapped = GradingSession.create(folder, list_sources([first.parent]))
    assert swapped.found_path(STEMS[0]) == first
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert swapped.missing() == []
    with pytest.raises(ImageError, match="is not the file that was added"):
        swapped.found_path(STEMS[0])
    assert set(locate(swapped, [first.parent]).found) == set(STEMS[:2])
    assert swapped.found_path(STEMS[0]) == second


def test_folder_that_cannot_be_listed_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "closed").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        GradingSession.create(tmp_path / "closed", [])

"""A packed session is opened elsewhere; a hostile one is refused whole."""

import json
import os
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import ImageError, OutputError, SessionError
from sam2lora.grading import Doubt, GradingSession, Review, SessionGrader, locate, read_doubts
from sam2lora.grading.archive import pack_session, unpack_session
from sam2lora.grading.doubts import write_doubts
from sam2lora.utils.zip_entries import new_entry
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_packed_session_is_opened_elsewhere_and_its_images_found(
    session: GradingSession, grade: Grade, photos: Path, masks: Eyes, tmp_path: Path
):
    grade("anna")
    grade("ben", shift=1)
    with SessionGrader(session, "anna") as grader:
        grader.recovery.write(STEMS[0], notes={"unsaved": 1}, arrays={})
        write_doubts(session, {STEMS[0]: Doubt(0.5, "Both differ.")})
        packed = pack_session(session, tmp_path / "s.zip")
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
    assert not [name for name in names if "lock" in name or "holder" in name or "images/" in name]
    shutil.rmtree(session.folder)
    moved = Path(shutil.move(photos, tmp_path / "other computer"))
    opened = unpack_session(packed, tmp_path / "received")
    assert len(opened.missing()) == 4
    assert len(locate(opened, [moved]).found) == 4
    drawn = Review(opened).masks(STEMS[0])
    np.testing.assert_array_equal(drawn["anna"]["cup"], masks[STEMS[0]]["cup"])
    recovery = SessionGrader(opened, "anna", read_only=True).recovery.read()
    assert recovery is not None
    assert recovery.notes == {"unsaved": 1}
    assert read_doubts(opened)[STEMS[0]].value == 0.5


def test_session_with_images_needs_nothing_else(
    session: GradingSession, grade: Grade, photos: Path, tmp_path: Path
):
    grade("anna")
    packed = pack_session(session, tmp_path / "s.zip", images=True)
    assert GradingSession.open(session.folder).images[0].path == str(photos / "p1_left.png")
    shutil.rmtree(photos)
    opened = unpack_session(packed, tmp_path / "received")
    assert opened.missing() == []
    assert opened.images[0].path == "images/p1_left.png"
    assert len(Review(opened).masks(STEMS[3])["anna"]) == 2


def test_existing_files_are_not_replaced_unasked(session: GradingSession, tmp_path: Path):
    packed = pack_session(session, tmp_path / "s.zip")
    with pytest.raises(OutputError, match=r"already exists.*--replace"):
        pack_session(session, packed)
    pack_session(session, packed, replace=True)
    with pytest.raises(OutputError, match="lies in the session"):
        pack_session(session, session.folder / "s.zip")
    with pytest.raises(OutputError, match="already exists"):
        unpack_session(packed, session.folder)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/etc/evil",
        "graders/anna/../../../evil",
        pytest.param(
            "graders\\anna\\log.jsonl",
            marks=pytest.mark.skipif(os.name == "nt", reason="zipfile reads it as a /"),
        ),
        "run.sh",
        "graders/anna/masks/deep/a.png",
        "graders/anna/.lock",
    ],
)
def test_entry_that_is_no_part_of_a_session_is_refused(
    session: GradingSession, tmp_path: Path, name: str
):
    packed = pack_session(session, tmp_path / "s.zip")
    entry = new_entry("a")
    entry.filename = name
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(entry, "evil")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SessionError, match="Not unpacked"):
        unpack_session(packed, tmp_path / "deep" / "received")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("stem", ["../../evil", "a/b", "a\\b", "c:a", "a\0", ".", "..", ".a", "a."])
def test_list_with_a_name_that_leaves_the_folder_is_refused(
    session: GradingSession, tmp_path: Path, stem: str
):
    listed = json.loads((session.folder / "session.json").read_text())
    listed["images"][0]["stem"] = stem
    (session.folder / "session.json").write_text(json.dumps(listed))
    packed = pack_session(session, tmp_path / "s.zip")
    with pytest.raises(SessionError, match=r"is damaged \(images\.0\.stem: .*file names"):
        unpack_session(packed, tmp_path / "received")
    assert not (tmp_path / "received").exists()


def test_file_that_goes_while_it_is_packed_is_left_out(
    session: GradingSession, grade: Grade, tmp_path: Path
):
    grade("anna")
    with SessionGrader(session, "anna") as grader:
        grader.recovery.write(STEMS[0], notes={}, arrays={})

        def discard(done: int, total: int) -> None:
            grader.recovery.discard()

        packed = pack_session(session, tmp_path / "s.zip", progress=discard)
    assert len(unpack_session(packed, tmp_path / "a").images) == 4
    assert not (tmp_path / "a/graders/anna/recovery.npz").exists()
    with pytest.raises(ImageError, match=r"p2_right\.png: the image is not there"):
        pack_session(
            session,
            tmp_path / "b.zip",
            images=True,
            progress=lambda done, total: session.path(STEMS[3]).unlink(missing_ok=True),
        )
    assert not (tmp_path / "b.zip").exists()


def test_file_that_cannot_be_read_is_named(
    session: GradingSession, grade: Grade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    grade("anna")
    whole = Path.open

    def refuse(path: Path, mode: str = "r", *args: object, **named: object) -> object:
        if path.name == "log.jsonl":
            raise PermissionError(13, "Permission denied")
        return whole(path, mode, *args, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SessionError, match=r"log\.jsonl: cannot be read \(Permission"):
        pack_session(session, tmp_path / "s.zip")


@pytest.mark.parametrize("name", ["session.json", "graders/Anna/log.jsonl"])
def test_entry_that_is_there_twice_is_refused(session: GradingSession, tmp_path: Path, name: str):
    packed = pack_session(session, tmp_path / "s.zip")
    with zipfile.ZipFile(packed, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in ("graders/anna/log.jsonl", name):
            archive.writestr(new_entry(one), "")
    with pytest.raises(SessionError, match=r"more than once\. Not unpacked"):
        unpack_session(packed, tmp_path / "received")


def test_archive_that_is_none_is_explained(session: GradingSession, tmp_path: Path):
    with pytest.raises(SessionError, match="no such file"):
        unpack_session(tmp_path / "none.zip", tmp_path / "x")
    (tmp_path / "a.zip").write_bytes(b"PK no")
    with pytest.raises(SessionError, match="corrupt or not a zip"):
        unpack_session(tmp_path / "a.zip", tmp_path / "x")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(new_entry("graders/anna/log.jsonl"), "")
    with pytest.raises(SessionError, match=r"holds no session\.json"):
        unpack_session(tmp_path / "b.zip", tmp_path / "x")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(new_entry("session.json"), "{}")
    with pytest.raises(SessionError, match="is damaged"):
        unpack_session(tmp_path / "c.zip", tmp_path / "x")
    assert not (tmp_path / "x").exists()

"""A packed session is opened elsewhere; a hostile one is refused whole."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import GradingSession, Review, SessionGrader, locate
from sam2lora.grading.archive import pack_session, unpack_session
from sam2lora.utils.zip_entries import new_entry
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_packed_session_is_opened_elsewhere_and_its_images_found(
    session: GradingSession, grade: Grade, photos: Path, masks: Eyes, tmp_path: Path
):
    grade("anna")
    grade("ben", shift=1)
    with SessionGrader(session, "anna") as grader:
        grader.recovery.write(STEMS[0], notes={"unsaved": 1}, arrays={})
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
        "graders\\anna\\log.jsonl",
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

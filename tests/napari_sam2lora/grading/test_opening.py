"""Sessions are created, opened, and completed from the dock's dialogs."""

import shutil
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sam2lora.grading.opening import SessionOpener
from napari_sam2lora.grading.start_panel import StartPanel
from sam2lora.grading import GradingSession

from ..helpers import label_text, press
from .conftest import WAIT, draw_images


@pytest.fixture
def opener(qtbot: QtBot) -> SessionOpener:
    parent = QWidget()
    qtbot.addWidget(parent)
    panel = StartPanel()
    panel.setParent(parent)
    return SessionOpener(panel, parent)


def answer(monkeypatch: pytest.MonkeyPatch, *folders: Path | str) -> None:
    left = [str(folder) for folder in folders]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: left.pop(0))


def test_a_folder_becomes_a_session(
    opener: SessionOpener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
):
    answer(monkeypatch, draw_images(tmp_path / "images"), tmp_path / "trial")
    with qtbot.waitSignal(opener.opened, timeout=WAIT):
        press(opener.parent(), "New from folder…")
    assert len(opener.session.images) == 3
    assert "trial: 3 images." in label_text(opener.parent())


def test_a_table_becomes_a_session(
    opener: SessionOpener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
):
    images = draw_images(tmp_path / "images")
    table = tmp_path / "list.csv"
    table.write_text(f"image,patient\n{images}/eye1.png,p1\n", encoding="utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(table), ""))
    answer(monkeypatch, tmp_path / "trial")
    with qtbot.waitSignal(opener.opened, timeout=WAIT):
        press(opener.parent(), "New from table…")
    assert [image.patient for image in opener.session.images] == ["p1"]


def test_what_cannot_be_created_is_said(
    opener: SessionOpener, tmp_path: Path, qtbot: QtBot, notices: list[str]
):
    images = draw_images(tmp_path / "images")
    opener.create(images, images)
    qtbot.waitUntil(lambda: bool(notices), timeout=WAIT)
    assert "not an empty folder" in label_text(opener.parent())
    opener.open(tmp_path)
    assert "is not a session" in notices[-1]
    assert opener.session is None


def test_missing_images_are_found_by_their_content(
    opener: SessionOpener,
    session: GradingSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
):
    shutil.move(tmp_path / "images", tmp_path / "moved")
    (tmp_path / "moved/eye1.png").rename(tmp_path / "moved/another name.png")
    opener.open(session.folder)
    assert "3 are missing: eye1, eye2, eye3." in label_text(opener.parent())
    answer(monkeypatch, tmp_path / "moved")
    with qtbot.waitSignal(opener.opened, timeout=WAIT):
        press(opener.parent(), "Locate images…")
    assert opener.session.missing() == []
    assert "missing" not in label_text(opener.parent())

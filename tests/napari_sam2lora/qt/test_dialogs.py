"""The dialog that asks where to save a file."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_sam2lora.qt.dialogs import ask_where_to_save, confirm, keep_or_delete

pytestmark = pytest.mark.viewer


@pytest.mark.parametrize(
    ("chosen", "saved"),
    [
        ("results", "results.csv"),
        ("results.v2", "results.v2.csv"),
        ("results.csv", "results.csv"),
        ("results.CSV", "results.CSV"),
        ("", None),
    ],
)
def test_missing_ending_is_added(
    qtbot, monkeypatch: pytest.MonkeyPatch, chosen: str, saved: str | None
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (chosen, ""))
    parent = QWidget()
    qtbot.addWidget(parent)
    found = ask_where_to_save(parent, "Save", "CSV", ".csv")
    assert found == (None if saved is None else Path(saved))


def test_existing_file_with_added_ending_needs_confirmation(
    qtbot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "results.csv").touch()
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "results"), "")
    )
    parent = QWidget()
    qtbot.addWidget(parent)
    found = []
    for choice in (QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes):
        monkeypatch.setattr(QMessageBox, "question", lambda *_, choice=choice: choice)
        found.append(ask_where_to_save(parent, "Save", "CSV", ".csv"))
    assert found == [None, tmp_path / "results.csv"]


def test_file_that_is_added_to_needs_no_confirmation(
    qtbot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "results.csv").touch()
    options = []

    def choose(*_: object, **given: QFileDialog.Option) -> tuple[str, str]:
        options.append(given["options"])
        return str(tmp_path / "results"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: pytest.fail("asked"))
    parent = QWidget()
    qtbot.addWidget(parent)
    found = ask_where_to_save(parent, "Add", "CSV", ".csv", adds=True)
    assert found == tmp_path / "results.csv"
    assert options == [QFileDialog.Option.DontConfirmOverwrite]


@pytest.mark.parametrize(("pressed", "agreed"), [("Close", True), ("Cancel", False)])
def test_question_is_answered_by_its_button(
    qtbot, monkeypatch: pytest.MonkeyPatch, pressed: str, agreed: bool
) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)

    def press(box: QMessageBox) -> None:
        assert box.text() == "Two predictions are lost."
        assert box.defaultButton().text().replace("&", "") == "Cancel"
        (button,) = (one for one in box.buttons() if one.text().replace("&", "") == pressed)
        button.click()

    monkeypatch.setattr(QMessageBox, "exec", press)
    assert confirm(parent, "Segment", "Two predictions are lost.", action="Close") == agreed


@pytest.mark.parametrize(("pressed", "kept"), [("Bring back", True), ("Delete", False)])
def test_what_would_be_deleted_is_kept_by_default(
    qtbot, monkeypatch: pytest.MonkeyPatch, pressed: str, kept: bool
) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)

    def press(box: QMessageBox) -> None:
        assert box.defaultButton().text() == box.escapeButton().text() == "Bring back"
        (button,) = (one for one in box.buttons() if one.text() == pressed)
        button.click()

    monkeypatch.setattr(QMessageBox, "exec", press)
    found = keep_or_delete(parent, "Grade", "?", keep="Bring back", delete="Delete")
    assert found == kept

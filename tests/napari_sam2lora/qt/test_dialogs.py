"""Where a file is saved."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_sam2lora.qt.dialogs import ask_where_to_save

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
def test_the_ending_is_added_to_what_was_chosen(
    qtbot, monkeypatch: pytest.MonkeyPatch, chosen: str, saved: str | None
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen, ""))
    parent = QWidget()
    qtbot.addWidget(parent)
    found = ask_where_to_save(parent, "Save", "CSV", ".csv")
    assert found == (None if saved is None else Path(saved))


def test_a_file_the_dialog_did_not_ask_about_is_asked_about(
    qtbot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "results.csv").touch()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "results"), ""))
    parent = QWidget()
    qtbot.addWidget(parent)
    found = []
    for answer in (QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes):
        monkeypatch.setattr(QMessageBox, "question", lambda *_, answer=answer: answer)
        found.append(ask_where_to_save(parent, "Save", "CSV", ".csv"))
    assert found == [None, tmp_path / "results.csv"]

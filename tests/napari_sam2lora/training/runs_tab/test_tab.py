"""The Runs tab: actions on runs and adapters."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from napari_sam2lora.training.runs_tab.tab import RunsTab
from sam2lora.adapters import install_adapter, list_adapters
from sam2lora.runs import RunFolder, runs_folder

from ...helpers import press
from ..conftest import step, validation

pytestmark = pytest.mark.viewer


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def tab(qtbot, viewer: ViewerModel, make_adapter: Callable) -> RunsTab:
    for name in ("first", "second"):
        run = RunFolder.create(runs_folder() / name, '{"target": "disc", "steps": 9}')
        run.append(step(1))
        run.append(validation(1, 0.5))
        for number in (1, 2):
            picture = run.previews / f"{number:06}.png"
            Image.fromarray(np.full((8, 9, 3), number, np.uint8)).save(picture)
    install_adapter(make_adapter("kept"))
    made = RunsTab(viewer)
    qtbot.addWidget(made)
    made.refresh()
    return made


def press_for(tab: RunsTab, text: str, *names: str) -> None:
    """Select rows by name, and click a button."""
    tab.list.tree.clearSelection()
    tab.list.select(*names)
    press(tab, text)


def installed() -> list[str]:
    """Return the names of the adapters that are not shipped."""
    return [adapter.name for adapter in list_adapters() if not adapter.shipped]


def test_run_is_renamed(qtbot, tab: RunsTab, monkeypatch) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("third", True))
    with qtbot.waitSignal(tab.moved) as moved:
        press_for(tab, "Rename…", "first")
    assert moved.args == [runs_folder() / "first", runs_folder() / "third"]
    press_for(tab, "Rename…", "kept")
    assert installed() == ["third"]


def test_taken_name_is_reported(tab: RunsTab, monkeypatch, notices) -> None:
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("second", True))
    press_for(tab, "Rename…", "first")
    assert "already exists" in notices[-1]


def test_deleting_asks_first(qtbot, tab: RunsTab, monkeypatch) -> None:
    choice = QMessageBox.StandardButton.No
    monkeypatch.setattr(QMessageBox, "question", lambda *_: choice)
    press_for(tab, "Delete…", "first")
    assert (runs_folder() / "first").exists()
    choice = QMessageBox.StandardButton.Yes
    monkeypatch.setattr(QMessageBox, "question", lambda *_: choice)
    with qtbot.waitSignal(tab.moved) as moved:
        press_for(tab, "Delete…", "first")
    assert moved.args == [runs_folder() / "first", None]
    press_for(tab, "Delete…", "kept")
    qtbot.waitUntil(lambda: installed() == [])
    assert [run.name for run in runs_folder().iterdir()] == ["second"]


def test_adapter_is_exported(qtbot, tab: RunsTab, monkeypatch, tmp_path: Path, notices) -> None:
    path = tmp_path / "mine.v2"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    press_for(tab, "Export as zip…", "kept")
    qtbot.waitUntil((tmp_path / "mine.v2.zip").is_file)
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    (tmp_path / "mine.v2.zip").write_bytes(b"")
    press_for(tab, "Export as zip…", "kept")
    qtbot.waitUntil(lambda: (tmp_path / "mine.v2.zip").stat().st_size > 0)
    press_for(tab, "Export as zip…", "first")
    qtbot.waitUntil(lambda: bool(notices))
    assert "no adapter yet" in notices[-1]


def test_previews_are_opened_as_layers(qtbot, tab: RunsTab, viewer: ViewerModel) -> None:
    press_for(tab, "Previews as layers", "first")
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    layers = [(layer.name, layer.visible) for layer in viewer.layers]
    assert layers == [("first step 1", False), ("first step 2", True)]


def test_runs_are_shown_and_compared(qtbot, tab: RunsTab) -> None:
    with qtbot.waitSignal(tab.show_run) as shown:
        press_for(tab, "Show", "second")
    assert shown.args == [runs_folder() / "second"]
    press_for(tab, "Compare curves", "first", "second")
    qtbot.waitUntil(lambda: ("dice", "second") in tab.curves._lines)
    assert {name for _, name in tab.curves._lines} == {"first", "second"}
    assert tab.curves.isVisibleTo(tab)


def test_refresh_lists_new_runs(tab: RunsTab) -> None:
    RunFolder.create(runs_folder() / "new", "{}")
    press_for(tab, "Refresh")
    assert tab.list.tree.topLevelItem(0).childCount() == 3

"""The batch panel: its input, its table and what it emits."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

from napari_sam2lora.segmentation.widgets.batch_panel import BatchPanel

from ...helpers import press


@pytest.fixture
def panel(qtbot: QtBot) -> BatchPanel:
    """Create a panel with two targets, of which disc is selected."""
    panel = BatchPanel()
    qtbot.addWidget(panel)
    panel.show_targets(["disc", "cup"], "disc")
    return panel


def test_buttons_emit_requests(panel: BatchPanel):
    emitted: list[str] = []
    panel.run_requested.connect(lambda: emitted.append("run"))
    panel.stop_requested.connect(lambda: emitted.append("stop"))
    panel.command_requested.connect(lambda: emitted.append("command"))
    press(panel, "Segment files")
    panel.show_busy(True)
    press(panel, "Segment files")  # disabled while a batch runs
    press(panel, "Stop")
    press(panel, "Copy as command")
    assert emitted == ["run", "stop", "command"]


def test_selected_targets_survive_a_new_list(panel: BatchPanel):
    press(panel, "cup")
    panel.show_targets(["cup", "drusen"], "drusen")
    assert panel.targets == ("cup", "drusen")


def test_start_clears_the_results_of_the_last_batch(panel: BatchPanel):
    panel.add_result("a.png", "no image", "/in/a.png")
    assert panel.table.item(0, 1).text() == "no image"
    assert panel.table.item(0, 0).toolTip() == "/in/a.png: no image"
    panel.start()
    assert panel.table.rowCount() == 0
    assert panel.stop.isEnabled()


def test_files_and_folders_are_chosen_in_dialogs(
    panel: BatchPanel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/some/folder")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (["/a.png", "/b.png"], ""))
    press(panel, "Folder…")
    press(panel, "Output folder…")
    assert (panel.images, panel.out.text()) == (("/some/folder",), "/some/folder")
    press(panel, "Files…")
    assert panel.images == ("/a.png", "/b.png")

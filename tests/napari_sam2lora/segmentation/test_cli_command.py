"""Commands copied from the dock: they predict the same as the dock."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtGui import QGuiApplication

from napari_sam2lora.segmentation.widgets.model_panel import NO_ADAPTER
from sam2lora.cli import main

from ..helpers import pick, press
from ..segmentation_window import Window, fundus

pytestmark = pytest.mark.viewer


def run_command(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command line, and return its exit code."""
    monkeypatch.setattr("sys.argv", shlex.split(text))
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_copied_command_writes_the_same_masks(
    ready: Window, files: Path, monkeypatch: pytest.MonkeyPatch
):
    pick(ready.dock.model_panel.adapter, NO_ADAPTER)
    press(ready.dock.batch_panel, "cup")
    press(ready.dock.batch_panel, "Segment files")
    ready.idle()
    written = {path.name: path.read_bytes() for path in (files.parent / "masks").iterdir()}
    assert sorted(written) == ["a_cup.png", "a_disc.png", "b_cup.png", "b_disc.png"]
    ready.dock.batch_panel.out.setText(str(files.parent / "again"))
    press(ready.dock.batch_panel, "Copy as command")
    commands = QGuiApplication.clipboard().text().splitlines()
    assert len(commands) == 2  # disc is segmented without adapter, cup is not
    for command in commands:
        assert run_command(command, monkeypatch) == 1  # one of the files is no image
    again = {path.name: path.read_bytes() for path in (files.parent / "again").iterdir()}
    assert again == written


def test_command_of_one_image_writes_its_preview(
    ready: Window, files: Path, monkeypatch: pytest.MonkeyPatch
):
    ready.viewer.add_layer(fundus("a", path=files / "a.png"))
    ready.segment()
    inside = np.array(ready.preview().data)[ready.session.result.prepared.field.mask]
    ready.dock.threshold.number.setValue(round(float(np.median(inside)), 3))
    with ready.wait_result():
        ready.click(90, 70)
    assert ready.session.results.mask(ready.session.target_key)[70, 90]  # at that threshold
    copy = ready.dock._copy
    copy.click()
    command = QGuiApplication.clipboard().text()
    ready.session.choices.start_from_mask = True
    copy.click()
    assert QGuiApplication.clipboard().text() == command
    assert "add --mask FILE" in ready.dock.progress.message.text()
    assert "--point=90.0,70.0,+" in command
    monkeypatch.chdir(files.parent)
    assert run_command(command, monkeypatch) == 0
    written = np.asarray(Image.open(files.parent / "masks" / "a_disc.png")) > 0
    np.testing.assert_array_equal(written, ready.session.results.mask(ready.session.target_key))


def test_image_without_a_file_has_no_command(window: Window, notices: list[str]):
    window.dock._copy.click()
    assert "needs a file" in notices[-1]

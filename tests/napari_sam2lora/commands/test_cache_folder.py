"""The folder of base models is chosen in a dialog."""

from pathlib import Path

import pytest
from npe2 import PluginManager
from qtpy.QtWidgets import QFileDialog

from napari_sam2lora._settings import preferences

pytestmark = pytest.mark.viewer

COMMAND = "napari-sam2lora.choose_cache_folder"


@pytest.mark.parametrize("fixed", [False, True])
def test_chosen_folder_is_set(
    qtbot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, notices: list[str], fixed: bool
):
    monkeypatch.setenv("SAM2LORA_CACHE", str(tmp_path / "fixed" if fixed else tmp_path / "mine"))
    chosen = str(tmp_path / "mine")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: chosen)
    PluginManager.instance().commands.execute(COMMAND)
    assert preferences().cache_folder == chosen
    assert ("takes precedence" in notices[-1]) == fixed
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    PluginManager.instance().commands.execute(COMMAND)
    assert preferences().cache_folder == chosen

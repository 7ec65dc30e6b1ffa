"""Installed adapters, watched and imported while napari runs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from napari.errors import ReaderPluginError
from npe2 import PluginManager
from pytestqt.qtbot import QtBot

from napari_sam2lora._reader import get_reader, read_adapter
from napari_sam2lora.adapters import AdapterWatcher, dice_of, import_and_notify, is_adapter
from sam2lora.adapters import (
    adapters_folder,
    delete_adapter,
    export_adapter,
    find_adapter,
    install_adapter,
    list_adapters,
)
from sam2lora.errors import AdapterError
from sam2lora.targets import Target, all_targets

pytestmark = pytest.mark.viewer


def names(watcher: AdapterWatcher) -> list[str]:
    return [adapter.name for adapter in watcher.adapters if not adapter.shipped]


def test_installed_and_deleted_adapters_are_noticed(qtbot: QtBot, make_adapter):
    watcher = AdapterWatcher()
    watcher.refresh()
    assert names(watcher) == []
    adapters_folder().parent.mkdir(parents=True, exist_ok=True)
    with qtbot.waitSignal(watcher.changed, timeout=20_000):  # the folder itself did not exist
        install_adapter(make_adapter("first"))
    assert names(watcher) == ["first"]
    with qtbot.waitSignal(watcher.changed, timeout=20_000):
        install_adapter(make_adapter("second"))
    assert names(watcher) == ["first", "second"]
    with qtbot.waitSignal(watcher.changed, timeout=20_000):
        delete_adapter("first")
    assert names(watcher) == ["second"]


def test_refresh_emits_only_if_adapters_changed(qtbot: QtBot, make_adapter):
    watcher, changes = AdapterWatcher(), []
    watcher.changed.connect(lambda: changes.append(1))
    install_adapter(make_adapter("first"))
    watcher.refresh()
    watcher.refresh()
    assert changes == [1]


def zip_of(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def test_folder_and_archive_with_a_card_are_adapters(make_adapter, tmp_path: Path):
    adapter = make_adapter()
    packed = export_adapter(adapter, tmp_path)
    assert is_adapter(adapter.folder)
    assert is_adapter(packed)
    assert get_reader(str(packed)) is get_reader(str(adapter.folder)) is read_adapter


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_other_archives_are_left_to_other_readers(tmp_path: Path, content: bytes):
    (tmp_path / "bad.zip").write_bytes(content)
    assert get_reader(str(tmp_path / "bad.zip")) is None
    assert get_reader(str(zip_of(tmp_path / "other.zip", cells__csv="1,2"))) is None
    assert get_reader(str(tmp_path / "gone.zip")) is None


@pytest.mark.parametrize("packed", [True, False])
def test_opened_adapter_is_installed_and_notified(
    make_adapter, tmp_path: Path, notices: list[str], packed: bool
):
    adapter = make_adapter()
    dropped = export_adapter(adapter, tmp_path) if packed else adapter.folder
    assert read_adapter(str(dropped)) == [(None,)]
    assert find_adapter("my-vessels").card.target.name == "vessel"
    (notice,) = notices
    for text in ("my-vessels is installed", "vessel", "nano", "Not a medical device"):
        assert text in notice


def test_target_of_an_imported_adapter_is_added(make_adapter, notices: list[str]):
    drusen = Target(name="drusen", label=9, color="#102030")
    import_and_notify(make_adapter("my-drusen", drusen).folder)
    assert all_targets()["drusen"] == drusen
    assert "label value 9" in notices[0]


def test_adapter_of_an_existing_name_is_rejected(make_adapter):
    adapter = make_adapter()
    import_and_notify(adapter.folder)
    with pytest.raises(AdapterError, match=r"my-vessels.*already exists"):
        import_and_notify(adapter.folder)


def test_error_names_the_damaged_file(make_adapter, tmp_path: Path):
    adapter = make_adapter()
    shutil.copytree(adapter.folder, tmp_path / "cut")
    (tmp_path / "cut" / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors"):
        read_adapter(str(tmp_path / "cut"))
    assert list_adapters() == [adapter for adapter in list_adapters() if adapter.shipped]


def test_reader_of_an_adapter_loads_no_torch(make_adapter, tmp_path: Path):
    code = """
        import sys
        from napari_sam2lora._reader import get_reader
        assert get_reader(sys.argv[1])  # installing it checks its tensors, and needs torch
        print("torch" in sys.modules)
    """
    lines = "\n".join(line.strip() for line in code.splitlines())
    command = [sys.executable, "-c", lines, str(make_adapter().folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.strip().endswith("False"), result.stderr


@pytest.mark.viewer
def test_dropped_adapter_opens_no_layer_and_asks_for_no_reader(
    make_napari_viewer, make_adapter, tmp_path: Path, notices: list[str]
):
    viewer = make_napari_viewer()
    packed = export_adapter(make_adapter(), tmp_path)
    readers = list(PluginManager.instance().iter_compatible_readers([str(packed)]))
    assert [reader.plugin_name for reader in readers] == ["napari-sam2lora"]
    assert viewer.open(packed, plugin=None) == []
    assert len(viewer.layers) == 0
    assert "is installed" in notices[-1]


@pytest.mark.viewer
def test_dropped_archive_without_a_card_is_not_claimed(make_napari_viewer, tmp_path: Path):
    viewer = make_napari_viewer()
    with pytest.raises((ValueError, ReaderPluginError), match=r"other\.zip"):
        viewer.open(zip_of(tmp_path / "other.zip", cells__csv="1,2"), plugin=None)


@pytest.mark.parametrize(
    ("validation", "text"),
    [
        ({"dice": 0.8421, "start_dice": 0.7129, "images": 2}, "Dice 0.842 (before 0.713)"),
        ({"dice": 0.8421}, "Dice 0.842"),
        ({"start_dice": 0.7}, ""),
        ({}, ""),
    ],
)
def test_dice_is_shown_with_that_of_the_initial_weights(make_adapter, validation, text):
    card = make_adapter().card.model_copy(update={"validation": validation})
    assert dice_of(card) == text

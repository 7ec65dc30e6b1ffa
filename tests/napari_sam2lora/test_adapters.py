"""Adapters that appear while napari runs."""

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


def names(watch: AdapterWatcher) -> list[str]:
    return [one.name for one in watch.adapters if not one.shipped]


def test_an_adapter_is_listed_as_soon_as_it_is_there(qtbot: QtBot, make_adapter):
    watch = AdapterWatcher()
    watch.refresh()
    assert names(watch) == []
    adapters_folder().parent.mkdir(parents=True, exist_ok=True)
    with qtbot.waitSignal(watch.changed, timeout=20_000):  # not even the folder was there
        install_adapter(make_adapter("first"))
    assert names(watch) == ["first"]
    with qtbot.waitSignal(watch.changed, timeout=20_000):
        install_adapter(make_adapter("second"))
    assert names(watch) == ["first", "second"]
    with qtbot.waitSignal(watch.changed, timeout=20_000):
        delete_adapter("first")
    assert names(watch) == ["second"]


def test_looking_again_says_something_only_if_it_changed(qtbot: QtBot, make_adapter):
    watch, changes = AdapterWatcher(), []
    watch.changed.connect(lambda: changes.append(1))
    install_adapter(make_adapter("first"))
    watch.refresh()
    watch.refresh()
    assert changes == [1]


def zip_of(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def test_only_what_has_an_adapters_card_is_one(make_adapter, tmp_path: Path):
    adapter = make_adapter()
    packed = export_adapter(adapter, tmp_path)
    assert is_adapter(adapter.folder)
    assert is_adapter(packed)
    assert get_reader(str(packed)) is get_reader(str(adapter.folder)) is read_adapter


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_archives_that_are_no_adapter_are_left_to_others(tmp_path: Path, content: bytes):
    (tmp_path / "bad.zip").write_bytes(content)
    assert get_reader(str(tmp_path / "bad.zip")) is None
    assert get_reader(str(zip_of(tmp_path / "other.zip", cells__csv="1,2"))) is None
    assert get_reader(str(tmp_path / "gone.zip")) is None


@pytest.mark.parametrize("packed", [True, False])
def test_it_is_installed_and_said_what_it_is_for(
    make_adapter, tmp_path: Path, notices: list[str], packed: bool
):
    adapter = make_adapter()
    dropped = export_adapter(adapter, tmp_path) if packed else adapter.folder
    assert read_adapter(str(dropped)) == [(None,)]
    assert find_adapter("my-vessels").card.target.name == "vessel"
    (notice,) = notices
    for word in ("my-vessels is installed", "vessel", "nano", "Not a medical device"):
        assert word in notice


def test_a_target_that_is_new_here_is_made_known(make_adapter, notices: list[str]):
    drusen = Target(name="drusen", label=9, color="#102030")
    import_and_notify(make_adapter("my-drusen", drusen).folder)
    assert all_targets()["drusen"] == drusen
    assert "label value 9" in notices[0]


def test_a_second_of_the_same_name_is_refused(make_adapter):
    adapter = make_adapter()
    import_and_notify(adapter.folder)
    with pytest.raises(AdapterError, match=r"my-vessels.*already exists"):
        import_and_notify(adapter.folder)


def test_a_damaged_one_is_an_error_that_names_it(make_adapter, tmp_path: Path):
    adapter = make_adapter()
    shutil.copytree(adapter.folder, tmp_path / "cut")
    (tmp_path / "cut" / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors"):
        read_adapter(str(tmp_path / "cut"))
    assert list_adapters() == [one for one in list_adapters() if one.shipped]


def test_torch_is_not_loaded_for_it(make_adapter, tmp_path: Path):
    code = """
        import sys
        from napari_sam2lora._reader import get_reader
        assert get_reader(sys.argv[1])(sys.argv[1]) == [(None,)]
        print("torch" in sys.modules)
    """
    lines = "\n".join(line.strip() for line in code.splitlines())
    command = [sys.executable, "-c", lines, str(make_adapter().folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.strip().endswith("False"), result.stderr
    assert find_adapter("my-vessels")


@pytest.mark.viewer
def test_dropping_one_opens_no_layer_and_asks_nothing(
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
def test_dropping_another_archive_does_what_it_did_without_the_plugin(
    make_napari_viewer, tmp_path: Path
):
    viewer = make_napari_viewer()
    with pytest.raises((ValueError, ReaderPluginError), match=r"other\.zip"):
        viewer.open(zip_of(tmp_path / "other.zip", cells__csv="1,2"), plugin=None)


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        ({"dice": 0.8421, "start_dice": 0.7129, "images": 2}, "Dice 0.842 (before 0.713)"),
        ({"dice": 0.8421}, "Dice 0.842"),
        ({"start_dice": 0.7}, ""),
        ({}, ""),
    ],
)
def test_the_dice_stands_beside_that_of_the_start(make_adapter, validation, words):
    card = make_adapter().card.model_copy(update={"validation": validation})
    assert dice_of(card) == words

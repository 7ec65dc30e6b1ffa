"""Adapters that appear while napari runs."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora._adapter_watch import AdapterWatch
from sam2lora.adapters import adapters_folder, delete_adapter, install_adapter

pytestmark = pytest.mark.viewer


def names(watch: AdapterWatch) -> list[str]:
    return [one.name for one in watch.adapters if not one.shipped]


def test_an_adapter_is_listed_as_soon_as_it_is_there(qtbot: QtBot, make_adapter):
    watch = AdapterWatch()
    watch.look()
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
    watch, changes = AdapterWatch(), []
    watch.changed.connect(lambda: changes.append(1))
    install_adapter(make_adapter("first"))
    watch.look()
    watch.look()
    assert changes == [1]

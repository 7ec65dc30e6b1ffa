"""The plugin's page in napari's Preferences, and the environment variables it sets."""

import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManifest
from pydantic import ValidationError

from napari_sam2lora._settings import PLUGIN, follow_preferences, preferences, set_adapter_of
from sam2lora.utils.download import cache_folder, is_offline


@pytest.fixture(autouse=True)
def new_settings(plugin_settings, npe2pm) -> None:
    """Create new settings, which no plugin activated by another test follows."""
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))


class Context:
    """The part of npe2's plugin context that is used."""

    def __init__(self) -> None:
        self.stops: list[Callable[[], None]] = []

    def register_disposable(self, stop: Callable[[], None]) -> None:
        self.stops.append(stop)

    def deactivate(self) -> None:
        while self.stops:
            self.stops.pop()()


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    yield context
    context.deactivate()


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the variables that an administrator may have set, and those that the test sets."""
    for name in ("SAM2LORA_CACHE", "SAM2LORA_OFFLINE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_settings_have_defaults():
    found = preferences()
    assert (found.cache_folder, found.offline) == ("", False)
    assert (found.device, found.precision) == ("auto", "auto")
    assert found.autosave_seconds == 30


def test_changed_settings_are_read_at_once():
    settings = get_plugin_settings(PLUGIN)
    settings.image_list.autosave_seconds = 5
    settings.computing.device = " cuda:1 "
    settings.computing.precision = "bfloat16"
    found = preferences()
    assert (found.autosave_seconds, found.device, found.precision) == (5, "cuda:1", "bfloat16")
    settings.computing.device = " "
    assert preferences().device == "auto"


def test_invalid_settings_are_rejected():
    settings = get_plugin_settings(PLUGIN)
    with pytest.raises(ValidationError):
        settings.computing.precision = "int8"
    with pytest.raises(ValidationError):
        settings.image_list.autosave_seconds = -1


def test_downloads_follow_current_and_later_preferences(unset, context: Context, tmp_path: Path):
    settings = get_plugin_settings(PLUGIN)
    settings.downloads.cache_folder = str(tmp_path / "first")
    follow_preferences(context)
    assert cache_folder() == tmp_path / "first"
    assert not is_offline()
    settings.downloads.cache_folder = str(tmp_path / "second")
    settings.downloads.offline = True
    assert cache_folder() == tmp_path / "second"
    assert is_offline()
    settings.downloads.cache_folder = ""
    settings.downloads.offline = False
    assert "SAM2LORA_CACHE" not in os.environ
    assert not is_offline()


def test_variables_set_before_napari_started_are_kept(
    unset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAM2LORA_CACHE", str(tmp_path / "admin"))
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    follow_preferences(context)
    get_plugin_settings(PLUGIN).downloads.cache_folder = str(tmp_path / "user")
    assert cache_folder() == tmp_path / "admin"
    assert is_offline()


def test_deactivated_plugin_unsets_its_variables(unset, context: Context, tmp_path: Path):
    settings = get_plugin_settings(PLUGIN)
    settings.downloads.cache_folder = str(tmp_path / "first")
    follow_preferences(context)
    context.deactivate()
    assert "SAM2LORA_CACHE" not in os.environ
    settings.downloads.cache_folder = str(tmp_path / "second")
    assert "SAM2LORA_CACHE" not in os.environ


def test_manifest_activates_and_lists_the_settings():
    manifest = PluginManifest.from_distribution(PLUGIN)
    assert manifest.on_activate == "napari_sam2lora._settings:follow_preferences"
    shown = {
        name for page in manifest.contributions.configurations.values() for name in page.properties
    }
    assert shown == {field.name for field in fields(preferences())}


def test_adapters_are_remembered_by_target():
    set_adapter_of("disc", "my-disc")
    set_adapter_of("cup", "my-cup")
    set_adapter_of("disc", "my-disc-2")
    assert preferences().adapters == {"disc": "my-disc-2", "cup": "my-cup"}
    set_adapter_of("disc", None)
    assert get_plugin_settings(PLUGIN).segmentation.adapters == "cup: my-cup"


def test_typing_errors_in_adapters_are_left_out():
    get_plugin_settings(PLUGIN).segmentation.adapters = "disc:my-disc,, cup, vessel:"
    assert preferences().adapters == {"disc": "my-disc"}

"""The plugin's page in napari's Preferences, and who listens to it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from napari.settings import get_plugin_settings
from npe2 import PluginManifest
from pydantic import ValidationError

from napari_sam2lora._settings import PLUGIN, follow_preferences, preferences
from sam2lora.utils.download import cache_folder, is_offline


@pytest.fixture(autouse=True)
def new_settings(plugin_settings, npe2pm) -> None:
    """Give settings that no plugin follows that another test has switched on."""
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))


class Context:
    """What npe2 gives a plugin that is switched on, as far as it is used."""

    def __init__(self) -> None:
        self.stops: list[Callable[[], None]] = []

    def register_disposable(self, stop: Callable[[], None]) -> None:
        self.stops.append(stop)

    def switch_off(self) -> None:
        while self.stops:
            self.stops.pop()()


@pytest.fixture
def context() -> Iterator[Context]:
    made = Context()
    yield made
    made.switch_off()


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the variables away that an administrator could have set, and what the test sets."""
    for name in ("SAM2LORA_CACHE", "SAM2LORA_OFFLINE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_what_is_not_chosen_has_a_default():
    found = preferences()
    assert (found.cache_folder, found.offline) == ("", False)
    assert (found.device, found.precision) == ("auto", "auto")
    assert found.autosave_seconds == 30


def test_what_is_chosen_is_found_at_once():
    settings = get_plugin_settings(PLUGIN)
    settings.image_list.autosave_seconds = 5
    settings.computing.device = " cuda:1 "
    settings.computing.precision = "bfloat16"
    found = preferences()
    assert (found.autosave_seconds, found.device, found.precision) == (5, "cuda:1", "bfloat16")
    settings.computing.device = " "
    assert preferences().device == "auto"


def test_what_makes_no_sense_cannot_be_chosen():
    settings = get_plugin_settings(PLUGIN)
    with pytest.raises(ValidationError):
        settings.computing.precision = "int8"
    with pytest.raises(ValidationError):
        settings.image_list.autosave_seconds = -1


def test_downloads_follow_the_preferences_now_and_later(unset, context: Context, tmp_path: Path):
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


def test_what_was_set_before_napari_started_stays(
    unset, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAM2LORA_CACHE", str(tmp_path / "admin"))
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    follow_preferences(context)
    get_plugin_settings(PLUGIN).downloads.cache_folder = str(tmp_path / "user")
    assert cache_folder() == tmp_path / "admin"
    assert is_offline()


def test_switched_off_it_takes_its_variables_back(unset, context: Context, tmp_path: Path):
    settings = get_plugin_settings(PLUGIN)
    settings.downloads.cache_folder = str(tmp_path / "first")
    follow_preferences(context)
    context.switch_off()
    assert "SAM2LORA_CACHE" not in os.environ
    settings.downloads.cache_folder = str(tmp_path / "second")
    assert "SAM2LORA_CACHE" not in os.environ


def test_napari_activates_it_and_lists_it_in_its_preferences():
    manifest = PluginManifest.from_distribution(PLUGIN)
    assert manifest.on_activate == "napari_sam2lora._settings:follow_preferences"
    shown = {
        name for one in manifest.contributions.configurations.values() for name in one.properties
    }
    assert shown == {field.name for field in fields(preferences())}

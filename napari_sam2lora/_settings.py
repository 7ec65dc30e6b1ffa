"""What a user chose under Preferences → SAM2-LoRA fundus.

npe2 calls `follow_preferences` when anything of the plugin is first used: from then on downloads in
this program, and in those it starts, go where the Preferences say. No torch is loaded.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.settings import get_plugin_settings

from sam2lora.settings import PrecisionChoice

if TYPE_CHECKING:
    from npe2.plugin_manager import PluginContext

PLUGIN = "napari-sam2lora"


@dataclass(frozen=True)
class Preferences:
    """The plugin's settings.

    Attributes
    ----------
    cache_folder
        Folder of downloaded models; empty for the platform's place.
    offline
        Whether nothing is to be downloaded.
    device
        As for `sam2lora.compute.device.choose_device`.
    precision
        As for `sam2lora.compute.device.choose_precision`.
    autosave_seconds
        How often what was painted is saved while the image list is open; 0: only on a step.
    """

    cache_folder: str
    offline: bool
    device: str
    precision: PrecisionChoice
    autosave_seconds: int


def preferences() -> Preferences:
    """Give the settings as they are now."""
    settings: Any = get_plugin_settings(PLUGIN)
    return Preferences(
        cache_folder=settings.downloads.cache_folder.strip(),
        offline=settings.downloads.offline,
        device=settings.computing.device.strip() or "auto",
        precision=settings.computing.precision,
        autosave_seconds=settings.image_list.autosave_seconds,
    )


def follow_preferences(context: "PluginContext") -> None:
    """Let the environment say what the Preferences say, now and whenever they change.

    A variable that something else has set stays as it is: whoever administers a computer has the
    last word.

    Parameters
    ----------
    context
        Given by npe2; when the plugin is switched off, the variables are taken back.
    """
    settings: Any = get_plugin_settings(PLUGIN)
    written: dict[str, str] = {}

    def put(name: str, value: str) -> None:
        if os.environ.get(name, "") != written.get(name, ""):
            return
        written[name] = value
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)

    def update(event: object = None) -> None:
        chosen = preferences()
        put("SAM2LORA_CACHE", chosen.cache_folder)
        put("SAM2LORA_OFFLINE", "1" if chosen.offline else "")

    def stop() -> None:
        settings.downloads.events.disconnect(update)
        for name in written:
            put(name, "")

    settings.downloads.events.connect(update)
    context.register_disposable(stop)
    update()

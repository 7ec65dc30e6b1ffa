"""The plugin's settings under Preferences → SAM2-LoRA fundus.

npe2 calls `follow_preferences` when the plugin is first used: from then on, downloads of this
process and its child processes follow the Preferences. No torch is loaded.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.settings import get_plugin_settings

from sam2lora.settings import PrecisionChoice

if TYPE_CHECKING:
    from npe2 import PluginContext

PLUGIN = "napari-sam2lora"


@dataclass(frozen=True)
class Preferences:
    """The plugin's settings.

    Attributes
    ----------
    cache_folder
        Folder of downloaded models; empty for the platform's default.
    offline
        Whether downloads are disabled.
    device
        Device name for `sam2lora.compute.device.choose_device`.
    precision
        Precision for `sam2lora.compute.device.choose_precision`.
    autosave_seconds
        Interval at which painted masks are saved while the image list is open; 0 disables it.
    segment_on_opening
        Whether images are segmented as soon as they are shown.
    opening_targets
        Which targets are; empty for vessel, disc and cup.
    adapters
        The adapter that each target was trained with, or that was chosen for it, last.
    """

    cache_folder: str
    offline: bool
    device: str
    precision: PrecisionChoice
    autosave_seconds: int
    segment_on_opening: bool
    opening_targets: tuple[str, ...]
    adapters: Mapping[str, str]


def preferences() -> Preferences:
    """Return the current settings."""
    settings: Any = get_plugin_settings(PLUGIN)
    return Preferences(
        cache_folder=settings.downloads.cache_folder.strip(),
        offline=settings.downloads.offline,
        device=settings.computing.device.strip() or "auto",
        precision=settings.computing.precision,
        autosave_seconds=settings.image_list.autosave_seconds,
        segment_on_opening=settings.segmentation.segment_on_opening,
        opening_targets=tuple(settings.segmentation.opening_targets.replace(",", " ").split()),
        adapters=_pairs(settings.segmentation.adapters),
    )


def set_segmented_on_opening(on: bool, targets: Sequence[str]) -> None:
    """Set whether images are segmented as soon as they are shown, and which targets."""
    settings: Any = get_plugin_settings(PLUGIN)
    settings.segmentation.segment_on_opening = on
    settings.segmentation.opening_targets = ", ".join(targets)


def set_adapter_of(target: str, adapter: str | None) -> None:
    """Set the adapter that a target is segmented with from the next start on; None: automatic."""
    settings: Any = get_plugin_settings(PLUGIN)
    adapters = {**preferences().adapters, target: adapter}
    settings.segmentation.adapters = ", ".join(
        f"{name}: {chosen}" for name, chosen in adapters.items() if chosen
    )


def set_cache_folder(folder: str) -> None:
    """Set the folder of downloaded models; empty for the platform's default."""
    settings: Any = get_plugin_settings(PLUGIN)
    settings.downloads.cache_folder = folder


def _pairs(text: str) -> dict[str, str]:
    """Read text such as `disc: my-disc, cup: my-cup`; what is no pair is left out."""
    parts = [part.partition(":") for part in text.split(",")]
    return {name.strip(): value.strip() for name, _, value in parts if value.strip()}


def follow_preferences(context: "PluginContext") -> None:
    """Set environment variables from the Preferences, now and whenever they change.

    A variable that was set otherwise, such as by an administrator, is not changed.

    Parameters
    ----------
    context
        npe2's context of the plugin; when the plugin is deactivated, the variables are unset.
    """
    settings: Any = get_plugin_settings(PLUGIN)
    written: dict[str, str] = {}

    def set_variable(name: str, value: str) -> None:
        if os.environ.get(name, "") != written.get(name, ""):
            return
        written[name] = value
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)

    def update(event: object = None) -> None:
        current = preferences()
        set_variable("SAM2LORA_CACHE", current.cache_folder)
        set_variable("SAM2LORA_OFFLINE", "1" if current.offline else "")

    def stop() -> None:
        settings.downloads.events.disconnect(update)
        for name in written:
            set_variable(name, "")

    settings.downloads.events.connect(update)
    context.register_disposable(stop)
    update()

"""The command line that repeats a training set up in the viewer."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sam2lora.errors import SettingsError
from sam2lora.training.settings import TrainSettings, make_settings
from sam2lora.utils.json_files import parse_json

_OPTIONS = {
    "model": "--model",
    "start_from": "--start-from",
    "lora.rank": "--rank",
    "steps": "--steps",
    "batch": "--batch",
    "device": "--device",
    "seed": "--seed",
}


def command_of(settings: TrainSettings, run: Path, *, preset: str = "standard") -> str:
    """Return the shell command that starts a training with these settings.

    Parameters
    ----------
    settings
        Training settings; paths must be absolute, since the shell may be in any folder.
    run
        Path of the new run folder.
    preset
        Preset that the settings are based on; only differences from it become options.

    Raises
    ------
    SettingsError
        If the preset is unknown.
    """
    roots = [source.root for source in settings.data]
    defaults = make_settings(
        preset, {"target": settings.target, "data": [{"root": root} for root in roots]}
    )
    arguments = ["sam2lora", "train", str(run)]
    for root in roots:
        arguments += ["--data", root]
    arguments += ["--target", settings.target]
    if preset != "standard":
        arguments += ["--preset", preset]
    before, after = defaults.model_dump(mode="json"), settings.model_dump(mode="json")
    for name, value in _differences(before, after):
        if name in _OPTIONS and value is not None:
            arguments += [_OPTIONS[name], str(value)]
        else:
            arguments += ["--set", f"{name}={_as_argument(value)}"]
    return subprocess.list2cmdline(arguments) if os.name == "nt" else shlex.join(arguments)


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in after.items():
        previous, path = before[name], f"{prefix}{name}"
        if isinstance(value, Mapping) and isinstance(previous, Mapping):
            yield from _differences(previous, value, f"{path}.")
        elif value != previous:
            yield path, value


def _as_argument(value: Any) -> str:
    """Format a value as `--set` reads it: strings unquoted, unless they would parse as JSON."""
    if isinstance(value, str):
        try:
            parse_json(value, "--set", error=SettingsError)
        except SettingsError:
            return value
    return json.dumps(value)

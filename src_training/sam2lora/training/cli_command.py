"""The command that does what settings say, for what was chosen in the viewer to be repeated."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sam2lora.training.settings import TrainSettings, make_settings

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
    """Give the command that begins a training with these settings, ready for a shell.

    Parameters
    ----------
    settings
        With absolute paths, since a shell may be anywhere.
    run
        The new run folder.
    preset
        What the settings were made from: only what differs from it is said.

    Raises
    ------
    SettingsError
        If the preset is unknown.
    """
    roots = [source.root for source in settings.data]
    plain = make_settings(
        preset, {"target": settings.target, "data": [{"root": root} for root in roots]}
    )
    words = ["sam2lora", "train", str(run)]
    for root in roots:
        words += ["--data", root]
    words += ["--target", settings.target]
    if preset != "standard":
        words += ["--preset", preset]
    before, after = plain.model_dump(mode="json"), settings.model_dump(mode="json")
    for name, value in _differences(before, after):
        if name in _OPTIONS and value is not None:
            words += [_OPTIONS[name], str(value)]
        else:
            words += ["--set", f"{name}={_as_word(value)}"]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in after.items():
        older, path = before[name], f"{prefix}{name}"
        if isinstance(value, Mapping) and isinstance(older, Mapping):
            yield from _differences(older, value, f"{path}.")
        elif value != older:
            yield path, value


def _as_word(value: Any) -> str:
    """Write a value as `--set` reads it: words as they are, unless they would be read as JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)

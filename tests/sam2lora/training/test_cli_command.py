"""The command line of settings reproduces these settings."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sam2lora.training.cli_command import command_of
from sam2lora.training.settings import TrainSettings, make_settings

CHANGES: dict[str, dict[str, Any]] = {
    "standard": {},
    "quick": {"start_from": "none", "optimizer": {"learning_rate": 5e-4}, "seed": 7},
    "low-memory": {"geometry": {"detail": "whole"}, "lora": {"rank": 8, "alpha": 4}},
    "paper": {"steps": 12, "validation": {"within_images": True}, "device": "cpu"},
}


@pytest.mark.parametrize("preset", list(CHANGES))
def test_command_reproduces_the_settings(
    preset: str,
    eyes: Path,
    tmp_path: Path,
    run_cli: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = [{"root": str(eyes), "include": "p0[0-2]"}]
    changes = {"target": "disc", "data": data}
    settings = make_settings(preset, changes, CHANGES[preset])
    parsed: list[TrainSettings] = []
    module = sys.modules["sam2lora.cli.train"]  # `sam2lora.cli.train` is also the name of a command
    monkeypatch.setattr(module, "_print_plan", lambda settings, console: parsed.append(settings))
    arguments = shlex.split(command_of(settings, tmp_path / "a run", preset=preset))
    assert arguments[:3] == ["sam2lora", "train", str(tmp_path / "a run")]
    assert run_cli(*arguments[1:], "--dry-run").code == 0
    assert parsed == [settings]


def test_command_contains_only_differences_from_the_preset(eyes: Path) -> None:
    settings = make_settings("quick", {"target": "disc", "data": [{"root": str(eyes)}]})
    expected = ["sam2lora", "train", "r", "--data", str(eyes), "--target", "disc"]
    assert shlex.split(command_of(settings, Path("r"), preset="quick")) == [
        *expected,
        *("--preset", "quick"),
    ]


def test_relative_data_root_is_resolved_in_the_run_folder(tmp_path: Path) -> None:
    settings = make_settings("standard", {"data": [{"root": "data/dataset.csv"}]})
    (source,) = settings.counted_from(tmp_path).data
    assert source.root == str(tmp_path / "data/dataset.csv")
    absolute = make_settings("standard", {"data": [{"root": str(tmp_path)}]})
    assert absolute.counted_from(Path("elsewhere")) == absolute
    assert json.loads(settings.model_dump_json())["data"][0]["root"] == "data/dataset.csv"

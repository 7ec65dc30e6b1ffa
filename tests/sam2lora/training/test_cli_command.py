"""The command of settings makes the same settings."""

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
def test_it_makes_the_same_settings(
    preset: str,
    eyes: Path,
    tmp_path: Path,
    run_cli: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = [{"root": str(eyes), "include": "p0[0-2]"}]
    changes = {"target": "disc", "data": data}
    settings = make_settings(preset, changes, CHANGES[preset])
    made: list[TrainSettings] = []
    module = sys.modules["sam2lora.cli.train"]  # the package has a command of that name
    monkeypatch.setattr(module, "_print_plan", lambda chosen, console: made.append(chosen))
    words = shlex.split(command_of(settings, tmp_path / "a run", preset=preset))
    assert words[:3] == ["sam2lora", "train", str(tmp_path / "a run")]
    assert run_cli(*words[1:], "--dry-run").code == 0
    assert made == [settings]


def test_only_what_differs_is_said(eyes: Path) -> None:
    settings = make_settings("quick", {"target": "disc", "data": [{"root": str(eyes)}]})
    expected = ["sam2lora", "train", "r", "--data", str(eyes), "--target", "disc"]
    assert shlex.split(command_of(settings, Path("r"), preset="quick")) == [
        *expected,
        *("--preset", "quick"),
    ]


def test_a_relative_root_counts_from_the_run(tmp_path: Path) -> None:
    settings = make_settings("standard", {"data": [{"root": "data/dataset.csv"}]})
    (source,) = settings.counted_from(tmp_path).data
    assert source.root == str(tmp_path / "data/dataset.csv")
    absolute = make_settings("standard", {"data": [{"root": str(tmp_path)}]})
    assert absolute.counted_from(Path("elsewhere")) == absolute
    assert json.loads(settings.model_dump_json())["data"][0]["root"] == "data/dataset.csv"

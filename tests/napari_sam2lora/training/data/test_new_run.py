"""What the settings of a choice are."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from napari.settings import get_plugin_settings

from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.new_run import PRESETS as OFFERED
from napari_sam2lora.training.data.new_run import TrainingPlan, fitting_adapters
from sam2lora.adapters import install_adapter, list_adapters
from sam2lora.errors import SettingsError
from sam2lora.runs import RunFolder, runs_folder
from sam2lora.targets import TARGETS
from sam2lora.training.settings import PRESETS, validate_settings


def test_every_preset_is_offered() -> None:
    assert OFFERED.keys() == PRESETS.keys()


def test_choices_and_changes_make_settings(folder: Path) -> None:
    get_plugin_settings()["napari-sam2lora"].computing.device = "cpu"
    pairs = pairs_in_folder(folder, "disc")
    draft = TrainingPlan("disc", "nano", "quick", "other", changes={"steps": 12}, pairs=pairs)
    settings = draft.settings()
    assert (settings.target, settings.steps, settings.freeze_encoder) == ("disc", 12, True)
    assert (settings.start_from, settings.device) == ("other", "cpu")
    assert settings.data[0].root == "data/dataset.csv"
    assert not settings.validation.within_images
    alone = TrainingPlan("disc", pairs=pairs[:1]).settings()
    assert alone.validation.within_images
    assert validate_settings(json.loads(alone.model_dump_json())) == alone


def test_the_papers_precision_stays() -> None:
    assert TrainingPlan("disc", preset="paper").settings().precision == "float16"


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(SettingsError, match="steps"):
        TrainingPlan("disc", changes={"steps": 0}).settings()


def test_the_name_is_the_first_free_one(make_adapter: Callable) -> None:
    draft = TrainingPlan("disc", preset="standard")
    assert draft.run_name() == "disc-standard-1"
    install_adapter(make_adapter("disc-standard-1", TARGETS["disc"]))
    RunFolder.create(runs_folder() / "disc-standard-2", "{}")
    assert draft.run_name() == "disc-standard-3"
    assert TrainingPlan("disc", name="mine").run_name() == "mine"


def test_the_command_says_the_same() -> None:
    words = shlex.split(TrainingPlan("disc", preset="low-memory", changes={"steps": 12}).command())
    run = runs_folder() / "disc-low-memory-1"
    assert words[:5] == ["sam2lora", "train", str(run), "--data", str(run / "data/dataset.csv")]
    assert words[5:] == ["--target", "disc", "--preset", "low-memory", "--steps", "12"]


def test_adapters_of_the_target_and_base_fit(make_adapter: Callable) -> None:
    for name, target in (("a", "disc"), ("b", "disc"), ("c", "cup")):
        install_adapter(make_adapter(name, TARGETS[target]))
    adapters = [one for one in list_adapters() if not one.shipped]
    assert {one.name for one in fitting_adapters(adapters, "disc", "nano")} == {"a", "b"}
    assert fitting_adapters(adapters, "disc", "tiny") == []

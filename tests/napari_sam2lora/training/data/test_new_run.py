"""The plan of a training, and the run folder made of it."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from napari.settings import get_plugin_settings

from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.new_run import PRESETS as OFFERED
from napari_sam2lora.training.data.new_run import TrainingPlan, fitting_adapters, write_new_run
from napari_sam2lora.training.data.snapshot import labelled_images
from sam2lora.adapters import install_adapter, list_adapters
from sam2lora.annotations import LabelledImage
from sam2lora.errors import OutputError, SettingsError
from sam2lora.runs import RunFolder, list_runs, runs_folder
from sam2lora.targets import TARGETS
from sam2lora.training.settings import PRESETS, validate_settings


@pytest.fixture
def plan(folder: Path) -> TrainingPlan:
    return TrainingPlan("disc", preset="standard", pairs=pairs_in_folder(folder, "disc"))


def test_every_preset_is_offered() -> None:
    assert OFFERED.keys() == PRESETS.keys()


def test_settings_follow_the_plan(folder: Path) -> None:
    get_plugin_settings()["napari-sam2lora"].computing.device = "cpu"
    pairs = pairs_in_folder(folder, "disc")
    plan = TrainingPlan("disc", "nano", "quick", "other", changes={"steps": 12}, pairs=pairs)
    settings = plan.settings()
    assert (settings.target, settings.steps, settings.freeze_encoder) == ("disc", 12, True)
    assert (settings.start_from, settings.device) == ("other", "cpu")
    assert settings.data[0].root == "data/dataset.csv"
    assert not settings.validation.within_images


def test_single_patient_is_validated_within_images(plan: TrainingPlan) -> None:
    settings = TrainingPlan("disc", pairs=plan.pairs[:1]).settings()
    assert settings.validation.within_images
    assert validate_settings(json.loads(settings.model_dump_json())) == settings


def test_preset_paper_keeps_its_precision() -> None:
    assert TrainingPlan("disc", preset="paper").settings().precision == "float16"


def test_change_out_of_range_is_an_error() -> None:
    with pytest.raises(SettingsError, match="steps"):
        TrainingPlan("disc", changes={"steps": 0}).settings()


def test_run_name_is_the_first_free_one(make_adapter: Callable) -> None:
    plan = TrainingPlan("disc", preset="standard")
    assert plan.run_name() == "disc-standard-1"
    install_adapter(make_adapter("disc-standard-1", TARGETS["disc"]))
    RunFolder.create(runs_folder() / "disc-standard-2", "{}")
    assert plan.run_name() == "disc-standard-3"
    assert TrainingPlan("disc", name="mine").run_name() == "mine"


def test_command_has_the_settings_of_the_plan(tmp_path: Path) -> None:
    plan = TrainingPlan("disc", preset="low-memory", changes={"steps": 12})
    for run, arguments in (
        (runs_folder() / "disc-low-memory-1", shlex.split(plan.command())),
        (tmp_path, shlex.split(plan.command(tmp_path))),
    ):
        assert arguments[:3] == ["sam2lora", "train", str(run)]
        assert arguments[3:5] == ["--data", str(run / "data/dataset.csv")]
        assert arguments[5:] == ["--target", "disc", "--preset", "low-memory", "--steps", "12"]


def test_adapters_of_the_target_and_base_model_fit(make_adapter: Callable) -> None:
    for name, target in (("a", "disc"), ("b", "disc"), ("c", "cup")):
        install_adapter(make_adapter(name, TARGETS[target]))
    adapters = [adapter for adapter in list_adapters() if not adapter.shipped]
    assert {adapter.name for adapter in fitting_adapters(adapters, "disc", "nano")} == {"a", "b"}
    assert fitting_adapters(adapters, "disc", "tiny") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": ()}, "Select at least one"),
        ({"preset": "quick"}, "Choose the preset Standard"),
        ({"changes": {"steps": 0}}, "steps"),
        ({"name": "a/b"}, "is not a valid name"),
        ({"name": "taken"}, "'taken'"),
        ({"name": "precious"}, "'precious' already exists"),
    ],
    ids=["no pair", "no adapter", "setting", "invalid name", "taken by a run", "by an adapter"],
)
def test_plan_that_cannot_be_trained_is_an_error(
    plan: TrainingPlan, make_adapter: Callable, change: dict, message: str
) -> None:
    RunFolder.create(runs_folder() / "taken", "{}")
    install_adapter(make_adapter("precious", TARGETS["disc"]))
    with pytest.raises(SettingsError, match=message):
        replace(plan, **change).new_folder()


def test_run_does_not_exist_before_it_is_complete(plan: TrainingPlan) -> None:
    folder = plan.new_folder()

    def images() -> Iterator[LabelledImage]:
        for image in labelled_images(plan.pairs, plan.target):
            assert list_runs(runs_folder()) == []
            yield image

    assert write_new_run(folder, plan.settings(), images()) == folder
    assert [run.folder for run in list_runs(runs_folder())] == [folder]


def test_nothing_is_left_of_a_run_that_could_not_be_written(
    plan: TrainingPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sam2lora.annotations.training_data.shutil.copyfile", full)
    images = labelled_images(plan.pairs, plan.target)
    with pytest.raises(OutputError, match="No space left"):
        write_new_run(plan.new_folder(), plan.settings(), images)
    assert list(runs_folder().iterdir()) == []

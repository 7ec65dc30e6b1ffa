"""The adapter and geometry of each target, from settings."""

from dataclasses import replace
from typing import Any

import pytest

from sam2lora.errors import AdapterError, TargetError
from sam2lora.inference.settings import PredictSettings
from sam2lora.inference.tasks import adapter_for, tasks_of
from sam2lora.models.loading import LoadedModel, load_base
from sam2lora.models.registry import BASE_MODELS
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.targets import TARGETS

PLAIN: dict[str, Any] = {"images": ("a.png",), "targets": ("disc", "vessel"), "out": "masks"}


@pytest.fixture(scope="module")
def nano() -> LoadedModel:
    return load_base("nano")


def test_repeated_target_is_one_task(nano: LoadedModel):
    tasks = tasks_of(PredictSettings(**PLAIN | {"targets": ("disc", "vessel", "disc")}), nano)
    assert [task.target.name for task in tasks] == ["disc", "vessel"]
    assert [task.geometry.detail for task in tasks] == ["zoom", "tiles"]


def test_settings_override_defaults_of_target(nano: LoadedModel):
    settings = PredictSettings(**PLAIN, detail="whole", threshold=0.2, no_adapter=True)
    for task in tasks_of(settings, nano):
        assert (task.geometry.detail, task.threshold, task.adapter) == ("whole", 0.2, None)


def test_unknown_target_or_adapter_is_refused(nano: LoadedModel):
    with pytest.raises(TargetError, match="iris"):
        tasks_of(PredictSettings(**PLAIN | {"targets": ("iris",)}), nano)
    with pytest.raises(AdapterError, match="none-such"):
        tasks_of(PredictSettings(**PLAIN, adapter="none-such"), nano)


def test_sam2_base_without_adapter_needs_a_prompt(nano: LoadedModel):
    tiny = replace(nano, spec=BASE_MODELS["tiny"])
    with pytest.raises(AdapterError, match="only follows points and boxes"):
        adapter_for(tiny, TARGETS["disc"], no_adapter=True)
    assert adapter_for(tiny, TARGETS["disc"], no_adapter=True, prompted=True) is None
    prompted = PredictSettings(
        **PLAIN | {"targets": ("disc",)}, points=(PointPrompt(1, 2),), no_adapter=True
    )
    assert tasks_of(prompted, tiny)[0].prompts.points == (PointPrompt(1, 2),)

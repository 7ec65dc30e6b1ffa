"""The choice of model, device and adapters."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2lora._settings import PLUGIN
from napari_sam2lora.segmentation.model_choice import ModelChoices
from napari_sam2lora.segmentation.requests import ComputeSettings, ModelChoice
from sam2lora.targets import TARGETS

from .conftest import DISC, Core


@pytest.fixture
def choices() -> ModelChoices:
    """Create choices with their defaults."""
    return ModelChoices()


def test_defaults_are_nano_and_the_preferences(choices: ModelChoices) -> None:
    from napari.settings import get_plugin_settings

    assert choices.compute == ComputeSettings("nano", "auto", "auto")
    get_plugin_settings()[PLUGIN].computing.device = "cpu"
    assert choices.compute.device == "cpu"
    choices.set_compute("tiny", "cuda:1", "float16")
    assert choices.compute == ComputeSettings("tiny", "cuda:1", "float16")


def test_choice_belongs_to_one_target(choices: ModelChoices) -> None:
    choices.set_choice(DISC, ModelChoice(adapter="mine"))
    assert choices.choice(DISC).adapter == "mine"
    assert choices.choice(TARGETS["cup"]) == ModelChoice()


@pytest.mark.parametrize(
    "change",
    [
        lambda choices: choices.set_compute("tiny"),
        lambda choices: choices.set_choice(DISC, ModelChoice(no_adapter=True)),
        lambda choices: choices.set_start_from_mask(True),
    ],
    ids=["model", "choice", "start from mask"],
)
def test_change_is_emitted_and_outdates_earlier_requests(core: Core, change) -> None:
    request = core.queue.make_request(core.image, DISC)
    assert core.choices.match(request)
    with core.qtbot.waitSignal(core.choices.changed, timeout=1000):
        change(core.choices)
    assert not core.choices.match(request)


def test_other_targets_choice_does_not_outdate_a_request(core: Core) -> None:
    request = core.queue.make_request(core.image, DISC)
    core.choices.set_choice(TARGETS["cup"], ModelChoice(no_adapter=True))
    assert core.choices.match(request)


def test_reloaded_adapters_have_another_revision(core: Core) -> None:
    before = core.queue.make_request(core.image, DISC)
    core.choices.reload_adapters()
    after = core.queue.make_request(core.image, DISC)
    assert before.adapters_revision != after.adapters_revision
    assert core.choices.match(before)  # a result by the same adapter name stays valid


def test_adapter_of_the_disc_outdates_a_cup_that_it_was_to_find(core: Core) -> None:
    cup = TARGETS["cup"]
    request = core.queue.make_request(core.image, cup)
    core.choices.set_choice(DISC, ModelChoice(adapter="mine"))
    assert core.choices.outer_adapter(cup) == "mine"
    assert core.choices.outer_adapter(DISC) is None
    assert not core.choices.match(request)
    assert core.choices.match(replace(request, outer_mask=np.ones((2, 2), np.bool_)))

"""The Segment dock uses a trained adapter, and releases the GPU for a training."""

from types import SimpleNamespace

import pytest

from sam2lora.adapters import find_adapter
from sam2lora.errors import AdapterError
from sam2lora.targets import TARGETS

from ..helpers import press
from ..segmentation_window import Window

pytestmark = pytest.mark.viewer


def test_new_weights_of_the_same_adapter_are_used(window: Window, install_for_nano):
    install_for_nano("mine")
    window.dock.use_adapter("mine")
    window.segment()
    before = window.session.result.prediction.probabilities.copy()
    weights = install_for_nano("other-weights").weights.read_bytes()
    find_adapter("mine").weights.write_bytes(weights)  # as after a better validation
    window.dock.use_adapter("mine")
    window.segment()
    assert abs(window.session.result.prediction.probabilities - before).max() > 1e-4


def test_adapter_of_another_target_and_base_is_selected_for_that_target(
    window: Window, install_for_nano, monkeypatch: pytest.MonkeyPatch
):
    # Its tensors are those of nano, which fit no other base.
    monkeypatch.setattr("sam2lora.adapters.store.check_tensors", lambda adapter: None)
    install_for_nano("cups", TARGETS["cup"], base={"name": "tiny", "identity": "0" * 64})
    window.dock.use_adapter("cups")
    assert window.session.target.name == "disc"
    assert window.session.choices.model == "tiny"
    assert window.session.choices.choice(TARGETS["cup"]).adapter == "cups"
    assert window.session.choices.choice(TARGETS["disc"]).adapter is None


def test_missing_adapter_is_an_error(window: Window):
    with pytest.raises(AdapterError):
        window.dock.use_adapter("nobody")


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_gpu_is_released_for_a_training_but_main_memory_is_not(
    window: Window, monkeypatch: pytest.MonkeyPatch, kind: str
):
    window.segment()
    engine, released = window.session.queue.engine, []
    monkeypatch.setattr("sam2lora.compute.device.release_memory", released.append)
    device = SimpleNamespace(type=kind)
    monkeypatch.setattr(engine, "_predictor", SimpleNamespace(device=device))
    window.dock.free_gpu("auto")
    window.idle()
    assert (engine._predictor is None) == (kind == "cuda")
    assert released == ([device] if kind == "cuda" else [])


def test_result_of_a_replaced_image_is_reported(window: Window):
    press(window.dock, "Segment")
    image = window.viewer.layers["photo"]
    image.data = image.data[::-1].copy()
    window.idle()
    assert "image has changed" in " ".join(window.messages)

"""What the Train dock hands over to the Segment dock of its viewer."""

from types import SimpleNamespace

import pytest

from napari_sam2lora.qt.dock_protocol import free_gpu, use_adapter
from sam2lora.adapters import find_adapter
from sam2lora.errors import AdapterError
from sam2lora.targets import TARGETS

from ..segmentation_window import Window

pytestmark = pytest.mark.viewer


def test_an_adapter_that_was_just_trained_is_chosen_and_answers(window: Window, install_for_nano):
    window.segment()
    install_for_nano("mine")
    use_adapter(window.viewer, "mine")
    assert window.dock.model_panel.adapter.currentData() == "mine"
    window.segment()
    assert window.session.result.task.adapter.name == "mine"
    before = window.session.result.prediction.probabilities.copy()
    # The next validation was better: the same name has other weights.
    better = install_for_nano("other-weights")
    weights = find_adapter("mine").weights
    weights.write_bytes(better.weights.read_bytes())
    use_adapter(window.viewer, "mine")
    window.segment()
    assert abs(window.session.result.prediction.probabilities - before).max() > 1e-4


def test_one_for_another_target_and_base_waits_there(window: Window, install_for_nano):
    install_for_nano("cups", TARGETS["cup"], base={"name": "tiny", "identity": "0" * 64})
    use_adapter(window.viewer, "cups")
    assert window.session.target.name == "disc"
    assert window.session.choices.model == "tiny"
    assert window.session.choices.choice(TARGETS["cup"]).adapter == "cups"
    assert window.session.choices.choice(TARGETS["disc"]).adapter is None


def test_one_that_is_not_there_is_refused(window: Window):
    with pytest.raises(AdapterError):
        use_adapter(window.viewer, "nobody")


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_gpu_is_freed_for_the_training_and_main_memory_is_not(
    window: Window, monkeypatch: pytest.MonkeyPatch, kind: str
):
    window.segment()
    engine, released = window.session.queue.engine, []
    monkeypatch.setattr("sam2lora.compute.device.release_memory", released.append)
    device = SimpleNamespace(type=kind)
    monkeypatch.setattr(engine, "_predictor", SimpleNamespace(device=device))
    free_gpu(window.viewer, "auto")
    window.idle()
    assert (engine._predictor is None) == (kind == "cuda")
    assert released == ([device] if kind == "cuda" else [])

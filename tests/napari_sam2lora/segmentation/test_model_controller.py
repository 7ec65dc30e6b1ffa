"""Choosing what answers: base model, adapter, detail and device."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from qtpy.QtWidgets import QComboBox

from napari_sam2lora.segmentation.requests import DeviceInfo
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER
from sam2lora.adapters import delete_adapter
from sam2lora.errors import DeviceError
from sam2lora.targets import TARGETS

from ..segmentation_window import WAIT, Window, pick, press

pytestmark = pytest.mark.viewer


def listed(box: QComboBox) -> list[str]:
    return [box.itemData(number) for number in range(box.count())]


def test_an_adapter_made_a_minute_ago_is_in_the_list_and_answers(window: Window, install_for_nano):
    adapters = window.dock.model_panel.adapter
    window.segment()
    bare = np.array(window.preview().data)
    assert listed(adapters)[:2] == [AUTOMATIC, NO_ADAPTER]
    with window.qtbot.waitSignal(window.dock.models.watch.changed, timeout=WAIT):
        install_for_nano("just-made", validation={"dice": 0.91, "start_dice": 0.7})
        install_for_nano("for-vessels", TARGETS["vessel"])
        window.dock.model_panel.adapters_requested.emit()  # the list is opened
    assert "just-made" in listed(adapters)
    assert "for-vessels" not in listed(adapters)
    assert "Dice 0.910 (before 0.700)" in adapters.itemText(listed(adapters).index("just-made"))
    window.segment()  # automatic now is the new one
    assert window.session.result.task.adapter.name == "just-made"
    assert np.abs(bare - window.preview().data).max() > 1e-4
    assert window.dock.threshold.number.value() == 0.45
    pick(adapters, NO_ADAPTER)
    window.segment()
    np.testing.assert_allclose(window.preview().data, bare, atol=1e-6)
    pick(adapters, "just-made")
    delete_adapter("just-made")
    window.dock.models.refresh_adapters()
    assert "no longer installed" in window.dock.warnings.text()


def test_cancel_does_not_keep_a_new_adapter_from_being_found(
    window: Window, install_for_nano, monkeypatch: pytest.MonkeyPatch
):
    window.segment()
    begun, go_on = threading.Event(), threading.Event()
    real = window.session.queue.engine.segment

    def slow(question, report):
        begun.set()
        assert go_on.wait(60)
        return real(question, report)

    monkeypatch.setattr(window.session.queue.engine, "segment", slow)
    press(window.dock, "Segment")
    window.qtbot.waitUntil(begun.is_set, timeout=WAIT)
    with window.qtbot.waitSignal(window.dock.models.watch.changed, timeout=WAIT):
        install_for_nano("just-made")
        window.dock.models.refresh_adapters()
    window.cancel()
    go_on.set()
    window.idle()
    window.segment()
    assert window.session.result.task.adapter.name == "just-made"


def test_switching_adapters_encodes_nothing_again(window: Window, install_for_nano, monkeypatch):
    """Decoder LoRA shares the features of the bare base."""
    install_for_nano("one")
    window.dock.models.refresh_adapters()
    window.idle()
    pick(window.dock.model_panel.adapter, "one")
    window.segment()
    encoded: list[object] = []
    monkeypatch.setattr(
        "sam2lora.inference.predictor.Predictor._encode_batch",
        lambda *given: encoded.append(given) or [],
    )
    pick(window.dock.model_panel.adapter, NO_ADAPTER)
    window.segment()
    with window.wait_result():
        window.click(90, 90)
    assert encoded == []


def test_detail_is_chosen_for_each_target(window: Window):
    pick(window.dock.model_panel.input_mode, "tiles")
    window.segment()
    assert window.session.result.task.geometry.detail == "tiles"
    pick(window.dock.targets.targets, "cup")
    assert window.dock.model_panel.input_mode.currentData() == "whole"
    pick(window.dock.targets.targets, "disc")
    assert window.dock.model_panel.input_mode.currentData() == "tiles"


@pytest.fixture
def computing() -> object:
    return get_plugin_settings()["napari-sam2lora"].computing


def test_device_and_precision_of_the_preferences_count(window: Window, computing):
    computing.device, computing.precision = "cpu", "bfloat16"
    window.segment()
    predictor = window.session.queue.engine._predictor
    assert (str(predictor.device), predictor.precision) == ("cpu", "bfloat16")
    computing.device = "tpu"
    with window.qtbot.waitSignal(window.session.message, timeout=WAIT):
        window.dock.segment()
    assert "No device is called 'tpu'" in window.messages[-1]
    pick(window.dock.model_panel.device, "cpu")  # the dock's own choice goes before them
    window.idle()
    window.segment()


def test_it_says_what_computes(window: Window):
    pick(window.dock.model_panel.device, "cpu")
    window.idle()
    assert "Runs on cpu in" in window.dock.model_panel.message.text()


def test_a_gpu_that_is_not_used_is_said_where_it_is_seen(
    window: Window, monkeypatch: pytest.MonkeyPatch
):
    window.idle()
    assert not window.dock.warnings.text()
    monkeypatch.setattr(
        "sam2lora.compute.device.gpu_hint", lambda: "To use the GPU: pip install this"
    )
    pick(window.dock.model_panel.device, "cpu")
    window.idle()
    assert window.dock.warnings.text() == "To use the GPU: pip install this"


def test_a_gpu_that_cannot_be_used_is_said_where_it_is_seen(
    window: Window, monkeypatch: pytest.MonkeyPatch
):
    def none(_: str) -> None:
        raise DeviceError("No CUDA device can be used here.")

    with monkeypatch.context() as patch:
        patch.setattr("sam2lora.compute.device.choose_device", none)
        pick(window.dock.model_panel.device, "cuda")
        window.idle()
    assert window.dock.warnings.text() == "No CUDA device can be used here."
    pick(window.dock.model_panel.device, "cpu")
    window.idle()
    assert not window.dock.warnings.text()


def test_memory_is_judged_for_each_target(window: Window):
    window.segment()
    window.session.queue.device_ready.emit(DeviceInfo("Computes on a tiny GPU.", free=1))
    assert window.dock.warnings.text() == ""  # the disc was answered already
    window.dock.models.warn(*TARGETS.values())
    assert "pixels need" in window.dock.warnings.text()


def test_segment_all_warns_of_every_target(window: Window, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    pick(window.dock.model_panel.model, "tiny")
    assert "no adapter for vessel" not in window.dock.warnings.text()
    press(window.dock, "Segment all")
    for name in TARGETS:
        assert f"no adapter for {name} on tiny" in window.dock.warnings.text()
    window.idle()


def test_a_model_that_cannot_be_had_is_said(window: Window, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    pick(window.dock.model_panel.model, "tiny")
    assert "downloads are off" in window.dock.warnings.text()
    window.dock.segment()
    window.idle()
    assert "are not on this computer" in window.messages[-1]
    pick(window.dock.model_panel.model, "nano")
    window.segment()


def test_a_download_shows_how_far_it_is_and_can_be_cancelled(
    window: Window, monkeypatch: pytest.MonkeyPatch
):
    window.segment()
    bar, cancelled = window.dock.progress.bar, threading.Event()

    def load(model, *, progress):
        progress(1_000_000, 156_000_000)
        assert cancelled.wait(60)
        progress(2_000_000, 156_000_000)

    monkeypatch.setattr("sam2lora.models.loading.load_base", load)
    pick(window.dock.model_panel.model, "tiny")
    window.dock.segment()
    window.qtbot.waitUntil(lambda: bar.format() == "Downloading tiny: 1 of 156 MB", timeout=WAIT)
    window.cancel()
    cancelled.set()
    window.idle()
    assert window.messages[-1] == "Cancelled."


@pytest.mark.parametrize(
    ("shape", "words"),
    [((3, 60000, 50000), "50000 × 60000 pixels need"), ((5, 60000, 50000), "")],
    ids=["channels first", "a stack"],
)
def test_memory_is_judged_by_the_size_of_the_photograph(
    window: Window, shape: tuple[int, ...], words: str
):
    window.idle()
    large = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), shape)
    setup = window.dock.models
    window.session.image = SimpleNamespace(
        name="large",
        metadata={},
        as_layer_data_tuple=lambda: (large, {"name": "large", "rgb": False}, "image"),
    )
    setup.warn()
    assert words in window.dock.warnings.text()
    assert words or not window.dock.warnings.text()
    window.session.image = None

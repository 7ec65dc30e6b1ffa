"""Choosing the base model, adapter, input mode and device."""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from qtpy.QtWidgets import QComboBox

from napari_sam2lora._settings import set_adapter_of
from napari_sam2lora.segmentation.requests import DeviceInfo
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER
from sam2lora.adapters import delete_adapter
from sam2lora.errors import DeviceError
from sam2lora.targets import TARGETS, Target, save_target

from ..helpers import pick, press
from ..segmentation_window import WAIT, Held, Window

pytestmark = pytest.mark.viewer


def entries(box: QComboBox) -> list[str]:
    return [box.itemData(number) for number in range(box.count())]


def test_new_adapter_is_listed_and_used(window: Window, install_for_nano):
    adapters = window.dock.model_panel.adapter
    window.segment()
    no_adapter = np.array(window.preview().data)
    assert entries(adapters)[:2] == [AUTOMATIC, NO_ADAPTER]
    with window.qtbot.waitSignal(window.dock.models.watch.changed, timeout=WAIT):
        install_for_nano("just-made", validation={"dice": 0.91, "start_dice": 0.7})
        install_for_nano("for-vessels", TARGETS["vessel"])
        window.dock.model_panel.adapters_requested.emit()  # as when the list opens
    assert "just-made" in entries(adapters)
    assert "for-vessels" not in entries(adapters)
    assert "Dice 0.910 (before 0.700)" in adapters.itemText(entries(adapters).index("just-made"))
    window.segment()  # automatic takes the new one
    assert window.session.result.task.adapter.name == "just-made"
    assert np.abs(no_adapter - window.preview().data).max() > 1e-4
    assert window.dock.threshold.number.value() == 0.45
    pick(adapters, NO_ADAPTER)
    window.segment()
    np.testing.assert_allclose(window.preview().data, no_adapter, atol=1e-6)
    pick(adapters, "just-made")
    delete_adapter("just-made")
    window.dock.models.refresh_adapters()
    assert "no longer installed" in window.dock.progress.warnings.text()


def test_new_adapter_is_found_after_cancel(
    window: Window, install_for_nano, hold: Callable[[], Held]
):
    window.segment()
    held = hold()
    press(window.dock, "Segment")
    window.qtbot.waitUntil(held.started.is_set, timeout=WAIT)
    with window.qtbot.waitSignal(window.dock.models.watch.changed, timeout=WAIT):
        install_for_nano("just-made")
        window.dock.models.refresh_adapters()
    window.cancel()
    held.resume.set()
    window.idle()
    window.segment()
    assert window.session.result.task.adapter.name == "just-made"


def test_switching_decoder_adapters_does_not_encode_again(
    window: Window, install_for_nano, monkeypatch
):
    """Adapters of the decoder share the embeddings of the base model."""
    install_for_nano("one")
    window.dock.models.refresh_adapters()
    window.idle()
    pick(window.dock.model_panel.adapter, "one")
    window.segment()
    encoded: list[object] = []
    monkeypatch.setattr(
        "sam2lora.inference.window_predictor.WindowPredictor._encode_batch",
        lambda *args: encoded.append(args) or [],
    )
    pick(window.dock.model_panel.adapter, NO_ADAPTER)
    window.segment()
    with window.wait_result():
        window.click(90, 90)
    assert encoded == []


def test_input_mode_is_chosen_for_each_target(window: Window):
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


def test_device_and_precision_of_the_preferences_are_used(window: Window, computing):
    computing.device, computing.precision = "cpu", "bfloat16"
    window.segment()
    predictor = window.session.queue.engine._predictor
    assert (str(predictor.device), predictor.precision) == ("cpu", "bfloat16")
    computing.device = "tpu"
    with window.qtbot.waitSignal(window.session.message, timeout=WAIT):
        window.dock.segment()
    assert "No device is called 'tpu'" in window.messages[-1]
    pick(window.dock.model_panel.device, "cpu")  # the choice in the dock takes precedence
    window.idle()
    window.segment()


def test_device_is_shown(window: Window):
    pick(window.dock.model_panel.device, "cpu")
    window.idle()
    assert "Runs on cpu in" in window.dock.model_panel.message.text()


def test_hint_about_an_unused_gpu_is_shown(window: Window, monkeypatch: pytest.MonkeyPatch):
    window.idle()
    assert not window.dock.progress.warnings.text()
    monkeypatch.setattr(
        "sam2lora.compute.device.gpu_hint", lambda: "To use the GPU: pip install this"
    )
    pick(window.dock.model_panel.device, "cpu")
    window.idle()
    assert window.dock.progress.warnings.text() == "To use the GPU: pip install this"


def test_error_of_an_unusable_gpu_is_shown(window: Window, monkeypatch: pytest.MonkeyPatch):
    def none(_: str) -> None:
        raise DeviceError("No CUDA device can be used here.")

    with monkeypatch.context() as patch:
        patch.setattr("sam2lora.compute.device.choose_device", none)
        pick(window.dock.model_panel.device, "cuda")
        window.idle()
    assert window.dock.progress.warnings.text() == "No CUDA device can be used here."
    pick(window.dock.model_panel.device, "cpu")
    window.idle()
    assert not window.dock.progress.warnings.text()


def test_memory_warning_is_for_each_target(window: Window):
    window.segment()
    window.session.queue.device_ready.emit(DeviceInfo("Computes on a tiny GPU.", free=1))
    assert window.dock.progress.warnings.text() == ""  # the disc was segmented already
    window.dock.models.warn(*TARGETS.values())
    assert "pixels need" in window.dock.progress.warnings.text()


def test_segment_all_warns_of_every_target(window: Window, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    pick(window.dock.model_panel.model, "tiny")
    assert "no adapter for vessel" not in window.dock.progress.warnings.text()
    press(window.dock, "Segment all")
    for name in TARGETS:
        assert f"no adapter for {name} on tiny" in window.dock.progress.warnings.text()
    window.idle()


def test_model_that_cannot_be_downloaded_is_explained(
    window: Window, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    pick(window.dock.model_panel.model, "tiny")
    assert "downloads are off" in window.dock.progress.warnings.text()
    window.dock.segment()
    window.idle()
    assert "are not on this computer" in window.messages[-1]
    pick(window.dock.model_panel.model, "nano")
    window.segment()


def test_download_shows_progress_and_can_be_cancelled(
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
    ("shape", "warning"),
    [((3, 60000, 50000), "50000 × 60000 pixels need"), ((5, 60000, 50000), "")],
    ids=["channels first", "a stack"],
)
def test_memory_warning_uses_the_size_of_the_image(
    window: Window, shape: tuple[int, ...], warning: str
):
    window.idle()
    large = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), shape)
    models = window.dock.models
    window.session.image = SimpleNamespace(
        name="large",
        metadata={},
        as_layer_data_tuple=lambda: (large, {"name": "large", "rgb": False}, "image"),
    )
    models.warn()
    assert warning in window.dock.progress.warnings.text()
    assert warning or not window.dock.progress.warnings.text()
    window.session.image = None


def reopened(window: Window) -> QComboBox:
    """Close the dock, open it again, and return its list of adapters."""
    window.viewer.window.remove_dock_widget("all")
    _, dock = window.viewer.window.add_plugin_dock_widget("napari-sam2lora", "Segment")
    return dock.model_panel.adapter


def test_adapter_trained_last_is_the_default_of_a_new_window(window: Window, install_for_nano):
    install_for_nano("disc-quick-1")
    window.dock.use_adapter("disc-quick-1")
    assert reopened(window).currentData() == "disc-quick-1"
    pick(reopened(window), AUTOMATIC)  # the later choice counts
    assert reopened(window).currentData() == AUTOMATIC


def test_adapter_for_another_base_is_not_the_default(
    window: Window, install_for_nano, monkeypatch: pytest.MonkeyPatch
):
    adapter = install_for_nano("for-tiny")
    base = adapter.card.base.model_copy(update={"name": "tiny"})
    other = replace(adapter, card=adapter.card.model_copy(update={"base": base}))
    monkeypatch.setattr("napari_sam2lora.adapters.list_adapters", lambda: [other])
    set_adapter_of("disc", "for-tiny")
    adapters = reopened(window)
    assert adapters.currentData() == AUTOMATIC
    assert "for tiny" in adapters.itemText(entries(adapters).index("for-tiny"))


def test_segment_all_segments_an_own_target_once_it_has_an_adapter(
    window: Window, install_for_nano
):
    drusen = Target(name="drusen", label=9, color="#112233")
    save_target(drusen)
    assert drusen not in window.dock.models.targets_to_segment()
    install_for_nano("for-drusen", drusen)
    window.dock.models.refresh_adapters()
    usable = window.dock.models.targets_to_segment()
    assert [one.name for one in usable][:4] == [*TARGETS, "drusen"]
    press(window.dock, "Segment all")
    window.idle()
    assert window.preview("drusen").visible

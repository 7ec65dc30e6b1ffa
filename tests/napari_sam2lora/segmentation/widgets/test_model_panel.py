"""The model panel: its lists and what it emits."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER, ModelPanel

from ...helpers import pick


@pytest.fixture
def panel(qtbot: QtBot) -> ModelPanel:
    """Create a panel with two base models and one adapter."""
    panel = ModelPanel()
    qtbot.addWidget(panel)
    panel.show_models([("nano (3 M weights)", "nano"), ("tiny (39 M weights)", "tiny")], "nano")
    panel.show_adapters([("mine, Dice 0.9", "mine")], "mine")
    return panel


def test_selections_are_emitted_as_values(panel: ModelPanel):
    emitted: list[object] = []
    for signal in (
        panel.model_selected,
        panel.adapter_selected,
        panel.input_mode_selected,
        panel.device_selected,
    ):
        signal.connect(emitted.append)
    pick(panel.model, "tiny")
    pick(panel.adapter, NO_ADAPTER)
    pick(panel.input_mode, "tiles")
    pick(panel.input_mode, None)
    pick(panel.device, "cuda")
    assert emitted == ["tiny", NO_ADAPTER, "tiles", None, "cuda"]


def test_showing_values_emits_nothing(panel: ModelPanel):
    emitted: list[object] = []
    panel.adapter_selected.connect(emitted.append)
    panel.input_mode_selected.connect(emitted.append)
    panel.show_adapters([], "gone")
    panel.show_input_mode("zoom")
    assert emitted == []
    assert panel.adapter.currentData() == AUTOMATIC
    assert panel.input_mode.currentText() == "Cropped around the target"


def test_opening_the_adapters_requests_them(panel: ModelPanel, qtbot: QtBot):
    with qtbot.waitSignal(panel.adapters_requested, timeout=1000):
        panel.adapter.showPopup()
    panel.adapter.hidePopup()

"""The threshold, and how a prediction is accepted."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.threshold_controls import ThresholdControls

from ...helpers import pick


@pytest.fixture
def controls(qtbot: QtBot) -> ThresholdControls:
    """Create the controls."""
    controls = ThresholdControls()
    qtbot.addWidget(controls)
    return controls


def test_slider_and_number_show_the_same_threshold(controls: ThresholdControls):
    emitted: list[float] = []
    controls.threshold_changed.connect(emitted.append)
    controls.show_threshold(0.4)
    assert emitted == []
    assert (controls.slider.value(), controls.number.value()) == (400, 0.4)
    controls.slider.setValue(700)
    controls.number.setValue(0.123)
    assert emitted == [0.7, 0.123]
    assert controls.slider.value() == 123


@pytest.mark.parametrize("mode", ["replace", "add", "empty"])
def test_accept_mode_is_the_selected_one(controls: ThresholdControls, mode: str):
    pick(controls.mode, mode)
    assert controls.accept_mode == mode

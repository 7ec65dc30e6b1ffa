"""The switch that segments on opening."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.opening_controls import OpeningControls

from ...helpers import press

NAMES = ("vessel", "disc", "cup", "drusen")


@pytest.fixture
def controls(qtbot: QtBot) -> OpeningControls:
    controls = OpeningControls()
    qtbot.addWidget(controls)
    controls.show_state(on=False, names=NAMES, checked=NAMES[:3])
    return controls


def test_targets_are_those_checked_while_the_switch_is_on(controls: OpeningControls):
    changes: list[tuple[str, ...]] = []
    controls.changed.connect(lambda: changes.append(controls.targets))
    assert controls.targets == ()
    assert controls.checked == NAMES[:3]
    press(controls, "Segment on opening")
    press(controls, "vessel")
    press(controls, "Segment on opening")
    assert changes == [NAMES[:3], ("disc", "cup"), ()]


def test_box_stays_as_the_user_set_it(controls: OpeningControls):
    press(controls, "cup")
    controls.show_state(on=True, names=("disc", "cup", "veins"), checked=("cup", "veins"))
    assert controls.targets == ("disc", "veins")

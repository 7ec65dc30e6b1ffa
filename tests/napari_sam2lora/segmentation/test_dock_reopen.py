"""A closed dock leaves previews and prompts in order, and a reopened one continues with them."""

import pytest
from qtpy.QtWidgets import QAbstractButton

from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.targets import TARGETS

from ..helpers import pick, press
from ..segmentation_window import Window

pytestmark = pytest.mark.viewer


def test_reopened_dock_continues_with_the_selected_points_layer(window: Window, qtbot):
    window.session.set_target("cup")
    window.segment()
    window.session.set_positive(False)
    window.viewer.window.remove_dock_widget(window.dock)
    again = Window(window.viewer, qtbot)
    assert again.viewer.layers.selection.active.name == "photo cup points"
    assert (again.session.target.name, again.session.tool) == ("cup", "point")
    buttons = again.dock.prompts.findChildren(QAbstractButton)
    assert [button.text() for button in buttons if button.isChecked()] == ["+ Point"]
    with again.wait_result():
        again.click(60, 80)
    (point,) = again.session.result.request.prompts.points
    assert point.positive
    again.session.close()


def make_outdated(window: Window) -> float:
    """Make the result outdated, and return the opacity of its preview before."""
    window.segment()
    opacity = window.preview().opacity
    window.session.choices.set_choice(TARGETS["disc"], ModelChoice(detail="zoom"))
    assert window.preview().opacity < opacity
    return opacity


def test_preview_recovers_its_opacity_when_the_dock_is_closed(window: Window, qtbot):
    opacity = make_outdated(window)
    window.viewer.window.remove_dock_widget(window.dock)
    again = Window(window.viewer, qtbot)
    assert again.preview().opacity == opacity
    again.segment()
    assert again.preview().opacity == opacity
    press(again.dock, "Accept")
    assert "photo disc" in again.viewer.layers
    again.session.close()


def test_window_with_an_outdated_preview_can_be_closed(window: Window):
    make_outdated(window)
    window.viewer.close()
    window.qtbot.wait(50)


def test_reopened_dock_adopts_existing_prompts(window: Window, qtbot):
    window.segment()
    for x in (80, 90):
        with window.wait_result():
            window.click(x, 80)
    window.session.set_target("cup")
    window.segment()
    window.viewer.window.remove_dock_widget(window.dock)
    window.viewer.layers["photo disc points"].visible = True
    again = Window(window.viewer, qtbot)
    assert not again.viewer.layers["photo disc points"].visible  # the cup is current
    pick(again.dock.targets.targets, "disc")
    assert not again.viewer.layers["photo cup points"].visible
    assert len(again.session.prompts.at(again.session.target_key).points) == 2
    again.idle()
    assert again.session.results.latest == {}
    with again.wait_result():
        again.click(100, 80)
    assert len(again.session.result.request.prompts.points) == 3
    with again.wait_result():
        press(again.dock.prompts, "Clear")
    assert len(again.points().data) == 0
    again.session.close()

"""A dock that is closed leaves things in order, and one that is opened again goes on with them."""

import pytest
from qtpy.QtWidgets import QAbstractButton

from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.targets import TARGETS

from ..segmentation_window import Window, pick, press

pytestmark = pytest.mark.viewer


def test_it_goes_on_with_the_selected_points_and_the_sign_it_shows(window: Window, qtbot):
    window.session.set_target("cup")
    window.segment()
    window.session.set_positive(False)
    window.viewer.window.remove_dock_widget(window.dock)
    again = Window(window.viewer, qtbot)
    assert again.viewer.layers.selection.active.name == "photo cup points"
    assert (again.session.target.name, again.session.tool) == ("cup", "point")
    pressed = [one for one in again.dock.prompts.findChildren(QAbstractButton) if one.isChecked()]
    assert [one.text() for one in pressed] == ["+ Point"]
    with again.wait_result():
        again.click(60, 80)
    (click,) = again.session.result.request.prompts.points
    assert click.positive
    again.session.close()


def make_old(window: Window) -> float:
    """Let the answer be out of date, and give the opacity it had before."""
    window.segment()
    usual = window.preview().opacity
    window.session.choices.set_choice(TARGETS["disc"], ModelChoice(detail="zoom"))
    assert window.preview().opacity < usual
    return usual


def test_an_answer_is_not_pale_because_of_a_dock_that_was_closed(window: Window, qtbot):
    usual = make_old(window)
    window.viewer.window.remove_dock_widget(window.dock)
    again = Window(window.viewer, qtbot)
    assert again.preview().opacity == usual
    again.segment()
    assert again.preview().opacity == usual
    press(again.dock, "Accept")
    assert "photo disc" in again.viewer.layers
    again.session.close()


def test_a_window_may_be_closed_with_an_old_answer(window: Window):
    make_old(window)
    window.viewer.close()
    window.qtbot.wait(50)


def test_a_dock_that_is_opened_again_knows_the_prompts_that_are_there(window: Window, qtbot):
    window.segment()
    for x in (80, 90):
        with window.wait_result():
            window.click(x, 80)
    window.session.set_target("cup")
    window.segment()
    window.viewer.window.remove_dock_widget(window.dock)
    window.viewer.layers["photo disc points"].visible = True
    again = Window(window.viewer, qtbot)
    assert not again.viewer.layers["photo disc points"].visible  # it goes on with the cup
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

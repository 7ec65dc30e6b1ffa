"""The Segment dock in a window: what a user presses, clicks and sees."""

import numpy as np
import pytest

from napari_sam2lora.layers.metadata import plugin_metadata
from sam2lora.inference.segment import segment_prepared
from sam2lora.targets import TARGETS

from ..segmentation_window import Window, fundus, pick, press

pytestmark = pytest.mark.viewer


def test_segment_shows_an_answer_and_a_click_changes_it(window: Window):
    window.segment()
    first = window.values()
    assert first.shape == (200, 200)
    assert 0 < first.max() <= 1
    assert window.session.tool == "point"
    with window.wait_result():
        window.click(60, 80)
    second = window.values()
    assert np.abs(first - second).max() > 1e-4
    window.dock.toggle_positive()
    with window.wait_result():
        window.click(120, 90)
    signs = [
        click.positive for click in window.session.prompts.at(window.session.target_key).points
    ]
    assert signs == [True, False]
    with window.wait_result():
        press(window.dock, "Undo")
    np.testing.assert_array_equal(window.values(), second)
    with window.wait_result():
        press(window.dock.prompts, "Clear")
    np.testing.assert_allclose(window.values(), first, atol=1e-6)


def test_it_answers_for_the_chosen_target_whatever_mask_is_selected(window: Window):
    from napari_sam2lora.layers.masks import add_mask

    vessels = add_mask(window.viewer, window.session.image, TARGETS["vessel"])
    window.viewer.layers.selection.active = vessels
    assert window.session.target.name == "vessel"  # it follows the user
    pick(window.dock.targets.targets, "disc")
    window.segment()
    assert window.session.target.name == "disc"
    assert window.session.result is not None
    assert window.viewer.layers.selection.active.name == "photo disc points"


@pytest.mark.parametrize("button", ["Clear", "Undo"])
@pytest.mark.parametrize("positive", [True, False])
def test_the_next_click_has_the_sign_that_is_shown(window: Window, button: str, positive: bool):
    window.segment()
    for sign in (not positive, positive):
        window.session.set_positive(sign)
        with window.wait_result():
            window.click(60, 80)
    with window.wait_result():
        press(window.dock.prompts, button)
    with window.wait_result():
        window.click(120, 90)
    said = window.session.prompts.at(window.session.target_key).points[-1]
    assert (said.x, said.positive) == (120, positive)
    assert window.session.prompts.positive == positive


def test_segment_all_looks_for_three_targets(window: Window):
    press(window.dock, "Segment all")
    window.idle()
    for target in TARGETS:
        assert window.preview(target).visible
    assert set(window.session.results.latest) == {("photo", target) for target in TARGETS}


def test_what_is_painted_is_where_the_answer_starts(window: Window):
    window.segment()
    plain = window.values()
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    labels.data_setitem(tuple(np.mgrid[40:80, 50:90].reshape(2, -1)), 2)
    window.dock.prompts.use_mask.click()
    window.segment()
    assert np.abs(plain - window.values()).max() > 1e-4
    window.dock.prompts.use_mask.click()
    window.segment()
    np.testing.assert_allclose(window.values(), plain, atol=1e-6)


def test_it_answers_as_the_command_line_does(window: Window):
    """The very function, with the same task, on the same image."""
    window.segment()
    with window.wait_result():
        window.click(70, 90)
    reply = window.session.result
    predictor = window.session.queue.engine.predictor(
        window.session.choices.compute, lambda *_: None
    )
    expected = segment_prepared(predictor, reply.prepared, [reply.task])["disc"]
    # Sums of products differ in their last bits with where in memory the numbers lie.
    np.testing.assert_allclose(window.values(), expected.probabilities, atol=1e-5)


def test_two_windows_do_not_disturb_each_other(open_window, tmp_path):
    """They show the very same file."""
    path = tmp_path / "eye.png"
    first, second = (open_window(fundus("eye", path=path)) for _ in range(2))
    place = (str(path), "disc")
    first.segment()
    with first.wait_result():
        first.click(60, 60)
    assert second.session.results.latest == {}
    second.segment()
    assert len(first.session.prompts.at(place).points) == 1
    assert second.session.prompts.at(place).empty
    assert len(second.viewer.layers["eye disc points"].data) == 0
    assert np.abs(first.values() - second.values()).max() > 1e-4
    second.dock.threshold.number.setValue(0.31)
    assert first.session.results.chosen_threshold(place) is None
    first.dock.toggle_positive()
    assert second.session.prompts.positive
    pick(first.dock.targets.targets, "cup")
    assert second.session.target.name == "disc"


def test_it_is_in_the_menu(make_napari_viewer):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Segment")
    assert type(dock).__name__ == "SegmentDock"
    dock.session.close()


def test_results_stay_with_their_image_when_images_are_switched_meanwhile(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    press(window.dock, "Segment")
    pick(window.dock.targets.images, "right")
    press(window.dock, "Segment")
    window.idle()
    for name in ("left", "right"):
        layer = window.session.results.previews.find((name, "disc"))
        assert plugin_metadata(layer.metadata)["image"] == name
        np.testing.assert_array_equal(
            layer.data, window.session.results.latest[name, "disc"].prediction.probabilities
        )


def test_image_deleted_while_it_is_segmented_leaves_nothing(window: Window):
    press(window.dock, "Segment")
    window.viewer.layers.remove("photo")
    window.idle()
    assert window.session.image is None
    assert window.session.results.previews.find(("photo", "disc")) is None
    press(window.dock, "Segment")
    assert "Open a fundus image" in window.messages[-1]

"""The Segment dock in a window: buttons, clicks and previews."""

import numpy as np
import pytest

from napari_sam2lora.layers.masks import is_as_predicted
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.widgets.new_target_dialog import NewTargetDialog
from sam2lora.targets import TARGETS

from ..helpers import pick, press
from ..segmentation_window import Window, fundus

pytestmark = pytest.mark.viewer


def test_points_change_the_preview_and_undo_restores_it(window: Window):
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
    points = window.session.prompts.at(window.session.target_key).points
    assert [point.positive for point in points] == [True, False]
    with window.wait_result():
        press(window.dock, "Undo")
    np.testing.assert_array_equal(window.values(), second)
    with window.wait_result():
        press(window.dock.prompts, "Clear")
    np.testing.assert_allclose(window.values(), first, atol=1e-6)


def test_selected_mask_does_not_change_the_chosen_target(window: Window):
    from napari_sam2lora.layers.masks import add_mask

    vessels = add_mask(window.viewer, window.session.image, TARGETS["vessel"])
    window.viewer.layers.selection.active = vessels
    assert window.session.target.name == "vessel"  # the target follows the selected mask
    pick(window.dock.targets.targets, "disc")
    window.segment()
    assert window.session.target.name == "disc"
    assert window.session.result is not None
    assert window.viewer.layers.selection.active.name == "photo disc points"


@pytest.mark.parametrize("button", ["Clear", "Undo"])
@pytest.mark.parametrize("positive", [True, False])
def test_next_point_has_the_label_that_is_shown(window: Window, button: str, positive: bool):
    window.segment()
    for label in (not positive, positive):
        window.session.set_positive(label)
        with window.wait_result():
            window.click(60, 80)
    with window.wait_result():
        press(window.dock.prompts, button)
    with window.wait_result():
        window.click(120, 90)
    last = window.session.prompts.at(window.session.target_key).points[-1]
    assert (last.x, last.positive) == (120, positive)
    assert window.session.prompts.positive == positive


def test_segment_all_segments_three_targets(window: Window):
    press(window.dock, "Segment all")
    window.idle()
    for target in TARGETS:
        assert window.preview(target).visible
    assert set(window.session.results.latest) == {("photo", target) for target in TARGETS}


def test_painted_mask_is_used_as_prompt(window: Window):
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


def test_two_windows_of_one_file_are_independent(open_window, tmp_path):
    path = tmp_path / "eye.png"
    first, second = (open_window(fundus("eye", path=path)) for _ in range(2))
    key = (str(path), "disc")
    first.segment()
    with first.wait_result():
        first.click(60, 60)
    assert second.session.results.latest == {}
    second.segment()
    assert len(first.session.prompts.at(key).points) == 1
    assert second.session.prompts.at(key).empty
    assert len(second.viewer.layers["eye disc points"].data) == 0
    assert np.abs(first.values() - second.values()).max() > 1e-4
    second.dock.threshold.number.setValue(0.31)
    assert first.session.results.chosen_threshold(key) is None
    first.dock.toggle_positive()
    assert second.session.prompts.positive
    pick(first.dock.targets.targets, "cup")
    assert second.session.target.name == "disc"


def test_mask_that_was_corrected_by_clicks_can_be_learned_from(window: Window):
    window.segment()
    window.dock.accept()
    labels = window.viewer.layers["photo disc"]
    assert is_as_predicted(labels, labels.data > 0)
    window.dock.use_points()
    with window.wait_result():
        window.click(60, 80)
    window.dock.accept()
    assert not is_as_predicted(labels, labels.data > 0)


def test_dock_opens_from_the_manifest(make_napari_viewer):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Segment")
    assert type(dock).__name__ == "SegmentDock"
    dock.session.close()


def test_results_stay_with_their_image_when_images_are_switched(open_window):
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


def test_dock_selects_the_new_target(window: Window, monkeypatch: pytest.MonkeyPatch):
    def fill_in(dialog: NewTargetDialog) -> int:
        dialog.name.setText("drusen")
        dialog.accept()
        return 1

    monkeypatch.setattr(NewTargetDialog, "exec", fill_in)
    press(window.dock, "New…")
    assert window.session.target.name == "drusen"
    assert window.dock.targets.targets.currentData() == "drusen"
    window.segment()
    assert window.preview("drusen").visible

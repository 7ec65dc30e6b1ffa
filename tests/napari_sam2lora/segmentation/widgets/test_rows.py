"""The small widgets of the dock: what they show, and what they tell."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QLabel

from napari_sam2lora.segmentation.widgets.measurement_rows import MeasurementRows
from napari_sam2lora.segmentation.widgets.progress_bar import SegmentationProgress
from napari_sam2lora.segmentation.widgets.prompt_controls import PromptControls
from napari_sam2lora.segmentation.widgets.target_selector import TargetSelector
from napari_sam2lora.segmentation.widgets.threshold_controls import ThresholdControls
from sam2lora.targets import TARGETS

from ...segmentation_window import pick, press

pytestmark = pytest.mark.viewer


def test_images_and_targets_are_told_by_key_and_name(qtbot: QtBot):
    rows, told = TargetSelector(), []
    qtbot.addWidget(rows)
    rows.image_selected.connect(told.append)
    rows.target_selected.connect(told.append)
    rows.new_target_requested.connect(lambda: told.append("new"))
    rows.show_images([("/a.png", "same"), ("/b.png", "same")], "/b.png")
    rows.show_targets(list(TARGETS.values()), "cup")
    assert told == []
    assert (rows.images.currentData(), rows.targets.currentData()) == ("/b.png", "cup")
    pick(rows.images, "/a.png")
    pick(rows.targets, "vessel")
    press(rows, "New…")
    assert told == ["/a.png", "vessel", "new"]
    rows.show_images([], None)
    assert not rows.images.isEnabled()


def test_the_tool_in_use_is_pressed(qtbot: QtBot):
    prompts, told = PromptControls(), []
    qtbot.addWidget(prompts)
    prompts.point_requested.connect(told.append)
    prompts.box_requested.connect(lambda: told.append("box"))
    prompts.undo_requested.connect(lambda: told.append("undo"))
    prompts.clear_requested.connect(lambda: told.append("clear"))
    prompts.use_mask_toggled.connect(told.append)
    for text in ("+ Point", "− Point", "Box", "Undo", "Clear", "Start from what is painted"):
        press(prompts, text)
    assert told == [True, False, "box", "undo", "clear", True]
    for tool, positive, pressed in (
        ("point", True, ["+ Point"]),
        ("point", False, ["− Point"]),
        ("box", False, ["Box"]),
        (None, True, []),
    ):
        prompts.show_tool(tool, positive)
        assert [text for text, one in prompts._tools.items() if one.isChecked()] == pressed


def test_slider_and_number_go_together(qtbot: QtBot):
    threshold, told = ThresholdControls(), []
    qtbot.addWidget(threshold)
    threshold.threshold_changed.connect(told.append)
    threshold.show_threshold(0.4)
    assert told == []
    assert (threshold.slider.value(), threshold.number.value()) == (400, 0.4)
    threshold.slider.setValue(700)
    threshold.number.setValue(0.123)
    assert told == [0.7, 0.123]
    assert threshold.slider.value() == 123


@pytest.mark.parametrize("mode", ["replace", "add", "empty"])
def test_the_way_to_accept_is_told(qtbot: QtBot, mode: str):
    threshold, told = ThresholdControls(), []
    qtbot.addWidget(threshold)
    threshold.accepted.connect(told.append)
    pick(threshold.mode, mode)
    press(threshold, "Accept")
    assert told == [mode]


def test_progress_and_cancel(qtbot: QtBot):
    progress, told = SegmentationProgress(), []
    qtbot.addWidget(progress)
    progress.cancelled.connect(lambda: told.append("cancel"))
    press(progress, "Cancel")
    assert told == []  # nothing runs
    progress.show_busy(True)
    progress.show_progress("Looking", 3, 12)
    assert not progress.cancel.isEnabled()  # what is done at once shows nothing
    qtbot.waitUntil(progress.cancel.isEnabled)
    assert (progress.bar.value(), progress.bar.maximum()) == (3, 12)
    progress.show_progress("Loading", 0, None)
    qtbot.waitUntil(lambda: progress.bar.format() == "Loading")
    # Qt moves a bar of 0 to 0, and each time the whole window is drawn again.
    assert (progress.bar.value(), progress.bar.maximum()) == (0, 1)
    progress.show_progress("Downloading tiny", 40_000_000, 5_000_000_000)
    qtbot.waitUntil(lambda: progress.bar.format() == "Downloading tiny: 40 of 5000 MB")
    press(progress, "Cancel")
    assert told == ["cancel"]
    progress.show_busy(False)
    assert not progress.cancel.isEnabled()
    progress.show_busy(True)
    progress.show_busy(False)
    qtbot.wait(400)
    assert not progress.cancel.isEnabled()
    progress.show_message("Done.")
    assert progress.message.text() == "Done."


def test_numbers_take_the_place_of_others(qtbot: QtBot):
    numbers = MeasurementRows()
    qtbot.addWidget(numbers)
    numbers.show_rows([("a", "1"), ("b", "2")])
    numbers.show_rows([("c", "3")])

    def shown() -> list[str]:
        return [one.text() for one in numbers.findChildren(QLabel) if one is not numbers.message]

    qtbot.waitUntil(lambda: shown() == ["c", "3"])

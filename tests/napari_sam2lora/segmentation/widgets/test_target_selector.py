"""The lists of images and targets."""

from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.target_selector import TargetSelector
from sam2lora.targets import TARGETS

from ...helpers import pick, press


def test_selected_image_and_target_are_emitted_by_id_and_name(qtbot: QtBot):
    selector, emitted = TargetSelector(), []
    qtbot.addWidget(selector)
    selector.image_selected.connect(emitted.append)
    selector.target_selected.connect(emitted.append)
    selector.new_target_requested.connect(lambda: emitted.append("new"))
    selector.show_images([("/a.png", "same"), ("/b.png", "same")], "/b.png")
    selector.show_targets(list(TARGETS.values()), "cup")
    assert emitted == []
    assert (selector.images.currentData(), selector.targets.currentData()) == ("/b.png", "cup")
    pick(selector.images, "/a.png")
    pick(selector.targets, "vessel")
    press(selector, "New…")
    assert emitted == ["/a.png", "vessel", "new"]


def test_list_without_images_is_disabled(qtbot: QtBot):
    selector = TargetSelector()
    qtbot.addWidget(selector)
    selector.show_images([], None)
    assert not selector.images.isEnabled()

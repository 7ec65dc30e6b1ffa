"""Going through the images of a folder: no correction is lost, whatever happens."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.image_list.model import ImageList
from sam2lora.annotations.store import Corrections
from sam2lora.errors import GeometryError, ImageError, OutputError, TargetError

from ..conftest import SHAPE, bar, eye


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def images(viewer: ViewerModel, drive: Path) -> ImageList:
    """List the tiny data set, and show its first image."""
    made = ImageList(viewer, drive)
    made.go(0)
    return made


def paint(layer: Labels, row: int = 0, label: int = 1) -> None:
    layer.data_setitem((np.array([row]), np.array([0])), label)


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_one_image_is_shown_at_a_time(viewer: ViewerModel, images: ImageList):
    assert names(viewer) == ["01_test", "01_test vessel"]
    images.go(1)
    assert names(viewer) == ["21_training", "21_training vessel"]


def test_what_was_painted_is_there_on_return_and_in_the_next_session(
    viewer: ViewerModel, images: ImageList, drive: Path
):
    paint(viewer.layers["01_test vessel"])
    expected = bar()
    expected[0, 0] = True
    images.go(1)
    np.testing.assert_array_equal(viewer.layers["21_training vessel"].data > 0, bar())
    images.go(0)
    np.testing.assert_array_equal(viewer.layers["01_test vessel"].data > 0, expected)
    later = ImageList(ViewerModel(), drive / "test")
    later.go(0)
    assert later.corrections.corrected("01_test")
    np.testing.assert_array_equal(later.corrections.masks("01_test", SHAPE)["vessel"], expected)


def test_what_was_erased_stays_erased(viewer: ViewerModel, images: ImageList):
    viewer.layers["01_test vessel"].data = np.zeros(SHAPE, np.uint8)
    images.go(1)
    images.go(0)
    assert not viewer.layers["01_test vessel"].data.any()


def test_looking_is_no_correction(images: ImageList):
    images.go(1)
    images.go(0)
    assert images.save() == []
    assert not images.corrections.folder.exists()


def test_saving_twice_writes_once(viewer: ViewerModel, images: ImageList):
    paint(viewer.layers["01_test vessel"])
    assert images.save() == ["vessel"]
    assert images.save() == []
    paint(viewer.layers["01_test vessel"], row=1)
    assert images.save() == ["vessel"]


def test_a_mask_of_a_new_target_is_kept_too(viewer: ViewerModel, images: ImageList):
    path = str(images.images[0].path)
    about = {"target": "disc", "image": path}
    viewer.add_labels(bar().astype(np.uint8), name="mine", metadata={"sam2lora": about})
    images.go(1)
    images.go(0)
    assert names(viewer) == ["01_test", "01_test disc", "01_test vessel"]


def test_layers_that_belong_to_no_image_stay(viewer: ViewerModel, images: ImageList):
    viewer.add_points(np.zeros((2, 2)), name="my points")
    viewer.add_labels(np.ones(SHAPE, int), name="my labels")
    views = {"sam2lora": {"view": "green", "image": str(images.images[0].path)}}
    viewer.add_image(np.zeros(SHAPE), name="green", metadata=views)
    images.go(1)
    assert names(viewer) == ["my points", "my labels", "21_training", "21_training vessel"]


def test_the_same_target_is_selected_in_the_next_image(viewer: ViewerModel, images: ImageList):
    viewer.layers.selection.active = viewer.layers["01_test vessel"]
    images.go(1)
    assert viewer.layers.selection.active.name == "21_training vessel"
    viewer.layers.selection.active = viewer.layers["21_training"]
    images.go(0)
    assert viewer.layers.selection.active.name == "01_test"


def test_a_step_waits_until_what_was_painted_can_be_saved(
    viewer: ViewerModel, images: ImageList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paint(viewer.layers["01_test vessel"])
    (tmp_path / "file").write_text("in the way")
    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", refuse)
        with pytest.raises(OutputError, match="No space"):
            images.go(1)
    assert names(viewer) == ["01_test", "01_test vessel"]
    assert viewer.layers["01_test vessel"].data[0, 0]
    assert images.current == 0
    images.go(1)
    images.go(0)
    assert viewer.layers["01_test vessel"].data[0, 0]


def refuse(*_: object) -> None:
    raise OutputError("a.png: cannot be written (No space left on device).")


def test_an_image_that_cannot_be_read_leaves_the_present_one(
    viewer: ViewerModel, images: ImageList, drive: Path
):
    (drive / "training" / "images" / "21_training.tif").write_bytes(b"")
    with pytest.raises(ImageError, match=r"21_training\.tif: the file is empty"):
        images.go(1)
    assert names(viewer) == ["01_test", "01_test vessel"]
    assert images.current == 0


def test_two_masks_of_one_target_are_not_mixed(viewer: ViewerModel, images: ImageList):
    vessel = viewer.layers["01_test vessel"]
    viewer.add_labels(vessel.data.copy(), name="copy", metadata=dict(vessel.metadata))
    with pytest.raises(TargetError, match="Two layers show vessel: 01_test vessel and copy"):
        images.go(1)
    assert "copy" in names(viewer)


def test_a_mask_of_another_size_is_not_kept_as_the_images(viewer: ViewerModel, images: ImageList):
    viewer.layers["01_test vessel"].data = np.ones((5, 5), np.uint8)
    with pytest.raises(GeometryError, match=r"vessel mask of 01_test has shape \(5, 5\)"):
        images.go(1)


def test_done_keeps_all_masks_of_the_image(images: ImageList):
    images.set_done(0, True)
    assert images.corrections.done() == {"01_test"}
    np.testing.assert_array_equal(images.corrections.masks("01_test", SHAPE)["vessel"], bar())
    images.set_done(1, True)
    assert images.corrections.done() == {"01_test", "21_training"}
    images.set_done(0, False)
    assert images.corrections.done() == {"21_training"}


def test_discarding_brings_the_sets_masks_back(viewer: ViewerModel, images: ImageList):
    paint(viewer.layers["01_test vessel"])
    images.set_done(0, True)
    images.forget()
    np.testing.assert_array_equal(viewer.layers["01_test vessel"].data > 0, bar())
    assert not images.corrections.corrected("01_test")
    assert images.corrections.done() == set()
    assert images.save() == []


def test_leaving_saves_and_clears_only_its_own(viewer: ViewerModel, images: ImageList):
    other = eye("vessel", name="other")
    for layer in other:
        viewer.add_layer(layer)
    paint(viewer.layers["01_test vessel"])
    images.leave()
    assert names(viewer) == ["other", "other vessel"]
    assert images.corrections.corrected("01_test")


def test_two_viewers_show_what_they_show(drive: Path):
    first, second = ViewerModel(), ViewerModel()
    lists = [ImageList(viewer, drive) for viewer in (first, second)]
    lists[0].go(0)
    lists[1].go(1)
    paint(second.layers["21_training vessel"])
    lists[0].save()
    assert names(first) == ["01_test", "01_test vessel"]
    assert not lists[0].corrections.corrected("21_training")
    lists[1].save()
    assert lists[0].corrections.corrected("21_training")


def test_real_images_of_different_sizes_are_gone_through(real_data: Path):
    viewer = ViewerModel()
    images = ImageList(viewer, real_data / "HRF")
    images.go(0)
    first = viewer.layers[0].data.shape
    paint(viewer.layers[-1], row=7)
    images.go(1)
    images.go(0)
    assert viewer.layers[0].data.shape == first
    assert viewer.layers[-1].data[7, 0]

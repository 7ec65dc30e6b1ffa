"""Stepping through the images of a folder never loses a correction."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.image_list.model import ImageList
from sam2lora.annotations.store import Corrections
from sam2lora.errors import GeometryError, ImageError, OutputError, TargetError
from sam2lora.inference.confidence_file import update_confidences

from ..conftest import SHAPE, bar, eye


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def images(viewer: ViewerModel, drive: Path) -> ImageList:
    """List the tiny dataset, and show its first image."""
    listing = ImageList(viewer, drive)
    listing.go(0)
    return listing


def paint(layer: Labels, row: int = 0, label: int = 1) -> None:
    layer.data_setitem((np.array([row]), np.array([0])), label)


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_one_image_is_shown_at_a_time(viewer: ViewerModel, images: ImageList):
    assert names(viewer) == ["01_test", "01_test vessel"]
    images.go(1)
    assert names(viewer)[:2] == ["21_training", "21_training vessel"]


def test_painting_is_restored_on_return_and_in_the_next_session(
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


def test_erased_pixels_stay_erased(viewer: ViewerModel, images: ImageList):
    viewer.layers["01_test vessel"].data = np.zeros(SHAPE, np.uint8)
    images.go(1)
    images.go(0)
    assert not viewer.layers["01_test vessel"].data.any()


def test_viewing_an_image_is_no_correction(images: ImageList):
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


def test_mask_of_a_new_target_is_saved(viewer: ViewerModel, images: ImageList):
    path = str(images.images[0].path)
    entries = {"target": "disc", "image": path}
    viewer.add_labels(bar().astype(np.uint8), name="mine", metadata={"sam2lora": entries})
    images.go(1)
    images.go(0)
    assert names(viewer) == ["01_test", "01_test disc", "01_test vessel"]


def test_layers_of_other_origin_stay_in_the_viewer(viewer: ViewerModel, images: ImageList):
    viewer.add_points(np.zeros((2, 2)), name="my points")
    viewer.add_labels(np.ones(SHAPE, int), name="my labels")
    views = {"sam2lora": {"view": "green", "image": str(images.images[0].path)}}
    viewer.add_image(np.zeros(SHAPE), name="green", metadata=views)
    images.go(1)
    assert names(viewer) == ["21_training", "21_training vessel", "my points", "my labels"]


def test_next_image_is_shown_in_the_same_layers(viewer: ViewerModel, images: ImageList):
    image, vessel = viewer.layers
    paint(vessel)
    vessel.mode, vessel.brush_size, image.gamma = "paint", 7, 0.5
    image.scale, image.rotate = (2, 2), 30
    images.go(1)
    assert list(viewer.layers) == [image, vessel]
    vessel.undo()
    np.testing.assert_array_equal(vessel.data > 0, bar())
    assert (vessel.mode, vessel.brush_size, image.gamma) == ("paint", 7, 1)
    np.testing.assert_array_equal(image.scale, (1, 1))
    np.testing.assert_array_equal(image.rotate, np.eye(2))


def test_mask_that_the_next_image_lacks_is_set_aside(viewer: ViewerModel, images: ImageList):
    path = str(images.images[0].path)
    entries = {"target": "disc", "image": path}
    viewer.add_labels(bar().astype(np.uint8), name="mine", metadata={"sam2lora": entries})
    images.go(1)
    assert names(viewer)[:2] == ["21_training", "21_training vessel"]


def test_same_target_is_selected_in_the_next_image(viewer: ViewerModel, images: ImageList):
    viewer.layers.selection.active = viewer.layers["01_test vessel"]
    images.go(1)
    assert viewer.layers.selection.active.name == "21_training vessel"
    viewer.layers.selection.active = viewer.layers["21_training"]
    images.go(0)
    assert viewer.layers.selection.active.name == "01_test"


def test_next_image_is_not_shown_if_saving_fails(
    viewer: ViewerModel, images: ImageList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paint(viewer.layers["01_test vessel"])
    (tmp_path / "file").write_text("in the way")
    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", fail_to_write)
        with pytest.raises(OutputError, match="No space"):
            images.go(1)
    assert names(viewer) == ["01_test", "01_test vessel"]
    assert viewer.layers["01_test vessel"].data[0, 0]
    assert images.current == 0
    images.go(1)
    images.go(0)
    assert viewer.layers["01_test vessel"].data[0, 0]


def fail_to_write(*_: object) -> None:
    raise OutputError("a.png: cannot be written (No space left on device).")


def test_unreadable_image_leaves_the_current_one(
    viewer: ViewerModel, images: ImageList, drive: Path
):
    (drive / "training" / "images" / "21_training.tif").write_bytes(b"")
    with pytest.raises(ImageError, match=r"21_training\.tif: the file is empty"):
        images.go(1)
    assert names(viewer) == ["01_test", "01_test vessel"]
    assert images.current == 0


def test_two_masks_of_one_target_are_rejected(viewer: ViewerModel, images: ImageList):
    vessel = viewer.layers["01_test vessel"]
    viewer.add_labels(vessel.data.copy(), name="copy", metadata=dict(vessel.metadata))
    with pytest.raises(TargetError, match="Two layers show vessel: 01_test vessel and copy"):
        images.go(1)
    assert "copy" in names(viewer)


def test_mask_of_another_size_is_not_saved(viewer: ViewerModel, images: ImageList):
    viewer.layers["01_test vessel"].data = np.ones((5, 5), np.uint8)
    with pytest.raises(GeometryError, match=r"vessel mask of 01_test has shape \(5, 5\)"):
        images.go(1)


def test_marking_as_done_saves_all_masks(images: ImageList):
    images.set_done(0, True)
    assert images.corrections.done() == {"01_test"}
    np.testing.assert_array_equal(images.corrections.masks("01_test", SHAPE)["vessel"], bar())
    images.set_done(1, True)
    assert images.corrections.done() == {"01_test", "21_training"}
    images.set_done(0, False)
    assert images.corrections.done() == {"21_training"}


def test_discarding_restores_the_masks_of_the_dataset(viewer: ViewerModel, images: ImageList):
    paint(viewer.layers["01_test vessel"])
    images.set_done(0, True)
    images.forget()
    np.testing.assert_array_equal(viewer.layers["01_test vessel"].data > 0, bar())
    assert not images.corrections.corrected("01_test")
    assert images.corrections.done() == set()
    assert images.save() == []


def test_leaving_saves_and_removes_only_own_layers(viewer: ViewerModel, images: ImageList):
    other = eye("vessel", name="other")
    for layer in other:
        viewer.add_layer(layer)
    paint(viewer.layers["01_test vessel"])
    images.leave()
    assert names(viewer) == ["other", "other vessel"]
    assert images.corrections.corrected("01_test")


def test_two_viewers_step_independently(drive: Path):
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


def test_stepping_through_real_images_keeps_size_and_painting(real_data: Path):
    viewer = ViewerModel()
    images = ImageList(viewer, real_data / "HRF")
    images.go(0)
    first = viewer.layers[0].data.shape
    paint(viewer.layers[-1], row=7)
    images.go(1)
    images.go(0)
    assert viewer.layers[0].data.shape == first
    assert viewer.layers[-1].data[7, 0]


def test_images_are_sorted_by_the_lowest_confidence(viewer: ViewerModel, images: ImageList):
    first, second = (str(one.path) for one in images.images)
    images.note_confidence(first, "disc", 0.9)
    images.note_confidence(second, "disc", 0.95)
    images.note_confidence(second, "cup", 0.4)
    images.note_confidence("elsewhere.tif", "disc", 0.1)
    images.sort(least_sure_first=True)
    assert [str(one.path) for one in images.images] == [second, first]
    assert images.current == 1  # the image that was shown stays the current one
    images.note_confidence(second, "cup", None)
    images.note_confidence(second, "disc", None)
    images.sort(least_sure_first=True)
    assert [str(one.path) for one in images.images] == [first, second]  # nothing known: last
    images.sort(least_sure_first=False)
    assert images.current == 0


def test_confidences_of_the_folder_are_read(viewer: ViewerModel, drive: Path):
    folder = drive / "test" / "images"
    (name,) = (path.name for path in folder.glob("*.tif"))
    update_confidences(drive, {name: {"disc": 0.25}})
    images = ImageList(viewer, drive)
    assert [images.confidence(one) for one in images.images] == [0.25, None]

"""Images with the same name or file have different ids."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_sam2lora.layers.image_ids import UniqueImageIds
from napari_sam2lora.layers.lookup import masks_of_image
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from napari_sam2lora.layers.prompts import PromptLayers
from sam2lora.targets import TARGETS

from ..conftest import eye, viewer_with
from ..helpers import press
from ..segmentation_window import fundus

DISC = TARGETS["disc"]


def id_of(image: Layer) -> str:
    return image_id(image.metadata, image.name)


@pytest.fixture
def keep_unique() -> Callable[[ViewerModel], UniqueImageIds]:
    """Return a function that keeps a viewer's ids unique; napari holds listeners weakly."""
    kept: list[UniqueImageIds] = []

    def keep(viewer: ViewerModel) -> UniqueImageIds:
        kept.append(UniqueImageIds(viewer))
        return kept[-1]

    return keep


def duplicate(viewer: ViewerModel, *names: str) -> list[Layer]:
    """Copy layers as the context menu of napari's layer list does."""
    copies = []
    for name in names:
        data, options, kind = viewer.layers[name].as_layer_data_tuple()
        copy = Layer.create(np.array(data), {**options, "name": f"{name} copy"}, kind)
        viewer.layers.insert(viewer.layers.index(name) + 1, copy)
        copies.append(copy)
    return copies


@pytest.mark.parametrize("file", ["eye.png", None])
def test_copied_image_and_mask_get_a_new_id(keep_unique, tmp_path: Path, file: str | None):
    image, mask = eye("disc", path=file and tmp_path / file)
    viewer = viewer_with(image, mask)
    keep_unique(viewer)
    before = id_of(image)
    copied_image, copied_mask = duplicate(viewer, "eye", "eye disc")
    assert id_of(image) == before != id_of(copied_image)
    assert masks_of_image(viewer, image) == [mask]
    assert masks_of_image(viewer, copied_image) == [copied_mask]


def test_images_that_were_open_before_get_unique_ids(keep_unique):
    viewer = viewer_with(*eye(name="eye"), *eye(name="eye"))
    for layer in viewer.layers:
        layer.metadata = {"sam2lora": {"key": "eye"}}
    keep_unique(viewer)
    first, second = viewer.layers
    assert id_of(first) == "eye" != id_of(second)


def test_copied_prompts_belong_to_the_copied_image(keep_unique, qapp):
    viewer = viewer_with(*eye())
    ids, prompts = keep_unique(viewer), PromptLayers(viewer)
    image = viewer.layers["eye"]
    points = prompts.points(image, DISC)
    points.add([20, 30])
    copied_image, copied_points = duplicate(viewer, "eye", "eye disc points")
    ids.forget_changes()
    assert prompts.adopt()
    copied_points.add([50, 40])
    assert len(prompts.at((id_of(copied_image), "disc")).points) == 2
    assert len(prompts.at((id_of(image), "disc")).points) == 1


def test_prompts_made_for_the_original_stay_with_it(keep_unique, qapp):
    viewer = viewer_with(*eye())
    keep_unique(viewer)
    image = viewer.layers["eye"]
    duplicate(viewer, "eye")
    points = PromptLayers(viewer).points(image, DISC)
    assert plugin_metadata(points.metadata)["image"] == id_of(image)


def test_masks_added_later_are_not_relinked(keep_unique):
    viewer = viewer_with(*eye())
    ids = keep_unique(viewer)
    (copy,) = duplicate(viewer, "eye")
    ids.forget_changes()
    mask = viewer.add_layer(eye("disc")[1])
    assert masks_of_image(viewer, viewer.layers["eye"]) == [mask]
    assert masks_of_image(viewer, copy) == []


def test_removed_image_keeps_its_id_when_it_returns(keep_unique):
    viewer = viewer_with(*eye())
    keep_unique(viewer)
    image = viewer.layers["eye"]
    before = id_of(image)
    viewer.layers.remove(image)
    viewer.add_layer(image)
    assert id_of(image) == before


def test_another_image_does_not_reuse_the_name_of_a_removed_one(keep_unique):
    viewer = viewer_with(*eye("disc"))
    keep_unique(viewer)
    viewer.layers.remove("eye")
    (other,) = eye()
    viewer.add_layer(other)
    assert id_of(other) != "eye"
    assert masks_of_image(viewer, other) == []


def test_masks_read_with_a_reopened_image_are_linked_to_it(keep_unique):
    viewer = viewer_with()
    keep_unique(viewer)
    ids = []
    for _ in range(2):
        viewer.layers.clear()
        image, *masks = (viewer.add_layer(layer) for layer in eye("disc", "vessel"))
        assert {plugin_metadata(mask.metadata)["image"] for mask in masks} == {id_of(image)}
        ids.append(id_of(image))
    assert ids[0] != ids[1]


def test_reopened_file_has_the_same_id(keep_unique, tmp_path: Path):
    viewer = viewer_with(*eye(path=tmp_path / "eye.png"))
    keep_unique(viewer)
    viewer.layers.clear()
    image = viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    assert id_of(image) == str(tmp_path / "eye.png")


def test_ids_are_not_changed_after_closing(keep_unique):
    viewer = viewer_with(*eye())
    ids = keep_unique(viewer)
    ids.close()
    (copy,) = duplicate(viewer, "eye")
    assert id_of(copy) == id_of(viewer.layers["eye"])


@pytest.mark.viewer
def test_copied_image_is_segmented_apart_from_the_original(open_window):
    original = fundus()
    window = open_window(original)
    window.segment()
    with window.wait_result():
        window.click(60, 80)
    press(window.dock, "Accept")
    before = window.session.target_key
    copy, mask = duplicate(window.viewer, "photo", "photo disc")
    window.viewer.layers.selection.active = copy
    window.qtbot.waitUntil(lambda: window.session.image is copy)
    assert window.session.target_key != before
    assert window.session.prompts.at(window.session.target_key).empty
    window.segment()
    assert window.session.image is copy
    assert window.session.result.request.image.source is copy.data
    assert len(window.session.results.latest) == 2
    assert masks_of_image(window.viewer, copy) == [mask]
    assert masks_of_image(window.viewer, original) == [window.viewer.layers["photo disc"]]
    assert window.dock.targets.images.count() == 2

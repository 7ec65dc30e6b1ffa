"""Images of a viewer by id, and snapshots of them."""

import numpy as np
import pytest
from napari.layers import Image, Layer

from napari_sam2lora.layers.conversion import view_layer
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.lookup import layer_data
from sam2lora.errors import ImageError

from ..conftest import SHAPE, eye, viewer_with


def names(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_images_are_found_by_id_and_views_are_not(tmp_path):
    (first,), (second,) = eye(name="first", path=tmp_path / "a.png"), eye(name="second")
    view = Layer.create(*view_layer("green", np.zeros(SHAPE), layer_data(first), "image"))
    images = ImageLayers(viewer_with(first, second, view))
    assert images.ids() == {str(tmp_path / "a.png"), "second"}
    assert images.find(str(tmp_path / "a.png")) is first
    assert images.find("second") is second
    assert images.find("first green") is None


def test_removed_image_is_not_found():
    (image,) = eye()
    viewer = viewer_with(image)
    images = ImageLayers(viewer)
    viewer.layers.remove(image)
    assert images.find("eye") is None
    assert images.ids() == set()


def test_bring_to_front_moves_the_image_with_its_layers():
    viewer = viewer_with(*eye("disc", "vessel", name="a"), *eye("disc", name="b"))
    image = viewer.layers["a"]
    image.visible = False
    ImageLayers(viewer).bring_to_front(image)
    assert names(viewer) == ["b", "b disc", "a", "a disc", "a vessel"]
    assert image.visible


def test_bring_to_front_leaves_the_order_if_no_image_is_above():
    viewer = viewer_with(*eye("disc", name="a"), *eye("disc", name="b"))
    viewer.layers.move(viewer.layers.index("a disc"), len(viewer.layers))
    before = names(viewer)
    ImageLayers(viewer).bring_to_front(viewer.layers["b"])
    assert names(viewer) == before


def test_snapshot_shows_whether_the_pixels_were_replaced():
    (image,) = eye()
    viewer = viewer_with(image)
    snapshot = ImageLayers(viewer).snapshot(image)
    assert snapshot.key == "eye"
    assert snapshot.source is image.data
    image.name = "renamed"
    assert ImageLayers(viewer).snapshot(image).key == "eye"
    image.data = image.data.copy()
    assert snapshot.source is not image.data


def test_snapshot_of_a_stack_is_rejected():
    stack = Image(np.zeros((5, 9, 9), np.uint8), name="stack")
    with pytest.raises(ImageError, match="stack: is a stack"):
        ImageLayers(viewer_with(stack)).snapshot(stack)

"""Which layers a command means."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_sam2lora._chosen import chosen_image, data_of, masks_of_image
from napari_sam2lora._layers import view_layer
from sam2lora.errors import ImageError, TargetError

from .conftest import SHAPE, bar, eye


def viewer_with(*layers: Layer) -> ViewerModel:
    viewer = ViewerModel()
    for layer in layers:
        viewer.add_layer(layer)
    return viewer


def test_the_selected_image_is_meant():
    one, two = eye(name="one"), eye(name="two")
    viewer = viewer_with(*one, *two)
    viewer.layers.selection.active = one[0]
    assert chosen_image(viewer) is one[0]


def test_a_mask_and_a_view_mean_the_image_they_belong_to():
    one, two = eye("vessel", name="one"), eye("vessel", name="two")
    green = Layer.create(*view_layer("green", np.zeros(SHAPE), data_of(one[0]), "image"))
    viewer = viewer_with(*one, *two, green)
    for selected in (one[1], green):
        viewer.layers.selection.active = selected
        assert chosen_image(viewer) is one[0]


def test_the_only_image_is_meant_whatever_is_selected():
    (image,) = eye()
    viewer = viewer_with(image)
    viewer.add_points(np.zeros((1, 2)))
    assert chosen_image(viewer) is image
    viewer.layers.selection.clear()
    assert chosen_image(viewer) is image


def test_none_and_several_are_said():
    with pytest.raises(ImageError, match="no image"):
        chosen_image(viewer_with())
    viewer = viewer_with(*eye(name="one"), *eye(name="two"))
    viewer.layers.selection.clear()
    with pytest.raises(ImageError, match=r"Several images are open: one, two\. Select"):
        chosen_image(viewer)


def test_masks_of_another_image_are_not_meant():
    one, two = eye("vessel", "disc", name="one"), eye("vessel", name="two")
    viewer = viewer_with(*one, *two)
    viewer.layers.selection.clear()
    assert masks_of_image(viewer, one[0]) == one[1:]


def test_labels_that_are_a_view_are_no_masks():
    image, mask = eye("disc")
    view = Layer.create(*view_layer("comparison", mask.data, data_of(image), "labels"))
    viewer = viewer_with(image, mask, view)
    assert masks_of_image(viewer, image) == [mask]


def test_of_the_masks_those_visible_are_meant_whatever_is_selected():
    image, *masks = eye("vessel", "disc", "cup")
    viewer = viewer_with(image, *masks)
    viewer.layers.selection.active = masks[2]
    masks[0].visible = False
    assert masks_of_image(viewer, image) == masks[1:]
    for mask in masks:
        mask.visible = False
    assert masks_of_image(viewer, image) == masks


def test_labels_of_others_are_meant_by_name_and_size():
    image = Image(np.zeros((*SHAPE, 3), np.uint8), name="theirs")
    disc = Labels(bar().astype(int), name="optic disc")
    cells = Labels(bar().astype(int), name="cells")
    small = Labels(np.zeros((5, 5), int), name="small disc")
    viewer = viewer_with(image, disc, cells, small)
    viewer.layers.selection.clear()
    assert masks_of_image(viewer, image) == [disc]
    with pytest.raises(TargetError, match=r"eye has no masks\. Add one under Layers → Annotate"):
        masks_of_image(viewer_with(cells), eye()[0])

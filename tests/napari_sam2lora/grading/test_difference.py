"""Two masks are outlines in two colors, and where they differ is marked."""

import numpy as np
from napari.components import ViewerModel

from napari_sam2lora.grading.difference import hide_difference, outline, show_difference
from napari_sam2lora.layers.lookup import masks_of_image

from ..conftest import disk, eye


def test_outlines_and_difference_are_layers_and_no_masks():
    viewer = ViewerModel()
    (image,) = eye()
    viewer.add_layer(image)
    first, second = disk(12), disk(9)
    show_difference(viewer, image, "disc", (first, second), ("anna", "ben"))
    names = ["eye disc differs", "eye disc by anna", "eye disc by ben"]
    assert [layer.name for layer in viewer.layers][1:] == names
    np.testing.assert_array_equal(viewer.layers[names[0]].data > 0, first ^ second)
    assert masks_of_image(viewer, image) == []
    assert not viewer.layers[names[1]].editable
    show_difference(viewer, image, "cup", (None, second), ("anna", "ben"))
    assert [layer.name for layer in viewer.layers][1:] == ["eye cup by ben"]
    hide_difference(viewer, image)
    assert list(viewer.layers) == [image]


def test_outline_is_the_edge_inside():
    mask = disk(10)
    edge = outline(mask)
    assert edge.any()
    assert not (edge & ~mask).any()
    assert not edge[48, 45]
    assert not outline(np.zeros((5, 5), bool)).any()
    assert outline(np.ones((50, 50), bool)).sum() == 0, "the border of the image is no edge"

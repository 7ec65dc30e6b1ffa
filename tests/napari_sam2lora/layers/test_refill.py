"""Another image is shown in the layers of the one before."""

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from napari_sam2lora.layers.lookup import layer_data, masks_of_image
from napari_sam2lora.layers.masks import add_mask
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.layers.refill import refill, remove, show_instead
from sam2lora.targets import TARGETS

from ..conftest import disk, eye, viewer_with


def data_of(*layers: Layer) -> list:
    return [layer_data(layer) for layer in layers]


def show(viewer: ViewerModel, *new: Layer) -> list[Layer]:
    image, *masks = data_of(*new)
    return show_instead(viewer, list(viewer.layers), image, masks)


def test_layers_of_the_same_targets_stay():
    before = eye("disc", "vessel")
    viewer = viewer_with(*before)
    assert show(viewer, *eye("disc", "vessel", name="other")) == before
    assert [layer.name for layer in viewer.layers] == ["other", "other disc", "other vessel"]
    assert {plugin_metadata(layer.metadata).get("image") for layer in before[1:]} == {"other"}


def test_missing_masks_are_added_in_order_and_others_set_aside():
    viewer = viewer_with(*eye("vessel", "cup"))
    viewer.add_points(np.zeros((1, 2)), name="prompts of the image")
    shown = show(viewer, *eye("disc", "vessel", name="other"))
    assert [layer.name for layer in shown] == ["other", "other disc", "other vessel"]
    (cup,) = (layer for layer in viewer.layers if layer not in shown)
    assert cup.name == "other cup (no mask)"
    assert not cup.visible
    assert not cup.data.any()
    assert masks_of_image(viewer, shown[0]) == shown[1:]


def test_mask_that_was_set_aside_is_used_again():
    before = eye("disc", "cup")
    viewer = viewer_with(*before)
    show(viewer, *eye("disc", name="other"))
    cup = add_mask(viewer, before[0], TARGETS["cup"])
    assert cup == before[2]
    assert (cup.name, cup.visible) == ("other cup", True)
    assert masks_of_image(viewer, before[0]) == before[1:]
    show(viewer, *eye(name="third"))
    shown = show(viewer, *eye("disc", "cup", name="fourth"))
    assert shown == before
    assert all(layer.visible for layer in shown)


def test_image_is_added_where_there_is_none():
    viewer = viewer_with(*eye("disc"))
    viewer.layers.remove(viewer.layers[0])
    show(viewer, *eye("disc", name="other"))
    assert {layer.name for layer in viewer.layers} == {"other", "other disc"}


def test_hidden_mask_stays_hidden_and_the_image_is_shown():
    image, disc = before = eye("disc")
    viewer = viewer_with(*before)
    image.visible = disc.visible = False
    show(viewer, *eye("disc", name="other"))
    assert (image.visible, disc.visible) == (True, False)


def test_undo_does_not_reach_the_image_before():
    _, disc = eye("disc")
    disc.data_setitem((np.array([0]), np.array([0])), 2)
    refill(disc, layer_data(eye("disc", name="other")[1]))
    disc.undo()
    np.testing.assert_array_equal(disc.data > 0, disk(12))


def test_scale_unit_and_size_are_those_of_the_other_image():
    image, other = eye()[0], eye(spacing=(0.01, 0.02))[0]
    other.data = other.data[:50, :40]
    image.shear, image.translate = [0.2], (3, 4)
    refill(image, layer_data(other))
    assert image.data.shape == (50, 40, 3)
    np.testing.assert_allclose(image.scale, (0.01, 0.02))
    np.testing.assert_allclose(image.translate, (0, 0))
    np.testing.assert_allclose(image.shear, [0])
    assert [str(unit) for unit in image.units] == ["millimeter"] * 2


def test_own_entries_of_the_metadata_stay():
    image = eye()[0]
    image.metadata = {**image.metadata, "mine": 1}
    refill(image, layer_data(eye(name="other")[0]))
    assert image.metadata["mine"] == 1


def test_removing_selects_nothing_else():
    viewer = viewer_with(*eye("disc"))
    viewer.layers.selection.active = viewer.layers[1]
    remove(viewer, [viewer.layers[1]])
    assert [layer.name for layer in viewer.layers] == ["eye"]


def test_prompts_and_previews_are_given_to_the_other_image_and_emptied():
    viewer = viewer_with(*eye())
    entries = {"image": "eye", "target": "disc"}
    points = viewer.add_points(
        np.ones((2, 2)),
        name="eye disc points",
        metadata={"sam2lora": {**entries, "prompts": "point"}},
    )
    preview = viewer.add_image(
        np.ones((96, 90), np.float32),
        name="eye disc preview",
        metadata={"sam2lora": {**entries, "view": "preview"}},
    )
    other = eye(name="other")[0]
    other.data = other.data[:50]
    show(viewer, other)
    assert list(viewer.layers)[1:] == [points, preview]
    assert [layer.name for layer in viewer.layers] == [
        *("other", "other disc points", "other disc preview")
    ]
    assert {plugin_metadata(layer.metadata)["image"] for layer in (points, preview)} == {"other"}
    assert (len(points.data), preview.visible, preview.data.any()) == (0, False, False)
    assert preview.data.shape == (50, 90)

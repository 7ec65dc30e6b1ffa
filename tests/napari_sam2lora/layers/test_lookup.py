"""The images and masks that a command applies to."""

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from napari.utils._proxies import PublicOnlyProxy

from napari_sam2lora.layers.conversion import view_layer
from napari_sam2lora.layers.lookup import (
    image_of_labels,
    layer_data,
    linked_layers,
    masks_of_image,
    selected_image,
    visible_masks_of_image,
)
from sam2lora.errors import ImageError, TargetError
from sam2lora.targets import Target, save_target

from ..conftest import SHAPE, bar, eye, viewer_with


def test_selected_image_is_used():
    one, two = eye(name="one"), eye(name="two")
    viewer = viewer_with(*one, *two)
    viewer.layers.selection.active = one[0]
    assert selected_image(viewer) is one[0]


def test_selected_mask_or_view_selects_its_image():
    one, two = eye("vessel", name="one"), eye("vessel", name="two")
    green = Layer.create(*view_layer("green", np.zeros(SHAPE), layer_data(one[0]), "image"))
    viewer = viewer_with(*one, *two, green)
    for selected in (one[1], green):
        viewer.layers.selection.active = selected
        assert selected_image(viewer) is one[0]


def test_only_image_is_used_whatever_is_selected():
    (image,) = eye()
    viewer = viewer_with(image)
    viewer.add_points(np.zeros((1, 2)))
    assert selected_image(viewer) is image
    viewer.layers.selection.clear()
    assert selected_image(viewer) is image


def test_no_image_or_several_are_rejected():
    with pytest.raises(ImageError, match="no image"):
        selected_image(viewer_with())
    viewer = viewer_with(*eye(name="one"), *eye(name="two"))
    viewer.layers.selection.clear()
    with pytest.raises(ImageError, match=r"Several images are open: one, two\. Select"):
        selected_image(viewer)


def test_masks_of_another_image_are_ignored():
    one, two = eye("vessel", "disc", name="one"), eye("vessel", name="two")
    viewer = viewer_with(*one, *two)
    viewer.layers.selection.clear()
    assert visible_masks_of_image(viewer, one[0]) == one[1:]


def test_labels_that_are_a_view_are_not_masks():
    image, mask = eye("disc")
    view = Layer.create(*view_layer("comparison", mask.data, layer_data(image), "labels"))
    viewer = viewer_with(image, mask, view)
    assert visible_masks_of_image(viewer, image) == [mask]


def test_visible_masks_are_used_whatever_is_selected():
    image, *masks = eye("vessel", "disc", "cup")
    viewer = viewer_with(image, *masks)
    viewer.layers.selection.active = masks[2]
    masks[0].visible = False
    assert visible_masks_of_image(viewer, image) == masks[1:]
    for mask in masks:
        mask.visible = False
    assert visible_masks_of_image(viewer, image) == masks


def test_labels_of_other_origin_are_matched_by_name_and_size():
    image = Image(np.zeros((*SHAPE, 3), np.uint8), name="theirs")
    disc = Labels(bar().astype(int), name="optic disc")
    cells = Labels(bar().astype(int), name="cells")
    small = Labels(np.zeros((5, 5), int), name="small disc")
    viewer = viewer_with(image, disc, cells, small)
    viewer.layers.selection.clear()
    assert visible_masks_of_image(viewer, image) == [disc]
    with pytest.raises(TargetError, match=r"eye has no masks\. Add one under Layers → Annotate"):
        visible_masks_of_image(viewer_with(cells), eye()[0])


def image(name: str, side: int = 4, **entries: str) -> Image:
    pixels = np.zeros((side, side, 3), np.uint8)
    return Image(pixels, rgb=True, name=name, metadata={"sam2lora": entries})


def labels(name: str, side: int = 4, **entries: str) -> Labels:
    return Labels(np.zeros((side, side), np.uint8), name=name, metadata={"sam2lora": entries})


def owner_of(layer: Labels, images: list[Image]) -> tuple[Image | None, bool]:
    owner = image_of_labels(layer, images)
    return owner.image, owner.certain


def test_mask_owner_among_images_of_one_size_needs_a_name() -> None:
    one, two = image("eye1"), image("eye2")
    named, unnamed = labels("eye1 disc"), labels("disc")
    viewer = viewer_with(one, two, named, unnamed)
    assert owner_of(named, [one, two]) == (one, True)
    assert owner_of(unnamed, [one, two]) == (None, False)
    assert masks_of_image(viewer, one) == [named]
    assert masks_of_image(viewer, two) == []


@pytest.mark.parametrize(
    "name", ["manual vessel", "gt vessel", "1st_manual vessel", "blood vessel", "vessel"]
)
def test_descriptive_first_word_names_no_image(name: str) -> None:
    one, mask = image("eye1"), labels(name)
    assert owner_of(mask, [one]) == (one, False)
    assert masks_of_image(viewer_with(one, mask), one) == [mask]


def test_mask_that_may_be_a_closed_images_belongs_to_none_of_several() -> None:
    images = [image("eye1"), image("eye3", side=9)]
    assert owner_of(labels("eye2 disc"), images) == (None, False)
    assert owner_of(labels("disc"), images) == (images[0], False)


def test_name_of_a_target_with_an_underscore_names_no_image() -> None:
    save_target(Target(name="hard_exudates", label=9, color="#112233"))
    images = [image("eye1"), image("eye3", side=9)]
    assert owner_of(labels("hard_exudates"), images) == (images[0], False)


def test_linked_layers_have_the_image_id() -> None:
    one, mask, other = image("a", path="a.png"), labels("x", image="a.png"), labels("a disc")
    assert linked_layers([one, mask, other], "a.png") == [mask]


def test_image_id_in_metadata_decides_alone() -> None:
    a, b = image("a", path="a.png"), image("b", path="b.png")
    assert owner_of(labels("a disc", image="b.png"), [a, b]) == (b, True)
    assert owner_of(labels("a disc", image="gone.png"), [a, b]) == (None, True)
    assert owner_of(labels("disc", image="gone.png"), [a]) == (None, True)


@pytest.mark.parametrize(
    ("name", "found"), [("1 disc", 0), ("1_disc", 0), ("1", 0), ("11 disc", 1), ("111 disc", None)]
)
def test_image_names_are_compared_by_whole_words(name: str, found: int | None) -> None:
    images = [image("1"), image("11")]
    assert image_of_labels(labels(name), images).image is (None if found is None else images[found])


def test_unnamed_mask_belongs_to_the_only_image_of_its_size() -> None:
    small, large = image("small"), image("large", 8)
    assert owner_of(labels("disc", 8), [small, large]) == (large, False)
    assert owner_of(labels("disc", 5), [small, large]) == (None, False)
    assert owner_of(labels("disc", 5), [small]) == (small, False)
    assert owner_of(labels("disc"), []) == (None, False)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        *(("Labels", True), ("Labels [1]", True), ("Disc", True), ("disc_2", True), ("", True)),
        *(("eye1 disc", False), ("eye1_disc", False), ("discus", False), ("1", False)),
    ],
)
def test_size_does_not_match_a_layer_named_after_another_image(name: str, fits: bool) -> None:
    other = image("eye2")
    assert owner_of(labels(name), [other]) == (other if fits else None, False)


def test_masks_are_found_in_the_proxy_that_napari_hands_to_docks() -> None:
    one, mask = image("eye1"), labels("eye1 disc")
    viewer = viewer_with(one, mask)
    viewer.layers.selection.active = one
    proxy = PublicOnlyProxy(viewer)
    assert selected_image(proxy) == one
    assert selected_image(proxy) is not one  # a proxy of it, which the layers' list does not hold
    assert masks_of_image(proxy, selected_image(proxy)) == [mask]
    assert visible_masks_of_image(proxy, selected_image(proxy)) == [mask]

"""Layers created from an image and its masks, and arrays read from layers of any origin."""

import dask.array
import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_sam2lora.layers.conversion import (
    fingerprint,
    fundus_layers,
    mask_of,
    masks_of,
    pixels_of,
    size_of,
    spacing_of,
    transform_of,
    view_layer,
)
from napari_sam2lora.layers.lookup import layer_data
from sam2lora.errors import GeometryError, ImageError, TargetError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.images.reading import FundusImage
from sam2lora.targets import TARGETS, Target, save_target

PIXELS = np.full((20, 30, 3), 90, np.uint8)
FOV = FieldOfView(np.ones((20, 30), bool), (14.5, 9.5), 28.0)


def rows_mask(*rows: int) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[list(rows)] = True
    return mask


def layers(image: FundusImage, **masks: np.ndarray) -> list[Layer]:
    return [Layer.create(*data) for data in fundus_layers("eye", image, FOV, masks)]


def test_image_layer_shares_the_pixels():
    (data, options, kind), *rest = fundus_layers("eye", FundusImage(PIXELS), FOV, {})
    assert data is PIXELS
    assert (kind, options["name"], rest) == ("image", "eye", [])
    layer = Layer.create(data, options, kind)
    assert layer.rgb
    assert layer.contrast_limits == [0, 255]


def test_masks_have_the_label_color_and_name_of_their_target():
    _, *masks = layers(
        FundusImage(PIXELS), vessel=rows_mask(3), cup=rows_mask(9), disc=rows_mask(8, 9, 10)
    )
    assert [layer.name for layer in masks] == ["eye disc", "eye cup", "eye vessel"]
    for layer in masks:
        target = TARGETS[layer.metadata["sam2lora"]["target"]]
        assert isinstance(layer, Labels)
        assert set(np.unique(layer.data)) == {0, target.label}
        rgb = [int(target.color[i : i + 2], 16) for i in (1, 3, 5)]
        np.testing.assert_allclose(layer.get_color(target.label)[:3] * 255, rgb, atol=0.5)
        assert layer.colormap.map(np.uint8(0))[3] == 0
    np.testing.assert_array_equal(masks[2].data != 0, rows_mask(3))


def test_any_painted_label_has_the_color_of_the_target():
    _, disc = layers(FundusImage(PIXELS), disc=rows_mask(8))
    disc.data_setitem((np.array([2]), np.array([2])), 1)
    np.testing.assert_allclose(disc.get_color(1), disc.get_color(TARGETS["disc"].label))


def test_mask_of_a_user_defined_target_is_shown():
    save_target(Target(name="lesion", label=7, color="#00ff00"))
    _, lesion = layers(FundusImage(PIXELS), lesion=rows_mask(5))
    assert lesion.name == "eye lesion"
    assert lesion.data.max() == 7


@pytest.mark.parametrize(
    ("spacing", "scale", "unit"), [(None, (1, 1), "pixel"), ((0.01, 0.02), (0.01, 0.02), "mm")]
)
def test_all_layers_are_aligned_with_the_image(spacing, scale, unit):
    for layer in layers(
        FundusImage(PIXELS, spacing=spacing), disc=rows_mask(8), vessel=rows_mask(3)
    ):
        np.testing.assert_allclose(layer.scale, scale)
        np.testing.assert_allclose(layer.translate, (0, 0))
        assert {str(each) for each in layer.units} in (
            {unit},
            {"millimeter" if unit == "mm" else unit},
        )


def test_metadata_describe_the_image(tmp_path):
    image = FundusImage(PIXELS, tmp_path / "eye.png", (0.01, 0.01), "left", "grey to RGB")
    entries = layers(image)[0].metadata["sam2lora"]
    assert entries["path"] == str(tmp_path / "eye.png")
    assert entries["fov"] == {"center": (14.5, 9.5), "diameter": 28.0, "found": "circle"}
    assert (entries["eye"], entries["spacing"], entries["note"]) == (
        "left",
        (0.01, 0.01),
        "grey to RGB",
    )
    assert entries["dataset"] is entries["patient"] is entries["split"] is None


def test_metadata_name_the_folder_of_a_listed_image(tmp_path):
    image = FundusImage(PIXELS, tmp_path / "eye.png")
    (_, options, _), *_ = fundus_layers("eye", image, FOV, {}, listed_in=tmp_path)
    assert options["metadata"]["sam2lora"]["listed_in"] == str(tmp_path)
    assert layers(image)[0].metadata["sam2lora"]["listed_in"] is None


def test_mask_metadata_have_image_id_and_fingerprint(tmp_path):
    _, disc = layers(FundusImage(PIXELS, tmp_path / "eye.png"), disc=rows_mask(8))
    entries = disc.metadata["sam2lora"]
    assert entries["image"] == str(tmp_path / "eye.png")
    assert entries["saved"] == fingerprint(mask_of(layer_data(disc)))
    disc.data_setitem((np.array([0]), np.array([0])), 1)
    assert entries["saved"] != fingerprint(mask_of(layer_data(disc)))


# Images of other origin

GREY = np.arange(600, dtype=np.uint8).reshape(20, 30)
RGB = np.stack([GREY, GREY // 2, GREY // 3], axis=-1)
OPAQUE = np.full(GREY.shape, 255, np.uint8)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Image(RGB, rgb=True), RGB),
        (Image(np.dstack([RGB, OPAQUE]), rgb=True), RGB),
        (Image(np.moveaxis(RGB, -1, 0)), RGB),
        (Image(GREY), np.dstack([GREY] * 3)),
        (Image(GREY[None]), np.dstack([GREY] * 3)),
        (Image(RGB / 255.0, rgb=True), RGB),
        (Image((GREY / 255).astype(np.float32)), np.dstack([GREY] * 3)),
        (Image(GREY.astype(np.uint16) * 257), np.dstack([GREY] * 3)),
        (Image(dask.array.from_array(RGB, chunks=8), rgb=True), RGB),
        (Image([RGB, RGB[::2, ::2]], multiscale=True, rgb=True), RGB),
    ],
    ids=["RGB", "RGBA", "CHW", "grey", "1HW", "float RGB", "float", "16 bit", "dask", "multiscale"],
)
def test_images_of_other_origin_are_converted(layer: Image, expected: np.ndarray):
    pixels = pixels_of(layer_data(layer))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.zeros((7, 20, 30), np.uint8), r"stack of shape \(7, 20, 30\)"),
        (np.zeros((2, 3, 20, 30), np.uint8), "stack of shape"),
        (np.full((20, 30), np.nan), "NaN"),
        (np.full((20, 30), -1.0), "from -1 to -1"),
    ],
    ids=["stack", "four dimensions", "NaN", "negative"],
)
def test_invalid_image_is_rejected_by_name(data: np.ndarray, reason: str):
    with pytest.raises(ImageError, match=rf"^scan: .*{reason}"):
        pixels_of(layer_data(Image(data, name="scan", contrast_limits=(0, 1))))


@pytest.mark.parametrize(
    "layer",
    [
        Image(GREY, scale=(2, 3), translate=(5, 7), units=("um", "um")),
        Image(GREY, rotate=30, shear=[0.2]),
        Image(GREY, affine=np.array([[0, 1, 4], [1, 0, 2], [0, 0, 1]])),
        Image(np.moveaxis(RGB, -1, 0), scale=(9, 2, 3), translate=(1, 5, 7)),
        Image([RGB, RGB[::2, ::2]], multiscale=True, rgb=True, scale=(2, 3)),
    ],
    ids=["scaled", "rotated", "affine", "CHW", "multiscale"],
)
def test_view_layer_is_aligned_with_its_image(layer: Image):
    view = Layer.create(*view_layer("green", GREY, layer_data(layer), "image"))
    np.testing.assert_allclose(view.extent.world, layer.extent.world[:, -2:])
    assert view.units == layer.units[-2:]
    corner = np.array([[3, 4]])
    inside = np.hstack([np.zeros((1, layer.ndim - 2)), corner])
    expected = [layer.data_to_world(each)[-2:] for each in inside]
    np.testing.assert_allclose([view.data_to_world(each) for each in corner], expected)


def test_color_image_with_a_single_slice_is_read():
    slices = Image(RGB[None], rgb=True)
    assert size_of(layer_data(slices)) == RGB.shape[:2]
    np.testing.assert_array_equal(pixels_of(layer_data(slices)), RGB)


def test_color_stack_is_rejected():
    with pytest.raises(ImageError, match="is a stack"):
        size_of(layer_data(Image(np.stack([RGB, RGB]), rgb=True)))


def test_rotated_stack_is_rejected():
    stack = Image(np.moveaxis(RGB, -1, 0), rotate=(0, 0, 20), name="scan")
    with pytest.raises(GeometryError, match="scan: is rotated"):
        transform_of(layer_data(stack))


@pytest.mark.parametrize(
    ("units", "expected"),
    [(("um", "um"), (0.01, 0.02)), (("mm", "mm"), (10, 20)), (("pixel", "pixel"), None)],
)
def test_spacing_is_in_millimetres_for_any_unit_of_length(units, expected):
    image = Image(GREY, scale=(10, 20), units=units)
    assert spacing_of(layer_data(image)) == (expected and pytest.approx(expected))


# Labels of other origin


def test_labels_of_other_origin_are_converted():
    values = rows_mask(3).astype(np.int64) * 17
    pyramid = [values, values[::2, ::2]]
    for layer in (
        Labels(values),
        Labels(values[None]),
        Labels(dask.array.from_array(values)),
        Labels(pyramid, multiscale=True),
    ):
        np.testing.assert_array_equal(mask_of(layer_data(layer)), rows_mask(3))
    with pytest.raises(ImageError, match=r"^many: is a stack of shape \(3, 20, 30\)"):
        mask_of(layer_data(Labels(np.zeros((3, 20, 30), int), name="many")))


def test_two_layers_of_one_target_are_rejected_by_name():
    both = [
        layer_data(Labels(rows_mask(3).astype(int), name=name)) for name in ("a disc", "b disc")
    ]
    with pytest.raises(TargetError, match="Two layers show disc: a disc and b disc"):
        masks_of(both)

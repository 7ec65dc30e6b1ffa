"""The layers that are made of a photograph and its masks."""

import numpy as np
import pytest
from napari.layers import Labels, Layer

from napari_sam2lora._layers import fundus_layers
from sam2lora.field_of_view import FieldOfView
from sam2lora.images import FundusImage
from sam2lora.targets import TARGETS, Target, save_target

PIXELS = np.full((20, 30, 3), 90, np.uint8)
FOV = FieldOfView(np.ones((20, 30), bool), (14.5, 9.5), 28.0)


def part(*rows: int) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[list(rows)] = True
    return mask


def layers(image: FundusImage, **masks: np.ndarray) -> list[Layer]:
    return [Layer.create(*data) for data in fundus_layers("eye", image, FOV, masks)]


def test_the_image_is_shown_as_it_is_without_a_copy():
    (data, options, kind), *rest = fundus_layers("eye", FundusImage(PIXELS), FOV, {})
    assert data is PIXELS
    assert (kind, options["name"], rest) == ("image", "eye", [])
    layer = Layer.create(data, options, kind)
    assert layer.rgb
    assert layer.contrast_limits == [0, 255]


def test_masks_have_their_targets_value_color_and_name():
    _, *masks = layers(FundusImage(PIXELS), vessel=part(3), cup=part(9), disc=part(8, 9, 10))
    assert [layer.name for layer in masks] == ["eye disc", "eye cup", "eye vessel"]
    for layer in masks:
        target = TARGETS[layer.metadata["sam2lora"]["target"]]
        assert isinstance(layer, Labels)
        assert set(np.unique(layer.data)) == {0, target.label}
        rgb = [int(target.color[i : i + 2], 16) for i in (1, 3, 5)]
        np.testing.assert_allclose(layer.get_color(target.label)[:3] * 255, rgb, atol=0.5)
        assert layer.colormap.map(np.uint8(0))[3] == 0
    np.testing.assert_array_equal(masks[2].data != 0, part(3))


def test_what_is_painted_with_another_label_is_seen_in_the_targets_color():
    _, disc = layers(FundusImage(PIXELS), disc=part(8))
    disc.data_setitem((np.array([2]), np.array([2])), 1)
    np.testing.assert_allclose(disc.get_color(1), disc.get_color(TARGETS["disc"].label))


def test_a_users_own_target_is_shown():
    save_target(Target(name="lesion", label=7, color="#00ff00"))
    _, lesion = layers(FundusImage(PIXELS), lesion=part(5))
    assert lesion.name == "eye lesion"
    assert lesion.data.max() == 7


@pytest.mark.parametrize(
    ("spacing", "scale", "unit"), [(None, (1, 1), "pixel"), ((0.01, 0.02), (0.01, 0.02), "mm")]
)
def test_every_layer_lies_where_the_image_lies(spacing, scale, unit):
    for layer in layers(FundusImage(PIXELS, spacing=spacing), disc=part(8), vessel=part(3)):
        np.testing.assert_allclose(layer.scale, scale)
        np.testing.assert_allclose(layer.translate, (0, 0))
        assert {str(each) for each in layer.units} in (
            {unit},
            {"millimeter" if unit == "mm" else unit},
        )


def test_metadata_say_what_is_known_about_the_image(tmp_path):
    image = FundusImage(PIXELS, tmp_path / "eye.png", (0.01, 0.01), "left", "grey to RGB")
    about = layers(image)[0].metadata["sam2lora"]
    assert about["path"] == str(tmp_path / "eye.png")
    assert about["fov"] == {"center": (14.5, 9.5), "diameter": 28.0, "found": "circle"}
    assert (about["eye"], about["spacing"], about["note"]) == ("left", (0.01, 0.01), "grey to RGB")
    assert about["dataset"] is about["patient"] is about["split"] is None

"""The field of view in the viewer is found once per image, by one rule for all features."""

import gc
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from PIL import Image as Pillow

from napari_sam2lora.layers import field_of_view as module
from napari_sam2lora.layers.field_of_view import (
    field_of_view,
    find_and_keep,
    known_field_of_view,
    scoring_field_of_view,
)
from napari_sam2lora.layers.loading import image_file_at, read_image_layers
from napari_sam2lora.layers.lookup import layer_data
from sam2lora.errors import ImageError

from ..conftest import SHAPE, disk, eye


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often a field of view is searched for."""
    real, calls = module.find_field_of_view, []

    def find(pixels: np.ndarray):
        calls.append(1)
        return real(pixels)

    monkeypatch.setattr(module, "find_field_of_view", find)
    return calls


def own_mask_of_drive(root: Path) -> np.ndarray:
    """Replace the mask of the field of view that DRIVE distributes by a rectangle."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[30:60, 20:70] = 255
    Pillow.fromarray(mask).save(root / "test" / "mask" / "01_test_mask.gif")
    return mask > 0


def test_opened_image_is_searched_once(drive: Path, searches: list[int]) -> None:
    viewer = ViewerModel()
    layers = read_image_layers(image_file_at(drive / "test" / "images" / "01_test.tif"))
    image = viewer.add_image(layers[0][0], **layers[0][1])
    assert known_field_of_view(image.data) is not None
    first = field_of_view(layer_data(image))
    assert field_of_view(layer_data(image)) is first
    assert searches == [1]


def test_image_of_other_origin_is_searched_when_first_used(searches: list[int]) -> None:
    image = Image(np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8), rgb=True)
    assert known_field_of_view(image.data) is None
    found = field_of_view(layer_data(image))
    assert known_field_of_view(image.data) is found
    assert found.diameter == pytest.approx(80, abs=3)
    assert searches == [1]


def test_replaced_pixels_are_searched_again(searches: list[int]) -> None:
    image = Image(np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8), rgb=True)
    field_of_view(layer_data(image))
    image.data = np.where(disk(25)[..., None], (180, 90, 40), 0).astype(np.uint8)
    assert field_of_view(layer_data(image)).diameter == pytest.approx(50, abs=3)
    assert searches == [1, 1]


def test_field_of_view_is_released_with_its_image() -> None:
    pixels = np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8)
    find_and_keep(pixels)
    key = id(pixels)
    assert key in module._found
    del pixels
    gc.collect()
    assert key not in module._found


def test_mask_of_the_dataset_is_used_for_scoring_only(drive: Path) -> None:
    own = own_mask_of_drive(drive)
    image = read_image_layers(image_file_at(drive / "test" / "images" / "01_test.tif"))[0]
    np.testing.assert_array_equal(scoring_field_of_view(image).mask, own)
    assert field_of_view(image).diameter == pytest.approx(80, abs=3)


def test_scoring_falls_back_to_the_found_field_without_a_dataset() -> None:
    layer = Image(np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8), rgb=True)
    image = layer_data(layer)
    assert scoring_field_of_view(image) is field_of_view(image)


def test_unreadable_mask_of_the_dataset_is_an_error_in_scoring(drive: Path) -> None:
    (drive / "test" / "mask" / "01_test_mask.gif").write_bytes(b"no image")
    image = read_image_layers(image_file_at(drive / "test" / "images" / "01_test.tif"))[0]
    with pytest.raises(ImageError, match="01_test_mask"):
        scoring_field_of_view(image)


def test_stack_has_no_field_of_view() -> None:
    with pytest.raises(ImageError, match="stack"):
        field_of_view(layer_data(Image(np.zeros((5, 9, 9), np.uint8))))


def test_outline_is_where_clicks_are_accepted() -> None:
    found = field_of_view(layer_data(eye()[0]))
    assert found.mask[48, 45]
    assert not found.mask[0, 0]

"""The annotated region of an image."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Points, Shapes

from napari_sam2lora.training.data.annotated_area import (
    add_annotated_area,
    area_of_file,
    area_of_image,
    outside,
)
from sam2lora.errors import GeometryError, ImageError

from ..conftest import SHAPE, add_eye

LEFT_HALF = np.array([[0, 0], [0, 31], [63, 31], [63, 0]])


def test_area_is_added_over_the_selected_image(viewer: ViewerModel, tmp_path: Path) -> None:
    image, _ = add_eye(viewer, "a", "disc", path=tmp_path / "a.png")
    area = add_annotated_area(viewer)
    assert (area.name, area.mode) == ("a annotated area", "add_polygon")
    assert viewer.layers.selection.active is area
    assert area_of_image(viewer.layers, image) is area
    assert area_of_file(viewer.layers, tmp_path / "a.png") is area
    assert area_of_file(viewer.layers, tmp_path / "b.png") is None


def test_area_without_an_image_is_an_error(viewer: ViewerModel) -> None:
    with pytest.raises(ImageError, match="no image"):
        add_annotated_area(viewer)


def test_foreign_area_is_found_by_its_name(viewer: ViewerModel) -> None:
    image, _ = add_eye(viewer, "a", "disc")
    area = viewer.add_layer(Shapes(name="A annotated area"))
    assert area_of_image(viewer.layers, image) is area


@pytest.mark.parametrize("area", [None, Shapes(), Labels(np.zeros(SHAPE, np.uint8))])
def test_nothing_is_outside_an_empty_area(area: Shapes | Labels | None) -> None:
    assert outside(area, SHAPE) is None


def test_outside_is_the_rest_of_an_outline() -> None:
    ignored = outside(Shapes([LEFT_HALF]), SHAPE)
    assert ignored[:, 33:].all()
    assert not ignored[:, :31].any()


def test_outside_is_the_rest_of_a_painted_area() -> None:
    painted = np.zeros(SHAPE, np.uint8)
    painted[:30] = 1
    assert np.array_equal(outside(Labels(painted), SHAPE), painted == 0)


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (Shapes([LEFT_HALF], name="area", scale=(2, 2)), "scale or position differs .* of a"),
        (Labels(np.ones((9, 9), np.uint8), name="area"), "size differs"),
        (Points(name="area"), "not a Shapes or Labels layer"),
    ],
    ids=["scale", "size", "kind"],
)
def test_unsuitable_area_is_an_error(viewer: ViewerModel, area, message: str) -> None:
    image, _ = add_eye(viewer, "a", "disc")
    with pytest.raises(GeometryError, match=f"area: .*{message}"):
        outside(area, SHAPE, image)

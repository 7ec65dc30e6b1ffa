"""Prompts as Points and Shapes layers, and back."""

import numpy as np
import pytest
from napari.layers import Labels, Points

from napari_sam2lora.layers.prompt_conversion import (
    boxes_layer,
    newest_box,
    outlines_layer,
    points_layer,
    prompt_tool,
    read_outline,
    read_points,
    target_key,
    write_box,
    write_outline,
    write_points,
)
from sam2lora.datasets.ellipses import Ellipse
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, eye

DISC = TARGETS["disc"]


@pytest.fixture
def image():
    return eye(spacing=(0.01, 0.02))[0]


def test_points_survive_the_round_trip(image):
    layer = points_layer(image, DISC)
    points = (
        PointPrompt(30.5, 20.25),
        PointPrompt(40, 50, positive=False),
        PointPrompt(44, 55, branch=True),
    )
    write_points(layer, points)
    np.testing.assert_array_equal(layer.data, [(20.25, 30.5), (50, 40), (55, 44)])
    assert read_points(layer) == points
    write_points(layer, ())
    assert read_points(layer) == ()


def test_box_survives_the_round_trip_and_replaces_the_old_one(image):
    layer = boxes_layer(image, DISC)
    for box in ((20.0, 10.0, 60.0, 70.0), (5.0, 6.0, 30.0, 40.0)):
        write_box(layer, box)
        assert newest_box(layer) == box
        assert layer.nshapes == 1
    write_box(layer, None)
    assert newest_box(layer) is None
    assert layer.nshapes == 0


@pytest.mark.parametrize("angle", [0.0, 25.5, -70.25, 160.125])
def test_outline_survives_the_round_trip_and_replaces_the_old_one(image, angle: float):
    layer = outlines_layer(image, DISC)
    for outline in (Ellipse(40.5, 30.25, 20.0, 12.125, angle), Ellipse(33, 44, 10, 10)):
        write_outline(layer, outline)
        assert read_outline(layer) == outline
        assert layer.nshapes == 1
    write_outline(layer, None)
    assert read_outline(layer) is None


def test_shape_as_small_as_a_click_is_no_box(image):
    layer = boxes_layer(image, DISC)
    write_box(layer, (20.0, 10.0, 60.0, 70.0))
    layer.add([np.array([(10, 5), (10, 6), (11, 6), (11, 5)])], shape_type="rectangle")
    assert newest_box(layer) == (20, 10, 60, 70)


def test_layers_are_identified_by_metadata_and_type(image):
    points, boxes = points_layer(image, DISC), boxes_layer(image, DISC)
    assert (prompt_tool(points), prompt_tool(boxes)) == ("point", "box")
    assert target_key(points) == target_key(boxes) == ("eye", "disc")
    assert prompt_tool(Labels(np.zeros(SHAPE, int), metadata=boxes.metadata)) is None
    assert prompt_tool(Points(np.zeros((1, 2)))) is None


def test_layers_are_aligned_with_the_image(image):
    for layer in (points_layer(image, DISC), boxes_layer(image, DISC)):
        np.testing.assert_allclose(layer.scale, image.scale)
        assert layer.units == image.units

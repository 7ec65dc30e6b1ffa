"""Prompts and previews stay aligned with their image when it is moved."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam2lora.layers.alignment import TransformSync
from napari_sam2lora.layers.preview import PreviewLayers
from napari_sam2lora.layers.prompts import PromptLayers
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, disk, eye, viewer_with

DISC = TARGETS["disc"]


@pytest.fixture
def viewer() -> ViewerModel:
    return viewer_with(*eye(name="eye"), *eye(name="other"))


def test_points_follow_a_transformed_image(viewer: ViewerModel):
    image, other, prompts = viewer.layers["eye"], viewer.layers["other"], PromptLayers(viewer)
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    theirs = prompts.points(other, DISC)
    preview = PreviewLayers(viewer).show(image, DISC, disk(12).astype(np.float32), threshold=0.5)
    sync = TransformSync(viewer)
    sync.refresh()
    image.scale, image.translate, image.units = (0.01, 0.02), (3, 4), ("mm", "mm")
    image.rotate, image.shear = 20, [0.1]
    image.affine = np.array([(1, 0.5, 2), (0, 1, 3), (0, 0, 1)])
    for layer in (points, boxes, preview):
        for corner in ((0, 0), SHAPE):
            np.testing.assert_allclose(
                layer.data_to_world(corner), image.data_to_world(corner), atol=1e-9
            )
        assert layer.units == image.units
    points.add(points.world_to_data(image.data_to_world((20, 30))))
    (point,) = prompts.at(("eye", "disc")).points
    assert (point.x, point.y) == pytest.approx((30, 20))
    assert point.positive == PointPrompt(30, 20).positive
    assert tuple(theirs.scale) == (1, 1)


def test_transform_is_synced_at_once_and_until_closing(viewer: ViewerModel):
    image, prompts = viewer.layers["eye"], PromptLayers(viewer)
    points = prompts.points(image, DISC)
    image.scale = (0.5, 0.5)
    sync = TransformSync(viewer)
    sync.refresh()
    assert tuple(points.scale) == (0.5, 0.5)
    sync.close()
    image.scale = (0.1, 0.1)
    assert tuple(points.scale) == (0.5, 0.5)


def test_masks_are_not_moved(viewer: ViewerModel):
    labels = viewer.add_layer(eye("disc")[1])
    assert isinstance(labels, Labels)
    TransformSync(viewer).refresh()
    viewer.layers["eye"].scale = (0.5, 0.5)
    assert tuple(labels.scale) == (1, 1)


def test_channels_first_image_is_synced_and_a_rotated_stack_is_notified(
    viewer: ViewerModel, notices: list[str]
):
    image = viewer.add_layer(Image(np.zeros((3, *SHAPE), np.uint8), name="channels"))
    points = PromptLayers(viewer).points(image, DISC)
    TransformSync(viewer).refresh()
    image.scale = (1, 0.5, 0.25)
    assert tuple(points.scale) == (0.5, 0.25)
    image.rotate = (10, 20, 30)
    assert "rotated or sheared" in " ".join(notices)

"""The sample image."""

import numpy as np
import pytest

from napari_sam2lora._sample_data import fundus
from sam2lora.targets import TARGETS


def test_sample_is_a_photograph_with_all_masks():
    (pixels, options, kind), *masks = fundus()
    assert kind == "image"
    assert pixels.dtype == np.uint8
    assert options["metadata"]["sam2lora"]["fov"]["diameter"] > 0.5 * max(pixels.shape)
    assert {options["metadata"]["sam2lora"]["target"] for _, options, _ in masks} == set(TARGETS)
    for data, _, kind in masks:
        assert kind == "labels"
        assert data.shape == pixels.shape[:2]
        assert data.any()


@pytest.mark.viewer
def test_sample_opens_from_the_menu(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.open_sample("napari-sam2lora", "fundus")
    assert [layer.name for layer in viewer.layers] == [
        "synthetic fundus",
        "synthetic fundus disc",
        "synthetic fundus cup",
        "synthetic fundus vessel",
    ]
    np.testing.assert_allclose(
        viewer.layers["synthetic fundus vessel"].extent.world, viewer.layers[0].extent.world
    )

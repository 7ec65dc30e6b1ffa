"""The sample images."""

import numpy as np
import pytest

from napari_sam2lora._sample_data import dark_with_lesions, healthy, large_cup
from sam2lora.targets import TARGETS

SAMPLES = {"healthy": healthy, "large_cup": large_cup, "dark_with_lesions": dark_with_lesions}


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_is_an_image_with_all_masks(name: str):
    (pixels, options, kind), *masks = SAMPLES[name]()
    assert kind == "image"
    assert pixels.dtype == np.uint8
    assert options["metadata"]["sam2lora"]["fov"]["diameter"] > 0.5 * max(pixels.shape)
    assert {options["metadata"]["sam2lora"]["target"] for _, options, _ in masks} == set(TARGETS)
    for data, _, kind in masks:
        assert kind == "labels"
        assert data.shape == pixels.shape[:2]
        assert data.any()


def test_samples_match_their_names():
    light = {name: sample()[0][0].mean() for name, sample in SAMPLES.items()}
    assert light["dark_with_lesions"] < 0.7 * light["healthy"]
    ratios = {}
    for name in ("healthy", "large_cup"):
        heights = {
            options["metadata"]["sam2lora"]["target"]: np.ptp(np.flatnonzero(data.any(axis=1)))
            for data, options, _ in SAMPLES[name]()[1:]
        }
        ratios[name] = heights["cup"] / heights["disc"]
    assert ratios["healthy"] < 0.7 < ratios["large_cup"]


@pytest.mark.viewer
@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("healthy", "healthy fundus"),
        ("large_cup", "fundus with a large cup"),
        ("dark_with_lesions", "dark fundus with lesions"),
    ],
)
def test_samples_open_from_the_menu(make_napari_viewer, key: str, name: str):
    viewer = make_napari_viewer()
    viewer.open_sample("napari-sam2lora", key)
    names = [layer.name for layer in viewer.layers]
    assert names == [name, f"{name} disc", f"{name} cup", f"{name} vessel"]
    for layer in viewer.layers[1:]:
        np.testing.assert_allclose(layer.extent.world, viewer.layers[0].extent.world)

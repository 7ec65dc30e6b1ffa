"""Predictions as preview layers."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2lora.layers.preview import PreviewLayers
from napari_sam2lora.layers.prompts import PromptLayers
from sam2lora.targets import TARGETS

from ..conftest import disk, eye, viewer_with

DISC = TARGETS["disc"]


@pytest.fixture
def viewer() -> ViewerModel:
    return viewer_with(eye(spacing=(0.01, 0.02))[0])


def values(level: float = 0.6) -> np.ndarray:
    return (disk(12) * level).astype(np.float32)


def test_new_prediction_replaces_the_previous_one(viewer: ViewerModel):
    previews, image = PreviewLayers(viewer), viewer.layers["eye"]
    layer = previews.show(image, DISC, values(), threshold=0.5)
    again = previews.show(image, DISC, values(0.9), threshold=0.7)
    assert again is layer
    assert len(viewer.layers) == 2
    assert layer.data.max() == np.float32(0.9)
    assert layer.contrast_limits[0] == pytest.approx(0.7, abs=1e-3)
    np.testing.assert_allclose(layer.extent.world, image.extent.world)


def test_probabilities_below_the_threshold_are_transparent(viewer: ViewerModel):
    layer = PreviewLayers(viewer).show(viewer.layers["eye"], DISC, values(), threshold=0.5)
    low, high = layer.contrast_limits
    shown = [layer.colormap.map((one - low) / (high - low))[0, 3] for one in (0.4999, 0.5, 0.999)]
    assert shown[0] < 0.01
    assert 0.4 < shown[1] < shown[2]


def test_preview_is_below_the_prompts_and_keeps_the_tool(viewer: ViewerModel):
    image, prompts = viewer.layers["eye"], PromptLayers(viewer)
    prompts.use(image, DISC, "point")
    PreviewLayers(viewer).show(image, DISC, values(), threshold=0.5)
    assert [layer.name for layer in viewer.layers] == [
        *("eye", "eye disc preview", "eye disc points")
    ]
    active = viewer.layers.selection.active
    assert (active.name, active.mode) == ("eye disc points", "add")


def test_preview_of_a_disc_covers_neither_vessels_nor_its_cup(viewer: ViewerModel):
    previews, image = PreviewLayers(viewer), viewer.layers["eye"]
    for name in ("vessel", "cup", "disc"):
        previews.show(image, TARGETS[name], values(), threshold=0.5)
    assert [layer.name.split()[1] for layer in viewer.layers[1:]] == ["disc", "cup", "vessel"]


def test_preview_is_directly_above_its_own_image(viewer: ViewerModel):
    previews, prompts = PreviewLayers(viewer), PromptLayers(viewer)
    prompts.use(viewer.layers["eye"], DISC, "point")
    other = viewer.add_layer(eye(name="other")[0])
    layer = previews.show(other, DISC, values(), threshold=0.5)
    assert viewer.layers.index(layer) == viewer.layers.index(other) + 1
    prompts.use(other, DISC, "point")
    expected = ["other", "other disc preview", "other disc points"]
    assert [one.name for one in viewer.layers][-3:] == expected
    viewer.layers.move(
        viewer.layers.index(other), len(viewer.layers)
    )  # as an image that is opened again
    prompts.use(other, DISC, "point")
    assert previews.show(other, DISC, values(), threshold=0.5) is layer
    assert [one.name for one in viewer.layers][-3:] == expected


def test_only_previews_of_the_current_image_are_visible(viewer: ViewerModel):
    previews, image = PreviewLayers(viewer), viewer.layers["eye"]
    other = viewer.add_layer(eye(name="other")[0])
    disc = previews.show(image, DISC, values(), threshold=0.5)
    cup = previews.show(image, TARGETS["cup"], values(), threshold=0.5)
    cup.visible = False  # by the user
    previews.show_only("other")
    assert not disc.visible
    late = previews.show(image, TARGETS["vessel"], values(), threshold=0.5)
    assert not late.visible
    assert previews.show(other, DISC, values(), threshold=0.5).visible
    previews.show_only("eye")
    assert (disc.visible, cup.visible, late.visible) == (True, False, True)
    previews.keep_only({"other"})
    assert [one.name for one in viewer.layers] == ["eye", "other", "other disc preview"]

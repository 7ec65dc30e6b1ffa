"""Commands that add empty masks."""

import numpy as np
import pytest

from napari_sam2lora.commands.new_mask import new_cup_mask, new_disc_mask, new_vessel_mask
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, eye


@pytest.mark.viewer
@pytest.mark.parametrize(
    ("command", "name"),
    [(new_vessel_mask, "vessel"), (new_disc_mask, "disc"), (new_cup_mask, "cup")],
)
def test_new_mask_is_empty_aligned_and_in_paint_mode(make_napari_viewer, command, name):
    viewer = make_napari_viewer()
    image = viewer.add_layer(eye(spacing=(0.01, 0.02))[0])
    command(viewer)
    mask = viewer.layers[-1]
    assert mask.name == f"eye {name}"
    assert mask.data.shape == SHAPE
    assert not mask.data.any()
    np.testing.assert_allclose(mask.extent.world, image.extent.world)
    assert (mask.mode, mask.selected_label) == ("paint", TARGETS[name].label)


@pytest.mark.viewer
def test_second_mask_of_the_same_target_is_rejected(make_napari_viewer, notices: list[str]):
    viewer = make_napari_viewer()
    for layer in eye("vessel"):
        viewer.add_layer(layer)
    new_vessel_mask(viewer)
    assert len(viewer.layers) == 2
    assert notices == ["eye vessel already exists: paint into it."]
    new_disc_mask(viewer)
    assert len(viewer.layers) == 3


@pytest.mark.viewer
def test_new_mask_without_an_image_is_notified(make_napari_viewer, notices: list[str]):
    new_cup_mask(make_napari_viewer())
    assert notices == ["There is no image. Open a fundus image first."]

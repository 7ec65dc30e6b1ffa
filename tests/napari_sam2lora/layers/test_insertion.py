"""Layers are added, moved, shown and filled without changing the user's tool."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2lora.layers.insertion import add_quietly, lift_above, set_points, set_visible

from ..conftest import eye, viewer_with


def painting(viewer: ViewerModel) -> None:
    """Paint in the disc of an image, as a user does."""
    labels = viewer.layers["eye disc"]
    viewer.layers.selection.active = labels
    labels.mode = "paint"


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_adding_keeps_selection_and_mode_without_an_event():
    viewer = viewer_with(*eye("disc"))
    painting(viewer)
    events = []
    viewer.layers.selection.events.active.connect(events.append)
    (added,) = eye(name="added")
    assert add_quietly(viewer, added) is added
    assert viewer.layers.selection.active is viewer.layers["eye disc"]
    assert set(viewer.layers.selection) == {viewer.layers["eye disc"]}
    assert viewer.layers["eye disc"].mode == "paint"
    assert events == []


def test_layer_is_added_at_an_index_or_on_top():
    viewer = viewer_with(*eye("disc"))
    painting(viewer)
    add_quietly(viewer, eye(name="below")[0], 1)
    add_quietly(viewer, eye(name="top")[0])
    assert names(viewer) == ["eye", "below", "eye disc", "top"]


def test_layer_is_added_without_an_active_layer():
    viewer = viewer_with(*eye("disc"))
    viewer.layers.selection.clear()
    add_quietly(viewer, eye(name="below")[0], 0)
    assert names(viewer) == ["below", "eye", "eye disc"]


def test_only_a_layer_below_the_image_is_lifted():
    viewer = viewer_with(*eye("disc", "vessel"))
    image, disc, vessel = viewer.layers
    lift_above(viewer, disc, image)
    assert list(viewer.layers) == [image, disc, vessel]
    viewer.layers.move(0, 3)
    assert list(viewer.layers) == [disc, vessel, image]
    lift_above(viewer, disc, image)
    assert list(viewer.layers) == [vessel, image, disc]
    viewer.layers.remove(image)
    lift_above(viewer, vessel, image)
    assert list(viewer.layers) == [vessel, disc]


def test_setting_the_same_visibility_keeps_the_mode():
    viewer = viewer_with(*eye("disc"))
    painting(viewer)
    labels = viewer.layers["eye disc"]
    set_visible(labels, True)
    assert labels.mode == "paint"
    set_visible(labels, False)
    assert not labels.visible


@pytest.mark.viewer
def test_points_of_a_hidden_layer_are_replaced(make_napari_viewer):
    viewer = make_napari_viewer()
    layer = viewer.add_points(
        [[5.0, 5.0]],
        features={"positive": [False]},
        face_color="positive",
        face_color_cycle=["red", "green"],
    )
    layer.visible = False
    for points in ([], [(1.0, 1.0), (2.0, 2.0)], []):
        set_points(layer, points)
        layer.features = {"positive": np.ones(len(points), bool)}
        layer.feature_defaults = {"positive": [True]}  # an IndexError in napari 0.9.2
        assert len(layer.data) == len(points)
    layer.visible = True
    assert len(layer._view_data) <= 1, "napari draws a dummy where there is none"

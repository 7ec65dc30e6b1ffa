"""What is measured of an image in a viewer."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2lora.layers.masks import accept_mask
from napari_sam2lora.layers.metadata import with_plugin_metadata
from napari_sam2lora.layers.points import LocatedPoint, PointLayers
from napari_sam2lora.layers.preview import PreviewLayers
from napari_sam2lora.measurements.snapshot import MeasuredEye, measure_snapshot, take_snapshot
from sam2lora.cohort import COLUMNS
from sam2lora.cohort.fovea import Fovea
from sam2lora.errors import GeometryError, TargetError
from sam2lora.targets import FOVEA, TARGETS

from ..conftest import bar, disk, eye, viewer_with

DISC = TARGETS["disc"]


def viewer_of(*targets: str, spacing: tuple | None = None) -> ViewerModel:
    viewer = viewer_with(*eye(*targets, spacing=spacing))
    viewer.layers.selection.active = viewer.layers[0]
    return viewer


def measured(viewer: ViewerModel) -> MeasuredEye:
    return measure_snapshot(take_snapshot(viewer, viewer.layers["eye"]))


def test_current_layers_are_measured():
    viewer = viewer_of("vessel", "disc", "cup")
    values = measured(viewer).found.values
    assert values["vessel_density"] == pytest.approx(bar().sum() / disk(40).sum(), rel=0.01)
    assert values["vertical_cup_disc_ratio"] == pytest.approx(0.52, abs=0.05)
    viewer.layers["eye cup"].data = np.zeros_like(viewer.layers["eye cup"].data)
    assert measured(viewer).found.values["vertical_cup_disc_ratio"] == 0


def test_copies_do_not_change_while_the_user_paints():
    viewer = viewer_of("disc")
    snapshot = take_snapshot(viewer, viewer.layers["eye"])
    viewer.layers["eye disc"].data[:] = 0
    assert measure_snapshot(snapshot).found.values["disc_area_px"] == disk(12).sum()


def test_millimetres_follow_the_layer_scale():
    found = measured(viewer_of("disc", spacing=(0.01, 0.02))).found
    assert found.values["disc_area_mm2"] == pytest.approx(disk(12).sum() * 0.0002)
    assert found.scale is not None
    assert found.scale.source == "file"
    assert measured(viewer_of("disc")).found.scale is None


def test_fovea_is_that_of_its_layer(qtbot):
    viewer = viewer_of("disc", "cup")
    image = viewer.layers["eye"]
    points = PointLayers(viewer)
    points.show(image, FOVEA, LocatedPoint(15, 50, 0.6, accepted=False))
    first = measured(viewer)
    assert first.snapshot.fovea == Fovea(15, 50, "predicted", 0.6)
    assert first.snapshot.confidences == {"fovea": 0.6}
    assert first.found.eye == "right"
    row = first.row()
    assert (row["fovea_x_px"], row["fovea_source"], row["fovea_confidence"]) == (
        *(15, "predicted", 0.6),
    )
    points.find(("eye", "fovea")).data = np.array([[50.0, 80.0]])
    second = measured(viewer)
    assert second.snapshot.fovea == Fovea(80, 50, "hand")
    assert second.snapshot.confidences == {}
    assert second.found.eye == "left"


def test_side_that_the_user_states_is_used():
    viewer = viewer_of("disc", "cup")
    image = viewer.layers["eye"]
    assert measured(viewer).found.values["rim_width_nasal_px"] is None
    image.metadata = with_plugin_metadata(image.metadata, eye="left")
    assert measured(viewer).found.values["rim_width_nasal_px"] is not None


def test_confidence_is_that_of_a_prediction_that_was_not_changed():
    viewer = viewer_of()
    image = viewer.layers["eye"]
    accept_mask(viewer, image, DISC, disk(12), "replace", confidence=0.8)
    assert take_snapshot(viewer, image).confidences == {"disc": 0.8}
    assert measured(viewer).row()["disc_confidence"] == 0.8
    labels = viewer.layers["eye disc"]
    labels.data_setitem((np.array([0]), np.array([0])), DISC.label)
    assert take_snapshot(viewer, image).confidences == {}


def test_prediction_that_is_shown_is_measured_in_place_of_the_mask():
    viewer = viewer_of("disc")
    image = viewer.layers["eye"]
    previews = PreviewLayers(viewer)
    layer = previews.show(
        image, DISC, 0.6 * disk(20).astype(np.float32), threshold=0.5, confidence=0.3
    )
    snapshot = take_snapshot(viewer, image)
    assert snapshot.masks["disc"].sum() == disk(20).sum()
    assert snapshot.confidences == {"disc": 0.3}
    previews.set_threshold(layer, 0.7)
    assert not take_snapshot(viewer, image).masks["disc"].any()
    layer.visible = False
    assert take_snapshot(viewer, image).masks["disc"].sum() == disk(12).sum()


def test_of_two_masks_of_a_target_the_visible_one_is_measured():
    viewer = viewer_of("disc")
    image, labels = viewer.layers
    other = viewer.add_labels(labels.data.copy(), name="eye 2 disc", metadata=labels.metadata)
    with pytest.raises(TargetError, match="Two layers show disc"):
        take_snapshot(viewer, image)
    other.visible = False
    assert take_snapshot(viewer, image).masks["disc"].sum() == disk(12).sum()
    labels.visible = False
    with pytest.raises(TargetError, match="Two layers show disc"):
        take_snapshot(viewer, image)


def test_row_has_the_columns_of_the_table():
    row = measured(viewer_of("disc", "cup", "vessel")).row()
    assert set(row) <= set(COLUMNS)
    assert (row["file"], row["width_px"], row["height_px"]) == ("eye", 90, 96)


def test_image_without_masks_and_masks_of_another_size_are_refused():
    viewer = viewer_of()
    with pytest.raises(TargetError, match="eye has no masks"):
        take_snapshot(viewer, viewer.layers["eye"])
    small = viewer.add_labels(np.ones((5, 5), np.uint8), name="eye disc")
    small.metadata = with_plugin_metadata({}, image="eye", target="disc")
    with pytest.raises(GeometryError, match="disc mask has shape"):
        measured(viewer)

"""Drawings of what is measured: views that are neither edited nor taken for masks."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes
from qtpy.QtTest import QTest

from napari_sam2lora.layers.alignment import TransformSync
from napari_sam2lora.layers.lookup import fundus_images, masks_of_image, selected_image
from napari_sam2lora.layers.metadata import plugin_metadata, with_plugin_metadata
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.layers.regions import RegionLayers, is_drawing
from sam2lora.measurements.drawing import Region, RegionBorder
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, eye, viewer_with

SQUARE = np.array([[10.0, 10], [10, 20], [20, 20], [20, 10]])
WHOLE = Region("rim_width_nasal_px", "nasal", (5, 15), 4.0, (RegionBorder(SQUARE, closed=True),))
CUT = Region(
    "vessel_density_zone_b", "zone B", (30, 30), 4.0, (RegionBorder(SQUARE[:3], closed=False),)
)
DRAWINGS = {"rim sectors": (WHOLE, WHOLE), "zones B and C": (CUT,)}
TEXTS = {"rim_width_nasal_px": "3.0 px"}


pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = viewer_with(*eye("disc", spacing=(0.01, 0.02)), *eye(name="other"))
    viewer.layers.selection.active = viewer.layers["eye disc"]
    viewer.layers["eye disc"].mode = "paint"
    return viewer


@pytest.fixture
def image(viewer: ViewerModel) -> Image:
    return viewer.layers["eye"]


def show(regions: RegionLayers, image: Image, drawings: Mapping, texts: Mapping) -> None:
    """Draw, and let the event loop turn once for each drawing."""
    regions.show(image, drawings, texts)
    for _ in drawings:
        QTest.qWait(1)


def drawn(viewer: ViewerModel) -> dict[str, Shapes]:
    return {layer.name: layer for layer in viewer.layers if is_drawing(layer)}


def test_each_drawing_is_a_layer_with_its_outlines_and_labels(viewer: ViewerModel, image: Image):
    show(RegionLayers(viewer), image, DRAWINGS, TEXTS)
    layers = drawn(viewer)
    assert set(layers) == {"eye rim sectors", "eye zones B and C"}
    quarters, zones = layers["eye rim sectors"], layers["eye zones B and C"]
    np.testing.assert_allclose(quarters.data[0], np.vstack([SQUARE, SQUARE[:1]]))
    np.testing.assert_allclose(zones.data[0], SQUARE[:3])
    assert list(quarters.features["label"]) == ["", "nasal 3.0 px"] * 2
    np.testing.assert_allclose(quarters.data[1][0], (5, 15))
    assert quarters.edge_color[0, 3] == 1
    assert quarters.edge_color[1, 3] == 0


def test_selection_and_tool_stay(viewer: ViewerModel, image: Image):
    labels = viewer.layers["eye disc"]
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    show(regions, image, DRAWINGS, {})
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"
    regions.remove()
    assert viewer.layers.selection.active is labels
    assert drawn(viewer) == {}


def test_drawing_cannot_be_edited(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    for drawings in (DRAWINGS, {"rim sectors": (WHOLE,)}, DRAWINGS):
        show(regions, image, drawings, TEXTS)
        assert {len(layer.data) for layer in drawn(viewer).values()} <= {2, 4}
        assert not any(layer.editable for layer in drawn(viewer).values())
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert not any(layer.editable for layer in drawn(viewer).values())


def test_drawing_is_neither_mask_nor_prompt_nor_image(viewer: ViewerModel, image: Image):
    before = masks_of_image(viewer, image)
    show(RegionLayers(viewer), image, DRAWINGS, TEXTS)
    assert masks_of_image(viewer, image) == before
    assert len(fundus_images(viewer.layers)) == 2
    prompts = PromptLayers(viewer)
    prompts.adopt()
    assert not prompts.at(("eye", "disc")).points
    assert all("prompts" not in plugin_metadata(one.metadata) for one in drawn(viewer).values())
    viewer.layers.selection.active = next(iter(drawn(viewer).values()))
    assert selected_image(viewer) is image
    assert TARGETS["disc"].name not in {
        plugin_metadata(one.metadata).get("target") for one in drawn(viewer).values()
    }


def test_drawing_follows_its_image(viewer: ViewerModel, image: Image):
    regions, sync = RegionLayers(viewer), TransformSync(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    sync.refresh()
    image.scale, image.translate, image.rotate = (0.5, 0.25), (3, 4), 30
    for layer in drawn(viewer).values():
        for corner in ((0, 0), SHAPE):
            np.testing.assert_allclose(
                layer.data_to_world(corner), image.data_to_world(corner), atol=1e-9
            )
    show(regions, image, DRAWINGS, {})
    for layer in drawn(viewer).values():
        np.testing.assert_allclose(layer.data_to_world((1, 2)), image.data_to_world((1, 2)))


def test_drawing_of_another_image_replaces_it(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    show(regions, viewer.layers["other"], DRAWINGS, TEXTS)
    assert all(name.startswith("other") for name in drawn(viewer))


def test_layer_that_comes_to_show_another_image_is_drawn_on_anew(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    image.metadata, image.name = with_plugin_metadata(image.metadata, key="next"), "next"
    show(regions, image, DRAWINGS, TEXTS)
    assert set(drawn(viewer)) == {"next rim sectors", "next zones B and C"}
    images = {plugin_metadata(one.metadata)["image"] for one in drawn(viewer).values()}
    assert images == {"next"}


def test_drawing_lies_over_masks_that_are_added_later(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    labels = viewer.layers["eye disc"]
    viewer.layers.move(viewer.layers.index(labels), len(viewer.layers))
    show(regions, image, DRAWINGS, {})
    assert all(
        viewer.layers.index(one) > viewer.layers.index(labels) for one in drawn(viewer).values()
    )


def test_drawing_that_was_deleted_comes_back_and_what_is_hidden_stays_so(
    viewer: ViewerModel, image: Image
):
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    viewer.layers.remove(drawn(viewer)["eye zones B and C"])
    drawn(viewer)["eye rim sectors"].visible = False
    show(regions, image, DRAWINGS, TEXTS)
    assert not drawn(viewer)["eye rim sectors"].visible
    assert drawn(viewer)["eye zones B and C"].visible


def test_nothing_is_drawn_after_the_image_left(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    regions.show(image, DRAWINGS, TEXTS)
    assert len(drawn(viewer)) == 1
    viewer.layers.remove(image)
    QTest.qWait(50)
    assert drawn(viewer) == {}


def test_drawing_that_was_deleted_while_it_waited_is_drawn_anew(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    regions.show(image, {**DRAWINGS, "zones B and C": (WHOLE,)}, TEXTS)
    viewer.layers.remove(drawn(viewer)["eye zones B and C"])
    QTest.qWait(50)
    assert len(drawn(viewer)["eye zones B and C"].data) == 2


def test_nothing_is_drawn_after_stopping(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    regions.show(image, DRAWINGS, TEXTS)
    regions.stop()
    QTest.qWait(50)
    assert set(drawn(viewer)) == {"eye rim sectors"}


def test_labels_are_as_high_as_their_place_allows_in_any_scale(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    show(regions, image, DRAWINGS, TEXTS)
    before = drawn(viewer)["eye rim sectors"].text.size
    assert drawn(viewer)["eye rim sectors"].text.scaling
    higher = replace(WHOLE, label_height=2 * WHOLE.label_height)
    show(regions, image, {**DRAWINGS, "rim sectors": (higher,)}, TEXTS)
    assert drawn(viewer)["eye rim sectors"].text.size == pytest.approx(2 * before)
    sync = TransformSync(viewer)
    sync.refresh()
    image.scale = 10 * np.array(image.scale)
    show(regions, image, DRAWINGS, TEXTS)
    assert drawn(viewer)["eye rim sectors"].text.size == pytest.approx(10 * before)


def test_outdated_drawing_is_pale_and_gets_its_opacity_back(viewer: ViewerModel, image: Image):
    regions = RegionLayers(viewer)
    regions.show(image, DRAWINGS, TEXTS)
    layer = drawn(viewer)["eye rim sectors"]
    layer.opacity = 0.8
    for _ in range(2):
        regions.mark_outdated(outdated=True)
    QTest.qWait(50)
    assert {round(one.opacity, 2) for one in drawn(viewer).values()} == {0.28, 0.35}
    regions.mark_outdated(outdated=False)
    assert layer.opacity == pytest.approx(0.8)
    assert drawn(viewer)["eye zones B and C"].opacity == pytest.approx(1)

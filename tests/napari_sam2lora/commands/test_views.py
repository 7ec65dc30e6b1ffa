"""Views of an image, through the commands that napari runs."""

from pathlib import Path

import dask.array
import numpy as np
import pytest
from napari.layers import Image, Shapes
from npe2 import PluginManager
from skimage.draw import polygon2mask

from sam2lora.images.views import clahe_view, green_view

from ..conftest import SHAPE, disk, eye

PIXELS = np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8)


def run(name: str, viewer: object) -> None:
    """Run a command of the manifest in a viewer."""
    PluginManager.instance().commands.execute(f"napari-sam2lora.{name}", kwargs={"viewer": viewer})


@pytest.mark.viewer
def test_green_channel_is_shown_directly_above_its_image(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    image, vessel = (viewer.add_layer(layer) for layer in eye("vessel"))
    run("show_green", viewer)
    assert [layer.name for layer in viewer.layers] == [image.name, "eye green", vessel.name]
    np.testing.assert_array_equal(viewer.layers[1].data, green_view(PIXELS))


@pytest.mark.viewer
def test_clahe_is_shown_once_computed(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    viewer.add_layer(eye()[0])
    run("show_clahe", viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    np.testing.assert_array_equal(viewer.layers[1].data, clahe_view(PIXELS))
    assert viewer.layers[1].rgb


@pytest.mark.viewer
def test_clahe_of_an_image_removed_during_computation_is_dropped(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    viewer.add_layer(eye()[0])
    run("show_clahe", viewer)
    viewer.layers.clear()
    qtbot.wait(1500)
    assert len(viewer.layers) == 0


@pytest.mark.viewer
def test_outline_is_the_border_of_the_field_of_view(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    viewer.add_layer(eye()[0])
    run("show_field_of_view", viewer)
    outline = viewer.layers[-1]
    assert isinstance(outline, Shapes)
    drawn = polygon2mask(SHAPE, outline.data[0])
    assert (drawn != disk(40)).mean() < 0.02


@pytest.mark.viewer
@pytest.mark.parametrize("command", ["show_green", "show_clahe", "show_field_of_view"])
def test_views_are_aligned_with_the_image_whatever_is_selected(
    make_napari_viewer, qtbot, command: str
):
    viewer = make_napari_viewer()
    image = viewer.add_layer(eye(spacing=(0.01, 0.02))[0])
    image.translate = (3, 4)
    viewer.add_points(np.zeros((1, 2)), scale=(7, 8), translate=(50, 60), units=("mm", "mm"))
    run(command, viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=20_000)
    (view,) = (layer for layer in viewer.layers if layer.name.startswith("eye "))
    np.testing.assert_allclose(view.scale, (0.01, 0.02))
    np.testing.assert_allclose(view.translate, (3, 4))
    assert view.units == image.units


@pytest.mark.viewer
def test_views_of_images_of_other_origin_work_and_stacks_are_rejected(
    make_napari_viewer, notices: list[str]
):
    viewer = make_napari_viewer()
    channels = dask.array.from_array(np.moveaxis(PIXELS, -1, 0), chunks=30)
    viewer.add_image(channels, name="theirs", scale=(1, 2, 3))
    run("show_green", viewer)
    view = viewer.layers["theirs green"]
    np.testing.assert_array_equal(view.data, green_view(PIXELS))
    np.testing.assert_allclose(view.scale, (2, 3))
    viewer.layers.clear()
    viewer.add_image(np.zeros((9, 40, 40), np.uint8), name="stack")
    run("show_green", viewer)
    assert len(viewer.layers) == 1
    assert notices[-1].startswith("stack: is a stack of shape (9, 40, 40)")


@pytest.mark.viewer
def test_views_are_added_to_their_own_viewer_only(make_napari_viewer):
    first, second = make_napari_viewer(), make_napari_viewer()
    first.add_layer(eye(name="one")[0])
    second.add_layer(eye(name="two")[0])
    run("show_green", first)
    assert [layer.name for layer in first.layers] == ["one", "one green"]
    assert [layer.name for layer in second.layers] == ["two"]


@pytest.mark.viewer
def test_menu_entry_runs_in_the_current_viewer(make_napari_viewer):
    from napari._app_model import get_app_model  # as clicking does; there is no public way

    viewer = make_napari_viewer()
    viewer.add_layer(eye()[0])
    get_app_model().commands.execute_command("napari-sam2lora.show_green").result()
    assert [layer.name for layer in viewer.layers] == ["eye", "eye green"]


@pytest.mark.viewer
def test_views_of_a_real_image_keep_its_size(make_napari_viewer, real_data: Path):
    viewer = make_napari_viewer()
    viewer.open(real_data / "CHASEDB1" / "Image_01L.jpg", plugin="napari-sam2lora")
    run("show_green", viewer)
    run("show_field_of_view", viewer)
    image = viewer.layers["Image_01L"]
    green = viewer.layers["Image_01L green"]
    assert isinstance(green, Image)
    np.testing.assert_allclose(green.extent.world, image.extent.world)
    low, high = viewer.layers["Image_01L field of view"].extent.data
    assert (low > -3).all()
    assert (high < np.array(image.data.shape[:2]) + 3).all()
    assert (high - low > 0.9 * min(image.data.shape[:2])).all()

"""Photographs that napari's own reader does not turn upright."""

import gc
from pathlib import Path
from weakref import ref

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import Notification, notification_manager
from PIL import Image as Picture

from napari_sam2lora._reader import read
from napari_sam2lora.layers.orientation import UprightOffer, is_unturned, open_upright

from ..conftest import viewer_with

PIXELS = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)


def photograph(path: Path, orientation: int) -> Path:
    """Write an image whose camera was held in another orientation."""
    exif = Picture.Exif()
    exif[0x0112] = orientation
    Picture.fromarray(PIXELS).save(path, exif=exif)
    return path


def opened(path: Path, reader: str = "napari", pixels: np.ndarray = PIXELS) -> Image:
    """Create the layer that a reader makes of a photograph."""
    layer = Image(pixels, rgb=True, name=path.stem)
    layer._source = layer.source.model_copy(update={"path": str(path), "reader_plugin": reader})
    return layer


@pytest.fixture
def offers():
    """Collect the notifications that napari shows."""
    shown: list[Notification] = []
    notification_manager.notification_ready.connect(shown.append)
    yield shown
    notification_manager.notification_ready.disconnect(shown.append)


@pytest.mark.parametrize(("orientation", "expected"), [(1, False), (3, True), (6, True), (8, True)])
def test_unturned_pixels_of_a_turned_photograph_are_recognized(
    tmp_path: Path, orientation: int, expected: bool
):
    assert is_unturned(opened(photograph(tmp_path / "a.png", orientation))) is expected


def test_upright_pixels_are_not_taken_for_unturned(tmp_path: Path):
    path = photograph(tmp_path / "a.png", 6)
    assert not is_unturned(opened(path, pixels=np.rot90(PIXELS, -1)))
    assert not is_unturned(opened(path, reader="napari-sam2lora"))
    assert not is_unturned(Image(PIXELS, rgb=True))


def test_missing_file_is_not_taken_for_turned(tmp_path: Path):
    assert not is_unturned(opened(tmp_path / "gone.jpg"))


def test_unturned_photograph_is_reported_and_opened_upright_on_request(
    tmp_path: Path, offers: list[Notification]
):
    path = photograph(tmp_path / "a.png", 6)
    viewer = ViewerModel()
    offer = UprightOffer(viewer)
    viewer.add_layer(opened(path))
    (notification,) = offers
    assert "a.png is shown as the camera stored it, not upright" in notification.message
    ((label, pressed),) = notification.actions
    assert label == "Open upright"
    pressed(notification)
    (image,) = viewer.layers
    np.testing.assert_array_equal(image.data, read(str(path))[0][0])
    assert image.data.shape == (60, 40, 3)
    offer.close()


def test_unturned_photograph_with_masks_is_hidden_instead_of_removed(tmp_path: Path):
    path = photograph(tmp_path / "a.png", 6)
    image = opened(path)
    viewer = viewer_with(image)
    viewer.add_labels(
        np.zeros((40, 60), np.uint8),
        name="a disc",
        metadata={"sam2lora": {"image": "a", "target": "disc"}},
    )
    open_upright(viewer, image)
    assert image in viewer.layers
    assert not image.visible


def test_notification_of_a_photograph_does_not_keep_its_viewer(
    tmp_path: Path, offers: list[Notification]
):
    viewer = ViewerModel()
    offer = UprightOffer(viewer)
    viewer.add_layer(opened(photograph(tmp_path / "a.png", 6)))
    offer.close()
    kept = ref(viewer)
    del viewer, offer
    gc.collect()
    assert kept() is None
    ((_, pressed),) = offers[0].actions
    pressed(offers[0])

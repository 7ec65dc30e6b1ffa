"""An image is shown in the layers of another once painted masks are saved."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2lora.layers.loading import ImageFile
from napari_sam2lora.layers.shown_image import ShownImage
from sam2lora.annotations.store import Corrections
from sam2lora.errors import OutputError

from ..conftest import SHAPE, bar


def images(drive: Path) -> list[ImageFile]:
    paths = [drive / "test/images/01_test.tif", drive / "training/images/21_training.tif"]
    return [ImageFile(path.stem, path, None) for path in paths]


@pytest.fixture
def shown(drive: Path, tmp_path: Path) -> ShownImage:
    store = Corrections(drive, folder=tmp_path / "mine")
    for image in images(drive):
        store.save(image.stem, image.path, {"vessel": bar()})
    return ShownImage(ViewerModel(), store)


def test_masks_of_the_store_are_shown_and_kept(shown: ShownImage, drive: Path):
    first, second = images(drive)
    shown.show(first)
    (layer,) = shown.mask_layers()
    layer.data_setitem((np.array([0]), np.array([0])), 1)
    assert list(shown.unsaved()) == ["vessel"]
    shown.show(second)
    assert shown.path == str(second.path)
    assert shown.mask_layers() == [layer]
    assert not shown.unsaved()
    assert shown.corrections.masks(first.stem, SHAPE)["vessel"][0, 0]


def test_an_image_that_cannot_be_saved_stays(shown: ShownImage, drive: Path):
    first, second = images(drive)
    shown.show(first)
    (layer,) = shown.mask_layers()
    layer.data_setitem((np.array([0]), np.array([0])), 1)
    shown.corrections.refuse("It is read only.")
    with pytest.raises(OutputError, match="read only"):
        shown.show(second)
    assert shown.file == first
    assert layer.data[0, 0]


def test_stored_masks_are_shown_again(shown: ShownImage, drive: Path):
    first, _ = images(drive)
    shown.show(first)
    (layer,) = shown.mask_layers()
    layer.data_setitem((np.array([0]), np.array([0])), 1)
    shown.show_stored()
    np.testing.assert_array_equal(layer.data > 0, bar())


def test_leaving_removes_its_layers(shown: ShownImage, drive: Path):
    shown.show(images(drive)[0])
    shown.leave()
    assert shown.file is None
    assert shown.mask_layers() == []

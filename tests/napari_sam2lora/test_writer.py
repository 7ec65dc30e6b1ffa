"""Writers: masks and images are saved as they are; layers of other origin stay with napari."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import LayerList
from napari.layers import Image, Labels, Layer
from PIL import Image as Picture

from napari_sam2lora._reader import read
from sam2lora.errors import GeometryError, OutputError, TargetError
from sam2lora.images.reading import read_mask, read_values
from sam2lora.targets import TARGETS

from .conftest import SHAPE, bar, disk, eye

PLUGIN = "napari-sam2lora"


def save(path: Path, *layers: Layer, plugin: str | None = PLUGIN) -> list[str]:
    """Save as `viewer.layers.save` does."""
    return LayerList(layers).save(path, plugin=plugin)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_mask_of_any_label_is_saved_as_0_and_255(tmp_path: Path, name: str):
    (cup,) = eye("cup")[1:]
    cup.data_setitem((np.array([1]), np.array([2])), 9)
    assert save(tmp_path / name, cup) == [str(tmp_path / name)]
    values = read_values(tmp_path / name)
    assert set(np.unique(values)) == {0, 255}
    np.testing.assert_array_equal(values > 0, cup.data > 0)


@pytest.mark.parametrize(
    "path", ["DRIVE/test/images/01_test.tif", "CHASEDB1/Image_01L.jpg", "HRF/images/01_dr.JPG"]
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_real_mask_survives_saving(real_data: Path, tmp_path: Path, path: str, suffix: str):
    data, options, kind = read(str(real_data / path))[-1]
    save(tmp_path / f"mask{suffix}", Layer.create(data, options, kind))
    np.testing.assert_array_equal(read_mask(tmp_path / f"mask{suffix}"), data > 0)


def test_saved_dataset_is_read_back(drive: Path, tmp_path: Path):
    image, vessel = read(str(drive / "test" / "images" / "01_test.tif"))
    for folder in ("images", "masks"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
    Picture.fromarray(image[0]).save(tmp_path / "mine" / "images" / "eye.png")
    save(tmp_path / "mine" / "masks" / "eye_vessel.png", Layer.create(*vessel))
    again = read(str(tmp_path / "mine"))
    for before, after in zip((image, vessel), again, strict=True):
        np.testing.assert_array_equal(before[0], after[0])


def test_several_targets_are_saved_as_label_map_with_legend(tmp_path: Path):
    files = save(tmp_path / "map.png", *eye("vessel", "disc", "cup")[1:])
    assert [Path(file).name for file in files] == ["map.png", "map_legend.json"]
    values = read_values(tmp_path / "map.png")
    assert (values[bar()] == TARGETS["vessel"].label).all()
    assert (values[disk(6) & ~bar()] == TARGETS["cup"].label).all()
    assert (values[disk(12) & ~disk(6) & ~bar()] == TARGETS["disc"].label).all()
    assert json.loads((tmp_path / "map_legend.json").read_text())["priority"][0] == "vessel"


def test_coco_names_the_image_of_the_masks(tmp_path: Path):
    layers = eye("vessel", "cup", path=tmp_path / "left.jpg")[1:]
    save(tmp_path / "a.json", *layers)
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["images"][0]["file_name"] == "left.jpg"
    assert [each["area"] for each in document["annotations"]] == [disk(6).sum(), bar().sum()]


@pytest.mark.viewer
def test_coco_names_the_file_that_another_reader_opened(make_napari_viewer, tmp_path: Path):
    Picture.fromarray(np.full((*SHAPE, 3), 120, np.uint8)).save(tmp_path / "left.png")
    viewer = make_napari_viewer()
    (image,) = viewer.open(tmp_path / "left.png", plugin="napari")
    metadata = {"sam2lora": {"image": image.name, "target": "disc"}}
    mask = viewer.add_labels(disk(9).astype(np.uint8), name="left disc", metadata=metadata)
    viewer.layers.selection = {image, mask}
    for selected, file in ({image, mask}, "both.json"), ({mask}, "mask.json"):
        viewer.layers.selection = selected
        viewer.layers.save(tmp_path / file, selected=True, plugin=PLUGIN)
        document = json.loads((tmp_path / file).read_text())
        assert document["images"][0]["file_name"] == "left.png"


def test_overlay_shows_masks_in_their_colors(tmp_path: Path):
    image, vessel = eye("vessel")
    save(tmp_path / "a.png", image, vessel)
    with Picture.open(tmp_path / "a.png") as picture:
        painted = np.asarray(picture)
    assert painted.shape == image.data.shape
    np.testing.assert_array_equal(painted[~bar()], image.data[~bar()])
    assert (painted[bar()] != image.data[bar()]).any(axis=-1).all()


def test_overlay_on_an_image_of_another_size_is_rejected(tmp_path: Path):
    vessel = eye("vessel")[1]
    with pytest.raises(GeometryError, match="vessel mask is 90 × 96, but theirs is 30 × 40"):
        save(
            tmp_path / "a.png",
            Image(np.zeros((40, 30, 3), np.uint8), rgb=True, name="theirs"),
            vessel,
        )


def test_image_selected_with_masks_is_ignored_by_mask_writers(tmp_path: Path):
    layers = eye("vessel", "cup", path=tmp_path / "left.jpg")
    save(tmp_path / "a.json", *layers)
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["images"][0]["file_name"] == "left.jpg"
    save(tmp_path / "map.tif", layers[0], layers[1])
    assert set(np.unique(read_values(tmp_path / "map.tif"))) == {0, 255}


def test_masks_of_two_images_are_not_saved_together(tmp_path: Path):
    one, two = (eye(target, name=name)[1] for target, name in (("vessel", "a"), ("disc", "b")))
    with pytest.raises(GeometryError, match="several images: a, b"):
        save(tmp_path / "map.png", one, two)
    assert list(tmp_path.iterdir()) == []


# Layers of other origin


def test_labels_without_a_target_are_saved_if_they_have_one_label(tmp_path: Path):
    save(tmp_path / "a.png", Labels(bar().astype(int) * 5, name="theirs"))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), bar())
    cells = Labels(np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE), name="cells")
    with pytest.raises(TargetError, match=r"cells: .*several labels.*napari's own writer"):
        save(tmp_path / "b.png", cells)
    assert not (tmp_path / "b.png").exists()


def test_tiff_of_labels_is_written_by_napari_by_default(tmp_path: Path):
    cells = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    save(tmp_path / "cells.tif", Labels(cells), plugin=None)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "cells.tif"), cells)


def test_other_layers_are_written_by_napari(tmp_path: Path):
    save(tmp_path / "a.png", Image(np.zeros(SHAPE, np.uint8)), plugin=None)
    assert read_values(tmp_path / "a.png").shape == SHAPE


# Files that cannot be written


def test_error_names_the_missing_folder(tmp_path: Path):
    vessel = eye("vessel")[1]
    for name in ("a.png", "a.tif"):
        with pytest.raises(OutputError, match=r"gone.*cannot be written \(No such file"):
            save(tmp_path / "gone" / name, vessel)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="nothing is unwritable for this user"
)
def test_read_only_folder_is_an_error(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        save(tmp_path / "a.png", eye("vessel")[1])


def test_older_file_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vessel = eye("vessel")[1]
    save(tmp_path / "a.png", vessel)
    before = (tmp_path / "a.png").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    vessel.data_setitem((np.array([0]), np.array([0])), 1)
    with pytest.raises(OutputError, match=r"a\.png: cannot be written \(No space left"):
        save(tmp_path / "a.png", vessel)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

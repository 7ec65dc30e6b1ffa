"""Opening files and folders."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari.errors import MultipleReaderError, ReaderPluginError
from napari.settings import get_settings
from PIL import Image

from napari_sam2lora._reader import get_reader, read
from napari_sam2lora.layers.conversion import LayerData
from sam2lora.errors import DatasetError, ImageError

from .conftest import SHAPE, bar

PLUGIN = "napari-sam2lora"


def names(layers: list[LayerData]) -> list[str]:
    return [options["name"] for _, options, _ in layers]


def about(layers: list[LayerData]) -> dict:
    return layers[0][1]["metadata"]["sam2lora"]


def save_png(path: Path) -> Path:
    Image.fromarray(np.full((*SHAPE, 3), 120, np.uint8)).save(path)
    return path


# What is ours


@pytest.mark.parametrize(
    "name", ["a.tif", "a.TIFF", "a.jpg", "a.png", "a.gif", "a.ppm", "a.ppm.gz", "a.dcm", "b.c.webp"]
)
def test_image_files_are_ours(name: str):
    assert get_reader(f"/photographs/{name}") is read
    assert get_reader(Path("/photographs") / name) is read
    assert get_reader([f"/photographs/{name}"]) is read


@pytest.mark.parametrize(
    "path",
    [
        *("notes.txt", "points.csv", "volume.nii.gz", "array.npy", "adapter.zip", "noending"),
        *(".hidden.png", "https://example.org/21_training.tif", [], ["a.tif", "b.tif"]),
    ],
)
def test_other_files_and_stacks_are_not_ours(path: str | list[str]):
    assert get_reader(path) is None


def test_folders_are_ours_if_there_are_images_in_them(tmp_path: Path, drive: Path):
    empty = tmp_path / "empty"
    (empty / "deep" / "deeper").mkdir(parents=True)
    zarr = tmp_path / "volume.zarr"
    zarr.mkdir()
    (zarr / "zarr.json").write_text("{}")
    assert get_reader(str(empty)) is None
    assert get_reader(str(zarr)) is None
    for folder in (drive.parent, drive, drive / "test", drive / "test" / "images"):
        assert get_reader(str(folder)) is read


# Files


def test_a_file_of_a_data_set_comes_with_its_masks(drive: Path):
    path = drive / "training" / "images" / "21_training.tif"
    image, vessel = layers = read(str(path))
    assert names(layers) == ["21_training", "21_training vessel"]
    assert image[0].shape == (*SHAPE, 3)
    np.testing.assert_array_equal(vessel[0], bar())
    known = about(layers)
    assert known["path"] == str(path)
    assert (known["dataset"], known["patient"], known["split"]) == ("DRIVE", "21", "train")
    assert known["fov"]["diameter"] == pytest.approx(80, abs=3)
    assert known["fov"]["center"] == pytest.approx((45, 48), abs=1.5)


def test_a_file_that_lies_nowhere_special_comes_alone(tmp_path: Path):
    layers = read(str(save_png(tmp_path / "ann.left.png")))
    assert names(layers) == ["ann.left"]
    assert about(layers)["eye"] == "left"
    assert about(layers)["dataset"] is None
    assert about(layers)["fov"]["found"] == "whole image"


def test_the_name_of_a_packed_file_has_no_ending(tmp_path: Path):
    plain = tmp_path / "im0001.ppm"
    Image.fromarray(np.full((*SHAPE, 3), 120, np.uint8)).save(plain)
    packed = tmp_path / "im0001.ppm.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert names(read(str(packed))) == ["im0001"]


def test_dicom_keeps_its_pixel_spacing_and_eye(tmp_path: Path):
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
    dataset.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=["test"])
    dataset.Rows, dataset.Columns = SHAPE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration = dataset.PixelRepresentation = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelSpacing = [0.01, 0.02]
    dataset.ImageLaterality = "R"
    dataset.PixelData = np.full((*SHAPE, 3), 120, np.uint8).tobytes()
    path = tmp_path / "op.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    layers = read(str(path))
    assert layers[0][1]["scale"] == (0.01, 0.02)
    assert layers[0][1]["units"] == ("mm", "mm")
    assert about(layers)["spacing"] == (0.01, 0.02)
    assert about(layers)["eye"] == "right"


# Folders


@pytest.mark.parametrize("inside", ["", "test", "test/images"])
def test_a_folder_of_a_data_set_gives_its_first_image(drive: Path, inside: str):
    assert names(read(str(drive / inside))) == ["01_test", "01_test vessel"]


def test_a_folder_above_a_data_set_gives_its_first_image(drive: Path):
    assert names(read(str(drive.parent))) == ["01_test", "01_test vessel"]


def test_a_folder_of_photographs_gives_the_first(tmp_path: Path):
    for name in ("b.png", "a.png", ".a.png"):
        save_png(tmp_path / name)
    assert names(read(str(tmp_path))) == ["a"]


def test_a_folder_that_is_no_data_set_says_what_was_looked_for(tmp_path: Path):
    (tmp_path / "visit 1").mkdir()
    save_png(tmp_path / "visit 1" / "a.png")
    with pytest.raises(DatasetError, match=r"no dataset .*DRIVE"):
        read(str(tmp_path))


def test_a_folder_of_several_data_sets_names_them(drive: Path):
    shutil.copytree(drive, drive.parent / "copy")
    with pytest.raises(DatasetError, match=r"several datasets: DRIVE .*, copy "):
        read(str(drive.parent))


# What goes wrong


def test_a_bad_image_is_an_error_that_names_it(drive: Path):
    path = drive / "test" / "images" / "01_test.tif"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageError, match=r"01_test\.tif"):
        read(str(path))


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(ImageError, match=r"gone\.png"):
        read(str(tmp_path / "gone.png"))


def test_a_bad_mask_is_left_out_and_told(drive: Path, notices: list[str]):
    mask = drive / "test" / "1st_manual" / "01_manual1.gif"
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(mask)
    layers = read(str(drive / "test" / "images" / "01_test.tif"))
    assert names(layers) == ["01_test"]
    assert "without its mask of vessel" in notices[0]
    assert "01_manual1.gif" in notices[0]


def test_a_bad_table_leaves_the_image_without_masks_and_is_told(tmp_path: Path, notices: list[str]):
    path = save_png(tmp_path / "a.png")
    (tmp_path / "dataset.csv").write_text("image,disc\na.png,gone.png\n")
    assert names(read(str(path))) == ["a"]
    assert "gone.png" in notices[0]


def test_a_good_image_tells_nothing(drive: Path, notices: list[str]):
    read(str(drive))
    assert notices == []


# In a viewer


@pytest.mark.viewer
def test_the_viewer_opens_it_with_this_reader(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    path = drive / "training" / "images" / "21_training.tif"
    viewer.open(path, plugin=PLUGIN)
    image, vessel = viewer.layers
    assert image.source.reader_plugin == PLUGIN
    assert image.rgb
    np.testing.assert_array_equal(vessel.data, bar())
    np.testing.assert_allclose(vessel.extent.world, image.extent.world)


@pytest.mark.viewer
def test_layers_do_not_take_the_place_of_the_layer_that_is_selected(
    make_napari_viewer, drive: Path
):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((5, 5)), scale=(3, 4), translate=(50, 60))
    viewer.open(drive, plugin=PLUGIN)
    for layer in viewer.layers[1:]:
        np.testing.assert_allclose(layer.scale, (1, 1))
        np.testing.assert_allclose(layer.translate, (0, 0))


@pytest.mark.viewer
def test_the_window_asks_which_of_two_readers(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    with pytest.raises(MultipleReaderError, match=PLUGIN):  # what makes the window ask
        viewer.open(drive / "test" / "images" / "01_test.tif", plugin=None)


@pytest.mark.viewer
def test_scripts_that_name_no_reader_keep_napari_s(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    viewer.open(drive / "test" / "images" / "01_test.tif")
    assert [layer.source.reader_plugin for layer in viewer.layers] == ["napari"]


@pytest.mark.viewer
def test_a_preference_for_a_folder_answers_for_all_in_it(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    get_settings().plugins.extension2reader = {f"*{os.sep}DRIVE{os.sep}*": PLUGIN}
    viewer.open(drive / "test" / "images" / "01_test.tif", plugin=None)
    viewer.open(drive, plugin=None)
    assert [layer.source.reader_plugin for layer in viewer.layers] == [PLUGIN] * 4


@pytest.mark.viewer
@pytest.mark.parametrize("name", ["cells.png", "image_001.png"])
def test_other_images_open_without_a_question(make_napari_viewer, tmp_path: Path, name: str):
    viewer = make_napari_viewer()
    viewer.open(save_png(tmp_path / name), plugin=None)
    assert viewer.layers[0].source.reader_plugin == "napari"


@pytest.mark.viewer
def test_the_viewer_is_told_why_a_file_does_not_open(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    path = drive / "test" / "images" / "01_test.tif"
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"01_test\.tif: the file is empty"):
        viewer.open(path, plugin=PLUGIN)
    get_settings().plugins.extension2reader = {"*.tif": PLUGIN}
    with pytest.raises(ReaderPluginError, match=r"01_test\.tif: the file is empty"):
        viewer.open(path, plugin=None)
    assert len(viewer.layers) == 0


@pytest.mark.viewer
@pytest.mark.parametrize(
    ("path", "shape", "expected"),
    [
        ("DRIVE/test/images/01_test.tif", (584, 565), ["01_test", "01_test vessel"]),
        ("CHASEDB1/Image_01L.jpg", (960, 999), ["Image_01L", "Image_01L vessel"]),
        ("HRF/images/01_dr.JPG", (2336, 3504), ["01_dr", "01_dr vessel"]),
        (
            "Drishti-GS1_files/Training/Images/drishtiGS_002.png",
            (876, 1022),
            ["drishtiGS_002", "drishtiGS_002 disc", "drishtiGS_002 cup"],
        ),
        ("DRIONS-DB", (400, 600), ["image_001", "image_001 disc"]),
    ],
)
def test_real_images_open_with_their_masks(
    make_napari_viewer,
    real_data: Path,
    notices: list[str],
    path: str,
    shape: tuple[int, int],
    expected: list[str],
):
    viewer = make_napari_viewer()
    viewer.open(real_data / path, plugin=PLUGIN)
    assert [layer.name for layer in viewer.layers] == expected
    for layer in viewer.layers:
        assert layer.data.shape[:2] == shape
        assert layer.data.any()
    fov = viewer.layers[0].metadata["sam2lora"]["fov"]
    assert 0.85 * min(shape) < fov["diameter"] < 1.25 * max(shape)
    assert notices == []

"""Opening files and folders."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari.errors import MultipleReaderError
from napari.settings import get_settings
from PIL import Image

from napari_sam2lora._reader import get_reader, read
from napari_sam2lora.layers.conversion import LayerData
from sam2lora.errors import DatasetError, ImageError
from sam2lora.targets import TARGETS

from .conftest import SHAPE, bar

PLUGIN = "napari-sam2lora"
EMPTY = "01_test.tif: the file is empty (0 bytes). Copy it again from its source."


def names(layers: list[LayerData]) -> list[str]:
    return [options["name"] for _, options, _ in layers]


def metadata_of(layers: list[LayerData]) -> dict:
    return layers[0][1]["metadata"]["sam2lora"]


def save_png(path: Path) -> Path:
    Image.fromarray(np.full((*SHAPE, 3), 120, np.uint8)).save(path)
    return path


# Which paths are read


@pytest.mark.parametrize(
    "name", ["a.tif", "a.TIFF", "a.jpg", "a.png", "a.gif", "a.ppm", "a.ppm.gz", "a.dcm", "b.c.webp"]
)
def test_image_files_are_accepted(name: str):
    assert get_reader(f"/images/{name}") is read
    assert get_reader(Path("/images") / name) is read
    assert get_reader([f"/images/{name}"]) is read


@pytest.mark.parametrize(
    "path",
    [
        *("notes.txt", "points.csv", "volume.nii.gz", "array.npy", "adapter.zip", "noending"),
        *(".hidden.png", "https://example.org/21_training.tif", [], ["a.tif", "b.tif"]),
    ],
)
def test_other_files_and_stacks_are_declined(path: str | list[str]):
    assert get_reader(path) is None


def test_folders_with_images_are_accepted(tmp_path: Path, drive: Path):
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


def test_file_of_a_dataset_has_its_masks(drive: Path):
    path = drive / "training" / "images" / "21_training.tif"
    image, vessel = layers = read(str(path))
    assert names(layers) == ["21_training", "21_training vessel"]
    assert image[0].shape == (*SHAPE, 3)
    np.testing.assert_array_equal(vessel[0], bar())
    metadata = metadata_of(layers)
    assert metadata["path"] == str(path)
    assert (metadata["dataset"], metadata["patient"], metadata["split"]) == ("DRIVE", "21", "train")
    assert metadata["fov"]["diameter"] == pytest.approx(80, abs=3)
    assert metadata["fov"]["center"] == pytest.approx((45, 48), abs=1.5)


def test_file_outside_a_dataset_has_no_masks(tmp_path: Path):
    layers = read(str(save_png(tmp_path / "ann.left.png")))
    assert names(layers) == ["ann.left"]
    assert metadata_of(layers)["eye"] == "left"
    assert metadata_of(layers)["dataset"] is None
    assert metadata_of(layers)["fov"]["found"] == "whole image"


def test_layer_name_of_a_packed_file_has_no_ending(tmp_path: Path):
    plain = tmp_path / "im0001.ppm"
    Image.fromarray(np.full((*SHAPE, 3), 120, np.uint8)).save(plain)
    packed = tmp_path / "im0001.ppm.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert names(read(str(packed))) == ["im0001"]


def test_conversion_on_reading_is_a_notification(tmp_path: Path, notices: list[str]):
    read(str(save_png(tmp_path / "plain.png")))
    assert notices == []
    Image.new("L", SHAPE[::-1], 120).save(tmp_path / "grey.png")
    read(str(tmp_path / "grey.png"))
    assert notices == ["grey was converted on reading: grey to RGB."]


def test_dicom_without_extension_in_a_folder_is_opened(tmp_path: Path):
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert get_reader(str(tmp_path)) is read


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
    assert metadata_of(layers)["spacing"] == (0.01, 0.02)
    assert metadata_of(layers)["eye"] == "right"


# Folders


@pytest.mark.parametrize("inside", ["", "test", "test/images"])
def test_folder_of_a_dataset_opens_its_first_image(drive: Path, inside: str):
    assert names(read(str(drive / inside))) == ["01_test", "01_test vessel"]


def test_folder_above_a_dataset_opens_its_first_image(drive: Path):
    assert names(read(str(drive.parent))) == ["01_test", "01_test vessel"]


def test_folder_of_images_opens_the_first(tmp_path: Path):
    for name in ("b.png", "a.png", ".a.png"):
        save_png(tmp_path / name)
    assert names(read(str(tmp_path))) == ["a"]


def test_folder_whose_first_images_are_damaged_opens_the_next(tmp_path: Path, notices: list[str]):
    for name in ("a.png", "b.png", "c.png"):
        save_png(tmp_path / name)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n")
    assert names(read(str(tmp_path))) == ["c"]
    (notice,) = notices
    assert "a.png: " in notice
    assert "1 more cannot be read either. c is shown instead." in notice


def test_folder_of_damaged_images_names_the_first(tmp_path: Path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ImageError, match=r"a\.png"):
        read(str(tmp_path))


def test_error_of_a_folder_without_images_lists_the_layouts(tmp_path: Path):
    (tmp_path / "visit 1").mkdir()
    save_png(tmp_path / "visit 1" / "a.png")
    with pytest.raises(DatasetError, match=r"no dataset .*DRIVE"):
        read(str(tmp_path))


def test_error_of_a_folder_of_several_datasets_names_them(drive: Path):
    shutil.copytree(drive, drive.parent / "copy")
    with pytest.raises(DatasetError, match=r"several datasets: DRIVE .*, copy "):
        read(str(drive.parent))


# Errors


def test_error_names_the_damaged_image(drive: Path):
    path = drive / "test" / "images" / "01_test.tif"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageError, match=r"01_test\.tif"):
        read(str(path))


def test_error_names_the_missing_file(tmp_path: Path):
    with pytest.raises(ImageError, match=r"gone\.png"):
        read(str(tmp_path / "gone.png"))


def test_damaged_mask_is_left_out_with_a_warning(drive: Path, notices: list[str]):
    mask = drive / "test" / "1st_manual" / "01_manual1.gif"
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(mask)
    layers = read(str(drive / "test" / "images" / "01_test.tif"))
    assert names(layers) == ["01_test"]
    assert "without its mask of vessel" in notices[0]
    assert "01_manual1.gif" in notices[0]


def test_damaged_dataset_table_leaves_out_masks_with_a_warning(tmp_path: Path, notices: list[str]):
    path = save_png(tmp_path / "a.png")
    (tmp_path / "dataset.csv").write_text("image,disc\na.png,gone.png\n")
    assert names(read(str(path))) == ["a"]
    assert "gone.png" in notices[0]


def test_intact_image_opens_without_a_notification(drive: Path, notices: list[str]):
    read(str(drive))
    assert notices == []


# In a viewer


@pytest.mark.viewer
def test_viewer_opens_an_image_with_this_reader(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    path = drive / "training" / "images" / "21_training.tif"
    viewer.open(path, plugin=PLUGIN)
    image, vessel = viewer.layers
    assert image.source.reader_plugin == PLUGIN
    assert image.rgb
    np.testing.assert_array_equal(vessel.data, bar())
    np.testing.assert_allclose(vessel.extent.world, image.extent.world)


@pytest.mark.viewer
def test_new_layers_do_not_inherit_the_transform_of_the_selected_layer(
    make_napari_viewer, drive: Path
):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((5, 5)), scale=(3, 4), translate=(50, 60))
    viewer.open(drive, plugin=PLUGIN)
    for layer in viewer.layers[1:]:
        np.testing.assert_allclose(layer.scale, (1, 1))
        np.testing.assert_allclose(layer.translate, (0, 0))


@pytest.mark.viewer
def test_window_asks_which_of_two_readers_to_use(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    with pytest.raises(MultipleReaderError, match=PLUGIN):  # what makes the window ask
        viewer.open(drive / "test" / "images" / "01_test.tif", plugin=None)


@pytest.mark.viewer
def test_script_without_a_reader_uses_that_of_napari(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    viewer.open(drive / "test" / "images" / "01_test.tif")
    assert [layer.source.reader_plugin for layer in viewer.layers] == ["napari"]


@pytest.mark.viewer
def test_reader_preference_for_a_folder_applies_to_its_files(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    get_settings().plugins.extension2reader = {f"*{os.sep}DRIVE{os.sep}*": PLUGIN}
    viewer.open(drive / "test" / "images" / "01_test.tif", plugin=None)
    viewer.open(drive, plugin=None)
    assert [layer.source.reader_plugin for layer in viewer.layers] == [PLUGIN] * 4


@pytest.mark.viewer
@pytest.mark.parametrize("name", ["cells.png", "image_001.png"])
def test_other_images_open_without_asking_for_a_reader(
    make_napari_viewer, tmp_path: Path, name: str
):
    viewer = make_napari_viewer()
    viewer.open(save_png(tmp_path / name), plugin=None)
    assert viewer.layers[0].source.reader_plugin == "napari"


@pytest.mark.viewer
def test_viewer_notifies_of_an_unreadable_file(make_napari_viewer, drive: Path, notices: list[str]):
    viewer = make_napari_viewer()
    path = drive / "test" / "images" / "01_test.tif"
    path.write_bytes(b"")
    viewer.open(path, plugin=PLUGIN)
    get_settings().plugins.extension2reader = {"*.tif": PLUGIN}
    viewer.open(path, plugin=None)
    assert len(viewer.layers) == 0
    assert [notice.splitlines()[0] for notice in notices] == [EMPTY] * 2


@pytest.mark.viewer
def test_brush_paints_the_label_of_the_mask(make_napari_viewer, tmp_path: Path):
    viewer = make_napari_viewer()
    viewer.open_sample(PLUGIN, "healthy")
    labels = {layer.name.split()[-1]: layer.selected_label for layer in viewer.layers[1:]}
    assert labels == {name: target.label for name, target in TARGETS.items()}


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

"""Decoding of each file format, through `read_image` and `read_mask`; damaged files."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2lora.errors import ImageError
from sam2lora.images.reading import read_image, read_mask, read_values

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm", "a.tif", "A.TIFF", "a.webp", "A.PNG"])
def test_lossless_formats_keep_the_pixels(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".webp":
        Image.fromarray(RGB).save(path, lossless=True)
    else:
        Image.fromarray(RGB).save(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.pixels.dtype == np.uint8
    assert image.note == ""


@pytest.mark.parametrize("compression", ["lzw", "jpeg", "zlib"])
def test_compressed_tiffs_are_read(tmp_path: Path, compression: str) -> None:
    smooth = np.full((32, 32, 3), 120, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, compression=compression, photometric="rgb")
    assert np.abs(read_image(tmp_path / "a.tif").pixels.astype(int) - 120).max() <= 2


def test_planar_tiff_is_converted_to_rgb(tmp_path: Path) -> None:
    planes = np.moveaxis(RGB, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RGB)


def test_gzipped_ppm_of_stare_is_read(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "im0001.ppm")
    packed = tmp_path / "im0001.ppm.gz"
    packed.write_bytes(gzip.compress((tmp_path / "im0001.ppm").read_bytes()))
    np.testing.assert_array_equal(read_image(packed).pixels, RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_rotated_images_are_read_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """The reference is Pillow's own reading of the EXIF table."""
    from PIL import ImageOps

    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(path, exif=exif)
    turned = Image.fromarray(RGB)
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned))
    np.testing.assert_array_equal(read_image(path).pixels, expected)


def test_sixteen_bit_files_keep_their_precision(tmp_path: Path) -> None:
    """Pillow would cut a 16-bit RGB PNG to its high bytes; rounding shows the difference."""
    import imagecodecs

    deep = np.full((4, 4, 3), 0x80F0, np.uint16)
    deep[0, 0] = 65535
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    for name in ("a.png", "a.tif"):
        image = read_image(tmp_path / name)
        assert image.pixels[2, 2].tolist() == [round(0x80F0 / 257)] * 3
        assert "65535" in image.note


def test_palette_gives_colours_for_images_and_indices_for_masks(tmp_path: Path) -> None:
    indexed = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode=None).convert("P")
    indexed.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    indexed.save(tmp_path / "labels.png")
    assert read_image(tmp_path / "labels.png").pixels[0, 1].tolist() == [200, 10, 10]
    assert read_values(tmp_path / "labels.png").tolist() == [[0, 1, 2]]


def test_tiff_with_white_as_zero_is_read(tmp_path: Path) -> None:
    reference = RNG.random((9, 11)) > 0.5
    white = np.where(reference, 0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "white.tif", white, photometric="miniswhite")
    np.testing.assert_array_equal(read_mask(tmp_path / "white.tif"), reference)
    np.testing.assert_array_equal(read_image(tmp_path / "white.tif").pixels[..., 0], 255 - white)
    Image.fromarray(reference).save(tmp_path / "bits.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "bits.tif") as bits:
        np.testing.assert_array_equal(read_mask(tmp_path / "bits.tif"), np.asarray(bits))


def test_tiff_with_a_palette_is_read(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2]], np.uint8)
    colors = np.zeros((3, 256), np.uint16)
    colors[:, 1:3] = np.array([[200, 10], [10, 200], [10, 10]]) * 257
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colors)
    assert read_image(tmp_path / "a.tif").pixels[0, 1].tolist() == [200, 10, 10]
    assert read_values(tmp_path / "a.tif").tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("strip", [None, 16])
def test_truncated_jpeg_tiff_is_refused(tmp_path: Path, share: float, strip: int | None) -> None:
    noise = RNG.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise, compression="jpeg", photometric="rgb", rowsperstrip=strip)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(path)


def write_bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    png = folder / "good.png"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(png)
    tifffile.imwrite(folder / "good.tif", RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    Image.fromarray(GREY).save(
        folder / "a.gif", save_all=True, append_images=[Image.fromarray(~GREY)]
    )
    tifffile.imwrite(folder / "stack.tif", np.zeros((5, 8, 8), np.uint8))
    tifffile.imwrite(folder / "bands.tif", np.zeros((8, 8, 9), np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / "nan.tif", np.array([[0.1, np.nan]], np.float32))
    tifffile.imwrite(folder / "negative.tif", np.array([[-3, 7]], np.int16))
    (folder / "text.png").write_text("this is no image\n")
    (folder / "empty.jpg").touch()
    (folder / "cut.png").write_bytes(png.read_bytes()[:400])
    tiff = (folder / "good.tif").read_bytes()
    (folder / "cut.tif").write_bytes(tiff[: len(tiff) // 2])
    (folder / "text.tif").write_text("no TIFF either")
    Image.new("1", (30_000, 30_000)).save(folder / "bomb.png")
    (folder / "folder.png").mkdir()
    messages = {
        "missing.png": "no such file",
        "text.png": "not an image",
        "text.tif": "not an image",
        "empty.jpg": "0 bytes",
        "cut.png": "damaged or truncated",
        "cut.tif": "damaged or truncated",
        "a.gif": "holds 2 images",
        "stack.tif": "stack",
        "bands.tif": "stack",
        "nan.tif": "NaN",
        "negative.tif": "from -3 to 7",
        "folder.png": "is a folder",
        "bomb.png": "pixels",
    }
    return {name: (folder / name, text) for name, text in messages.items()}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_errors_for_invalid_files_give_name_and_reason(tmp_path: Path) -> None:
    for name, (path, message) in write_bad_files(tmp_path).items():
        with pytest.raises(ImageError, match=message) as caught:
            read_image(path)
        assert name in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    """A TIFF that claims 30 000 × 30 000 pixels is refused before a pixel is decoded."""
    path = tmp_path / "bomb.tif"
    tile = np.zeros((256, 256), np.uint8)
    tiles = (tile for _ in range(118 * 118))
    tifffile.imwrite(
        path, tiles, shape=(30_000, 30_000), dtype=np.uint8, tile=(256, 256), compression="zlib"
    )
    with pytest.raises(ImageError, match="30000 × 30000"):
        read_image(path)


def test_dicom_gives_spacing_and_eye(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    dataset.ImageLaterality = "L"
    dataset.PixelSpacing = [0.012, 0.011]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = RGB.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PlanarConfiguration = 7, 0, 0
    dataset.PhotometricInterpretation = "RGB"
    dataset.PixelData = RGB.tobytes() + b"\0" * (RGB.size % 2)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    image = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.spacing == (0.012, 0.011)
    assert image.eye == "left"

"""DICOM: colour models, grey scales, compressed frames, and files without a preamble."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from sam2lora.errors import ImageError
from sam2lora.images.decoding import is_image_file, read_shape
from sam2lora.images.dicom import is_dicom
from sam2lora.images.reading import read_image

pytest.importorskip("pydicom")

NATIVE, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4."
RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = np.arange(600).reshape(20, 30)


def write_dicom(
    path: Path,
    pixels: np.ndarray,
    *,
    syntax: str = NATIVE,
    frame: bytes | None = None,
    bits: int | None = None,
    preamble: bool = True,
    **tags: Any,
) -> Path:
    """Write a DICOM file of an array, or of a compressed frame that has its shape."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.3"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits or 8 * pixels.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([frame]) if frame else pixels.tobytes()
    dataset["PixelData"].VR = "OB" if frame or pixels.itemsize == 1 else "OW"
    dataset["PixelData"].is_undefined_length = frame is not None
    if preamble:
        dataset.save_as(path, enforce_file_format=True)
    else:
        del dataset.file_meta
        dataset.save_as(path, implicit_vr=syntax == IMPLICIT, little_endian=True)
    return path


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.77", "a.png"])
def test_file_is_found_by_its_content(tmp_path: Path, name: str) -> None:
    path = write_dicom(tmp_path / name, RGB)
    np.testing.assert_array_equal(read_image(path).pixels, RGB)
    assert is_image_file(path)
    assert read_shape(path) == (20, 30)


@pytest.mark.parametrize("syntax", [NATIVE, IMPLICIT])
def test_file_without_a_preamble_is_read(tmp_path: Path, syntax: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", RGB, syntax=syntax, preamble=False)
    assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_image(path).pixels, RGB)


@pytest.mark.parametrize("head", [b"\x08\0 some text", b"\x02\0\0\0", bytes(200), b"BM" * 90])
def test_other_files_are_not_taken_for_dicom(tmp_path: Path, head: bytes) -> None:
    assert not is_dicom(head.ljust(2, b"\0") + b"\xff" * 200)
    (tmp_path / "a.dcm").write_bytes(head)
    with pytest.raises(ImageError, match=r"is not an image|damaged"):
        read_image(tmp_path / "a.dcm")


def test_deflated_file_is_read(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RGB, syntax="1.2.840.10008.1.2.1.99")
    np.testing.assert_array_equal(read_image(path).pixels, RGB)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_is_converted(tmp_path: Path, bits: int) -> None:
    colors = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint8)
    indices = (GREY % 256).astype(np.uint8)
    tables = colors if bits == 8 else colors.astype(np.uint16) << 8
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        tags[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    read = read_image(write_dicom(tmp_path / "a.dcm", indices, **tags))
    np.testing.assert_array_equal(read.pixels, np.moveaxis(colors[:, indices], 0, -1))
    assert read.note == "palette to RGB"


def test_ybr_is_converted(tmp_path: Path) -> None:
    smooth = np.full((20, 30, 3), (150, 80, 30), np.uint8)
    ybr = np.asarray(Image.fromarray(smooth).convert("YCbCr"))
    path = write_dicom(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL")
    assert np.abs(read_image(path).pixels.astype(int) - smooth).max() <= 2
    lossless = imagecodecs.jpeg8_encode(ybr, lossless=True, colorspace="RGB")
    options = {"syntax": f"{JPEG}70", "frame": lossless, "PhotometricInterpretation": "YBR_FULL"}
    path = write_dicom(tmp_path / "b.dcm", ybr, **options)
    assert np.abs(read_image(path).pixels.astype(int) - smooth).max() <= 2


@pytest.mark.parametrize(
    ("values", "tags", "expected", "text"),
    [
        (GREY % 256 - 128, {"dtype": "i1"}, GREY % 256, "shifted by 128"),
        (GREY % 256, {"dtype": "i2"}, GREY % 256, "grey to RGB"),
        (GREY % 256, {"PhotometricInterpretation": "MONOCHROME1"}, 255 - GREY % 256, "0 is white"),
        (GREY % 256, {"PresentationLUTShape": "INVERSE"}, 255 - GREY % 256, "0 is white"),
        (
            GREY % 256 - 128,
            {"dtype": "i1", "PhotometricInterpretation": "MONOCHROME1"},
            255 - GREY % 256,
            "shifted by 128",
        ),
        (GREY % 100, {"RescaleSlope": 2, "RescaleIntercept": 20}, GREY % 100 * 2 + 20, "rescaled"),
        (GREY % 100, {"RescaleSlope": 1, "RescaleIntercept": 0}, GREY % 100, "grey to RGB"),
        (
            GREY % 256 - 128,
            {"dtype": "i1", "RescaleSlope": 1, "RescaleIntercept": 128},
            GREY % 256,
            "rescaled by 1 and +128",
        ),
        (
            GREY % 100,
            {
                "RescaleSlope": 0.5,
                "RescaleIntercept": 10,
                "PhotometricInterpretation": "MONOCHROME1",
            },
            np.rint(147.5 - (GREY % 100 * 0.5 + 10)),
            "0 is white",
        ),
    ],
)
def test_grey_values_are_rescaled_and_the_lowest_is_black(
    tmp_path: Path, values: np.ndarray, tags: dict, expected: np.ndarray, text: str
) -> None:
    dtype = tags.pop("dtype", "u1")
    read = read_image(write_dicom(tmp_path / "a.dcm", values.astype(dtype), **tags))
    assert np.abs(read.pixels[..., 0] - expected).max() <= 0.5
    assert text in read.note


def test_inverted_values_of_an_unused_depth_are_inverted_in_their_own(tmp_path: Path) -> None:
    values = (4095 - GREY % 256 * 16).astype("u2")
    path = write_dicom(tmp_path / "a.dcm", values, PhotometricInterpretation="MONOCHROME1")
    assert np.abs(read_image(path).pixels[..., 0] - GREY % 256.0).max() <= 1


@pytest.mark.parametrize(
    ("padding", "tags", "dtype"),
    [
        (-2000, {}, "i2"),
        (65535, {}, "u2"),
        (65535, {"PhotometricInterpretation": "MONOCHROME1"}, "u2"),
        (65530, {"PixelPaddingRangeLimit": 65535}, "u2"),
    ],
)
def test_padding_is_black(tmp_path: Path, padding: int, tags: dict, dtype: str) -> None:
    values = GREY % 256 * 8
    if tags.get("PhotometricInterpretation"):
        values = 4095 - values
    values[:5] = padding + 3 if "PixelPaddingRangeLimit" in tags else padding
    path = write_dicom(tmp_path / "a.dcm", values.astype(dtype), PixelPaddingValue=padding, **tags)
    read = read_image(path)
    assert not read.pixels[:5].any()
    assert np.abs(read.pixels[5:, :, 0] - (GREY[5:] % 256 * 8 / 4095 * 255)).max() <= 1
    assert "padding made black" in read.note


def test_values_below_0_after_rescaling_are_shifted(tmp_path: Path) -> None:
    values = (GREY % 256).astype("u1")
    path = write_dicom(tmp_path / "a.dcm", values, RescaleSlope=1, RescaleIntercept=-100)
    read = read_image(path)
    np.testing.assert_array_equal(read.pixels[..., 0], values)
    assert "shifted by 100" in read.note


def test_bits_below_the_pixels_are_left_out(tmp_path: Path) -> None:
    values = ((GREY % 256 * 16) << 4 | 1).astype("u2")
    path = write_dicom(tmp_path / "a.dcm", values, bits=12, HighBit=15)
    assert np.abs(read_image(path).pixels[..., 0] - GREY % 256.0).max() <= 1


def test_floating_point_is_refused_by_its_name(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY.astype("u1"), FloatPixelData=b"\0" * 2400)
    with pytest.raises(ImageError, match="pixels in floating point"):
        read_image(path)


def test_12_bits_are_scaled(tmp_path: Path) -> None:
    values = (GREY * 6).astype(np.uint16)
    read = read_image(write_dicom(tmp_path / "a.dcm", values, bits=12))
    np.testing.assert_array_equal(read.pixels[..., 0], np.rint(values / 4095 * 255))


@pytest.mark.parametrize("number", [57, 70, 80])
def test_lossless_jpeg_and_jpeg_ls_are_read(tmp_path: Path, number: int) -> None:
    large = np.tile(RGB, (4, 4, 1))  # charls refuses noise that it cannot compress
    smooth = np.repeat(np.repeat(large, 2, axis=0), 2, axis=1)
    if number == 80:
        frame = imagecodecs.jpegls_encode(smooth)
    else:
        frame = imagecodecs.jpeg8_encode(smooth, lossless=True)
    path = write_dicom(tmp_path / "a.dcm", smooth, syntax=f"{JPEG}{number}", frame=frame)
    np.testing.assert_array_equal(read_image(path).pixels, smooth)


@pytest.mark.parametrize(("number", "lossless"), [(51, False), (70, True)])
def test_12_bit_jpeg_is_read(tmp_path: Path, number: int, lossless: bool) -> None:
    values = (GREY * 6).astype(np.uint16)
    frame = imagecodecs.jpeg8_encode(values, bitspersample=12, lossless=lossless, level=99)
    path = write_dicom(tmp_path / "a.dcm", values, bits=12, syntax=f"{JPEG}{number}", frame=frame)
    expected = np.rint(values / 4095 * 255)
    assert np.abs(read_image(path).pixels[..., 0] - expected).max() <= 1


def test_signed_lossless_jpeg_is_read(tmp_path: Path) -> None:
    values = (GREY % 256 - 128).astype(np.int8)
    frame = imagecodecs.jpeg8_encode(values.view(np.uint8), lossless=True)
    path = write_dicom(tmp_path / "a.dcm", values, syntax=f"{JPEG}70", frame=frame)
    np.testing.assert_array_equal(read_image(path).pixels[..., 0], GREY % 256)


@pytest.mark.parametrize("bits", [8, 16])
def test_jpeg_2000_is_read(tmp_path: Path, bits: int) -> None:
    values = RGB if bits == 8 else RGB.astype(np.uint16) * 257
    frame = imagecodecs.jpeg2k_encode(values, level=0, reversible=True, codecformat="j2k")
    path = write_dicom(tmp_path / "a.dcm", values, syntax=f"{JPEG}90", frame=frame)
    np.testing.assert_array_equal(read_image(path).pixels, RGB)


def test_unsupported_compression_is_refused_by_its_name(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RGB, syntax=f"{JPEG}100", frame=b"\0" * 100)
    with pytest.raises(ImageError, match=r"is compressed as MPEG2.*not supported"):
        read_image(path)


def test_files_without_a_single_image_are_refused(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RGB, NumberOfFrames=2)
    with pytest.raises(ImageError, match="holds 2 frames"):
        read_image(path)
    from pydicom import dcmread

    dataset = dcmread(write_dicom(tmp_path / "b.dcm", RGB))
    del dataset.PixelData
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(ImageError, match="holds no image"):
        read_image(tmp_path / "b.dcm")


def test_pixels_that_are_not_square_are_said(tmp_path: Path) -> None:
    read = read_image(write_dicom(tmp_path / "a.dcm", RGB, PixelAspectRatio=[2, 1]))
    assert "not square (height to width 2:1)" in read.note
    assert read.spacing is None
    read = read_image(write_dicom(tmp_path / "b.dcm", RGB, PixelAspectRatio=[1, 1]))
    assert read.note == ""

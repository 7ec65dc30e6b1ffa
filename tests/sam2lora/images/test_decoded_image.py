"""Formats found by content, names of image files, and limits that hold before decoding."""

import gzip
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import MAX_BYTES, MAX_PIXELS, check_size
from sam2lora.images.decoding import image_stem, image_suffix, is_image_file, read_shape
from sam2lora.images.reading import read_image

RGB = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)


@pytest.mark.parametrize("written", ["PNG", "TIFF", "BMP", "PPM", "JPEG"])
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".dcm", ".gif", ".ppm.gz", ""])
def test_content_decides_the_format(tmp_path: Path, written: str, suffix: str) -> None:
    right, wrong = tmp_path / f"a.{written.lower()}", tmp_path / f"b{suffix}"
    Image.fromarray(RGB).save(right, format=written)
    wrong.write_bytes(right.read_bytes())
    np.testing.assert_array_equal(read_image(wrong).pixels, read_image(right).pixels)
    assert read_shape(wrong) == (12, 17)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".pnm", ".pbm", ".jp2", ".avif", ".JPG"])
def test_more_endings_are_images_in_folders(tmp_path: Path, suffix: str) -> None:
    assert is_image_file(tmp_path / f"a{suffix}")
    assert not is_image_file(tmp_path / f".a{suffix}")


@pytest.mark.parametrize(("suffix", "options"), [(".jp2", {}), (".avif", {"quality": 100})])
def test_jpeg_2000_and_avif_are_read(tmp_path: Path, suffix: str, options: dict) -> None:
    smooth = np.full((32, 40, 3), (150, 80, 30), np.uint8)
    Image.fromarray(smooth).save(tmp_path / f"a{suffix}", **options)
    pixels = read_image(tmp_path / f"a{suffix}").pixels.astype(int)
    assert np.abs(pixels - smooth).max() <= 3


def test_number_at_the_end_is_no_extension(tmp_path: Path) -> None:
    assert (image_suffix(Path("1.2.840.5")), image_stem(Path("1.2.840.5"))) == ("", "1.2.840.5")
    assert (image_suffix(Path("a.b.TIF")), image_stem(Path("a.b.TIF"))) == (".tif", "a.b")
    assert image_stem(Path("im.ppm.gz")) == "im"


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.5"])
def test_dicom_without_extension_is_found_in_folders(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert not is_image_file(path)
    path.write_bytes(bytes(128) + b"DICM")
    assert is_image_file(path)
    path.write_bytes(b"some text")
    assert not is_image_file(path)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert not is_image_file(tmp_path / "DICOMDIR")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_other_formats_are_refused_by_their_names(tmp_path: Path, content: bytes, name: str):
    (tmp_path / "a.jpg").write_bytes(content + bytes(200))
    with pytest.raises(ImageError, match=name) as caught:
        read_image(tmp_path / "a.jpg")
    assert "damaged" not in str(caught.value)


def test_text_is_refused_whatever_its_ending(tmp_path: Path) -> None:
    for suffix in (".png", ".tif", ".dcm", ""):
        path = tmp_path / f"a{suffix}"
        path.write_text("this is no image\n")
        with pytest.raises(ImageError, match="is not an image in a supported format"):
            read_image(path)


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.ppm")
    plain = (tmp_path / "a.ppm").read_bytes()
    packed = bytearray(gzip.compress(plain))
    packed[-6] ^= 1  # of the checksum
    (tmp_path / "sum.ppm.gz").write_bytes(packed)
    (tmp_path / "cut.ppm.gz").write_bytes(gzip.compress(plain)[:-100])
    (tmp_path / "more.ppm.gz").write_bytes(gzip.compress(plain + bytes(2_000_000)))
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"some text"))
    for name in ("sum.ppm.gz", "cut.ppm.gz", "more.ppm.gz", "text.gz"):
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)


def test_limits_count_pixels_and_bytes() -> None:
    check_size(Path("a"), 9459, 9459, pixel_bytes=6)
    with pytest.raises(ImageError, match="limit of 89,478,485"):
        check_size(Path("a"), 1, MAX_PIXELS + 1)
    with pytest.raises(ImageError, match="8 bits per channel"):
        check_size(Path("a"), 1, MAX_PIXELS, pixel_bytes=7)
    with pytest.raises(ImageError, match="empty"):
        check_size(Path("a"), 0, 5)


SIDE = 9000
"""Fewer pixels than the limit, but more bytes, where each pixel takes more than 6."""


def write_tiff_bomb(path: Path) -> None:
    tiles = (np.zeros((256, 256, 3), np.float32) for _ in range(36 * 36))
    tifffile.imwrite(
        path,
        tiles,
        shape=(SIDE, SIDE, 3),
        dtype=np.float32,
        tile=(256, 256),
        compression="zlib",
        photometric="rgb",
    )


def write_png_bomb(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    packer = zlib.compressobj(1)
    row = bytes(1 + SIDE * 8)
    data = b"".join(packer.compress(row) for _ in range(SIDE)) + packer.flush()
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def write_dicom(path: Path, syntax: str, *, pixel_data: bytes, bits: int = 8) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.3"
    dataset.Rows = dataset.Columns = 8
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PhotometricInterpretation = bits - 1, "MONOCHROME2"
    dataset.PixelData = pixel_data
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = not syntax.endswith(".99")
    dataset.save_as(path, enforce_file_format=True)


def write_dicom_bombs(folder: Path) -> None:
    import imagecodecs
    from pydicom.encaps import encapsulate

    write_dicom(folder / "deflated.dcm", "1.2.840.10008.1.2.1.99", pixel_data=bytes(700_000_000))
    run = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 4_000_000
    write_dicom(folder / "rle.dcm", "1.2.840.10008.1.2.5", pixel_data=encapsulate([run]))
    large = imagecodecs.jpeg8_encode(np.zeros((9_000, 9_000), np.uint8))
    write_dicom(folder / "jpeg.dcm", "1.2.840.10008.1.2.4.50", pixel_data=encapsulate([large]))


READ_ALL = """
import resource, sys
from pathlib import Path
import imagecodecs, pydicom, scipy.io
from sam2lora.datasets.matlab import read_matlab_mask
from sam2lora.errors import ImageError
from sam2lora.images.reading import read_image

before = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (before + 400_000_000,) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_matlab_mask(path, (8, 8)) if path.suffix == ".mat" else read_image(path)
        print("read", path.name)
    except ImageError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    """Each file unpacks to more than 500 MB; the process that reads them has 400."""
    pytest.importorskip("pydicom")
    from scipy.io import savemat

    write_tiff_bomb(tmp_path / "float.tif")
    tifffile.imwrite(tmp_path / "complex.tif", np.zeros((20, 20), np.complex64))
    write_png_bomb(tmp_path / "deep.png")
    write_dicom_bombs(tmp_path)
    zeros = np.zeros((9000, 9000), np.float64)
    savemat(tmp_path / "zeros.mat", {"mask": zeros}, do_compression=True)
    assert all(path.stat().st_size < 9_000_000 for path in tmp_path.iterdir())
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace(f"{tmp_path}/", "").splitlines()
    found = dict(line.split(": ", 1) for line in lines)
    expected = {
        "float.tif": f"are more than the limit of {MAX_BYTES:,} bytes",
        "complex.tif": "pixels of type complex64 are not an image",
        "deep.png": f"are more than the limit of {MAX_BYTES:,} bytes",
        "deflated.dcm": "unpacks to more than the limit",
        "rle.dcm": "bytes of RLE for 64 bytes of pixels",
        "jpeg.dcm": "8 × 8 pixels are announced, and 9000 × 9000 pixels compressed",
        "zeros.mat": "unpacks to more than the limit",
    }
    assert set(found) == set(expected)
    for name, text in expected.items():
        assert text in found[name]

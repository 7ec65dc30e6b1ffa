"""Formats read by Pillow and imagecodecs: transparency, many bits, rare kinds of JPEG."""

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from sam2lora.errors import ImageError
from sam2lora.images.codestream import read_jpeg2000_header, read_jpeg_header
from sam2lora.images.decoding import read_shape
from sam2lora.images.reading import read_image, read_values

RGB = np.random.default_rng(0).integers(1, 256, (20, 30, 3), dtype=np.uint8)
DEEP = (np.arange(20 * 30 * 3, dtype=np.uint16) * 2).reshape(20, 30, 3)  # of 12 bits


def save_png(path: Path, rows: np.ndarray, color_type: int, *, key: tuple[int, ...]) -> None:
    """Write a PNG whose transparent value is `key`; 16 bits if the rows have them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    size = rows.shape[1], rows.shape[0]
    header = struct.pack(">IIBBBBB", *size, 8 * rows.itemsize, color_type, 0, 0, 0)
    data = b"".join(b"\0" + row.astype(rows.dtype.newbyteorder(">")).tobytes() for row in rows)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "LA"), ("a.png", "RGBA"), ("a.tif", "LA"), ("a.tif", "RGBA"), ("a.webp", "RGBA")],
)
def test_transparent_pixels_are_black(tmp_path: Path, name: str, mode: str) -> None:
    alpha = np.full((20, 30), 255, np.uint8)
    alpha[:5], alpha[5:9] = 0, 200
    channels = RGB[..., :1] if mode == "LA" else RGB
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    Image.fromarray(np.dstack([channels, alpha])).save(tmp_path / name, **options)
    read = read_image(tmp_path / name)
    assert (read.pixels[:5] == 0).all()
    assert (read.pixels[5:] == channels[5:]).all()
    assert "transparent pixels made black" in read.note


@pytest.mark.parametrize("grey", [True, False])
def test_transparent_colour_of_a_gif_is_black(tmp_path: Path, grey: bool) -> None:
    image = Image.fromarray(np.tile(np.array([0, 1, 2], np.uint8), (20, 10))).convert("P")
    image.putpalette([90, 90, 90, 255, 255, 255, *([50] * 3 if grey else [200, 10, 10])])
    image.save(tmp_path / "a.gif", transparency=1)
    row = read_image(tmp_path / "a.gif").pixels[0, :3].tolist()
    assert row == [[90] * 3, [0] * 3, [50] * 3 if grey else [200, 10, 10]]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [True, False])
def test_transparent_value_of_a_png_is_black(tmp_path: Path, bits: int, grey: bool) -> None:
    values = (DEEP if bits == 16 else RGB).copy()
    if grey:
        values = values[..., 0]
    high = 4095 if bits == 16 else 255
    values[3:, 3:] = high
    key = (high,) if grey else (high,) * 3
    save_png(tmp_path / "a.png", values, 0 if grey else 2, key=key)
    read = read_image(tmp_path / "a.png")
    assert (read.pixels[3:, 3:] == 0).all()
    assert read.pixels[0, 20].any()
    assert "transparent pixels made black" in read.note


def test_transparent_palette_is_black_for_images_and_0_for_label_images(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.array([[0, 1, 2]], np.uint8), 20, axis=0)).convert("P")
    image.putpalette([9, 9, 9, 200, 10, 10, 255, 255, 255])
    image.save(tmp_path / "a.png", transparency=2)
    assert read_image(tmp_path / "a.png").pixels[0].tolist() == [[9] * 3, [200, 10, 10], [0] * 3]
    assert read_values(tmp_path / "a.png")[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_12_bits_in_a_16_bit_png_are_scaled_by_their_own_range(tmp_path: Path, channels: int):
    deep = np.dstack([DEEP, np.full((20, 30), 65535, np.uint16)])[..., -channels:]
    deep = DEEP if channels == 3 else deep
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(deep)))
    read = read_image(tmp_path / "a.png")
    assert "full scale 4095" in read.note
    assert read.pixels[-1, -1, 2] == round(int(DEEP[-1, -1, 2]) / 4095 * 255)


def test_deep_png_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = imagecodecs.png_encode(DEEP)
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + data))
    (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])
    assert read_image(tmp_path / "a.png").pixels.shape == (30, 20, 3)
    assert read_shape(tmp_path / "a.png") == (30, 20)


def test_deep_jpeg_2000_keeps_its_range(tmp_path: Path) -> None:
    content = imagecodecs.jpeg2k_encode(DEEP, level=0, reversible=True)
    (tmp_path / "a.jp2").write_bytes(content)
    header = read_jpeg2000_header(content)
    assert header is not None
    assert (header.height, header.width, header.channels, header.bits) == (20, 30, 3, 16)
    read = read_image(tmp_path / "a.jp2")
    assert "full scale 4095" in read.note
    assert read.pixels[-1, -1, 2] == round(int(DEEP[-1, -1, 2]) / 4095 * 255)


def test_first_picture_of_a_phone_is_read(tmp_path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[:10, :10])
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    first.save(tmp_path / "b.jpg", quality=95)
    read = read_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read.pixels, read_image(tmp_path / "b.jpg").pixels)
    assert read.note == "first of 2 pictures in the file"


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif"])
def test_animations_are_refused(tmp_path: Path, name: str) -> None:
    other = Image.fromarray(255 - RGB)
    Image.fromarray(RGB).save(tmp_path / name, save_all=True, append_images=[other])
    with pytest.raises(ImageError, match="holds 2 images"):
        read_image(tmp_path / name)


def test_jpeg_of_cmyk_is_converted_and_the_note_says_so(tmp_path: Path) -> None:
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    read = read_image(tmp_path / "a.jpg")
    assert np.abs(read.pixels.astype(int) - (255, 0, 0)).max() <= 3
    assert read.note == "CMYK to RGB without a colour profile"


@pytest.mark.parametrize(
    "encode",
    [
        lambda values: imagecodecs.jpeg8_encode(values, bitspersample=12, level=99),
        lambda values: imagecodecs.jpeg8_encode(values, bitspersample=12, lossless=True),
        imagecodecs.jpegls_encode,
    ],
    ids=["12-bit", "lossless", "ls"],
)
def test_deep_and_lossless_jpeg_are_read(tmp_path: Path, encode) -> None:
    content = encode(np.ascontiguousarray(DEEP[..., 0]))
    header = read_jpeg_header(content)
    assert header is not None
    assert header.needs_imagecodecs
    exif = Image.Exif()
    exif[0x0112] = 6
    segment = exif.tobytes()
    content = (
        content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]
    )
    (tmp_path / "a.jpg").write_bytes(content)
    read = read_image(tmp_path / "a.jpg")
    expected = np.rot90(np.rint(DEEP[..., 0] / 4095 * 255), -1)
    assert np.abs(read.pixels[..., 0].astype(int) - expected).max() <= 1
    assert read_shape(tmp_path / "a.jpg") == (30, 20)


def test_headers_of_other_bytes_are_none() -> None:
    assert read_jpeg_header(b"\xff\xd8\xff\xe0\0\x04ab") is None
    assert read_jpeg_header(b"\xff\xd8") is None
    assert read_jpeg2000_header(b"\xff\x4f\xff\x51short") is None

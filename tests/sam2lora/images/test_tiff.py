"""TIFF: which page is the image, masks with white as 0, and colours that are not RGB."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2lora.errors import ImageError
from sam2lora.images.decoding import read_shape
from sam2lora.images.reading import read_image, read_mask, read_values

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
MASK = np.zeros((20, 30), np.bool_)
MASK[3:9, 4:12] = True


def write_pages(path: Path, *pages: np.ndarray, **options) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            writer.write(page, **options)


@pytest.mark.parametrize("metadata", [{}, None])
@pytest.mark.parametrize("first", [True, False])
def test_largest_page_is_read(tmp_path: Path, metadata: dict | None, first: bool) -> None:
    path = tmp_path / "a.tif"
    pages = [RGB[::4, ::4], RGB] if first else [RGB, RGB[::4, ::4]]
    write_pages(path, *pages, photometric="rgb", metadata=metadata)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, RGB)
    assert image.note == "largest of 2 pictures in the file"
    assert read_shape(path) == (20, 30)


def test_largest_page_in_a_subdirectory_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB[::4, ::4], subifds=1, photometric="rgb", metadata=None)
        writer.write(RGB, photometric="rgb", metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RGB)


def test_pyramid_is_read_at_its_full_size(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB, subifds=1, photometric="rgb")
        writer.write(RGB[::2, ::2], subfiletype=1, photometric="rgb")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, RGB)
    assert "largest of 2" in image.note


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX"])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_stacks_are_refused(tmp_path: Path, axes: str, kind: str, number: int) -> None:
    stack = RNG.integers(0, 256, (number, 20, 30), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": axes}, **{kind: True})
    with pytest.raises(ImageError, match=r"a\.tif: is a stack"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: is a stack"):
        read_shape(tmp_path / "a.tif")


@pytest.mark.parametrize("metadata", [{}, None])
def test_plain_pages_of_one_size_are_refused(tmp_path: Path, metadata: dict | None) -> None:
    for number in (2, 3, 5):
        write_pages(tmp_path / "a.tif", *[RGB[..., 0]] * number, metadata=metadata)
        with pytest.raises(ImageError, match="is a stack"):
            read_image(tmp_path / "a.tif")


def test_composite_of_red_green_and_blue_is_one_image(tmp_path: Path) -> None:
    planes = np.moveaxis(RGB, -1, 0)
    ramp, none = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)
    tables = [np.stack(rows) for rows in ([ramp, none, none], [none, ramp, none])]
    tables.append(np.stack([none, none, ramp]))
    for luts in ({}, {"LUTs": tables}):
        metadata = {"axes": "CYX", "mode": "composite", **luts}
        tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True, metadata=metadata)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RGB)
    metadata = {"axes": "CYX", "mode": "composite", "LUTs": tables[::-1]}
    tifffile.imwrite(tmp_path / "b.tif", planes, imagej=True, metadata=metadata)
    with pytest.raises(ImageError, match="is a stack"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize(
    "options",
    [{}, {"software": False}, {"metadata": None}, {"ome": True}, {"compression": "zlib"}],
)
def test_bool_arrays_of_tifffile_are_masks_as_they_are(tmp_path: Path, options: dict) -> None:
    """Tifffile stores them as min-is-white, without inverting them."""
    tifffile.imwrite(tmp_path / "a.tif", MASK, **options)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), MASK)


def test_bool_arrays_of_other_writers_are_read(tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3")
    imageio.imwrite(tmp_path / "a.tif", MASK)
    imageio.imwrite(tmp_path / "b.tif", MASK, plugin="pillow")
    Image.fromarray(MASK).save(tmp_path / "c.tif", compression="group4")
    Image.fromarray(MASK).save(tmp_path / "d.tif", tiffinfo={262: 0})  # inverts them, by the tag
    for name in "abcd":
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.tif"), MASK)


def test_inverting_lookup_table_of_imagej_changes_images_but_no_masks(tmp_path: Path) -> None:
    values = MASK.astype(np.uint8) * np.uint8(255)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="miniswhite",
        description="ImageJ=1.54f\n",
        metadata=None,
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), MASK)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], 255 - values)


@pytest.mark.parametrize(
    ("mode", "options", "most"),
    [
        ("CMYK", {}, 0),
        ("CMYK", {"compression": "tiff_lzw"}, 0),
        ("YCbCr", {}, 3),
        ("YCbCr", {"compression": "tiff_adobe_deflate"}, 3),
        ("LAB", {}, 12),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_colours_are_converted_to_rgb(
    tmp_path: Path, mode: str, options: dict, most: int, orientation: int
) -> None:
    from PIL import ImageCms

    smooth = np.zeros((20, 30, 3), np.uint8)
    smooth[:, :10], smooth[:, 10:] = (150, 80, 30), (200, 120, 90)
    image = Image.fromarray(smooth)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    else:
        image = image.convert(mode)
    image.save(tmp_path / "a.tif", tiffinfo={274: orientation}, **options)
    read = read_image(tmp_path / "a.tif")
    expected = smooth if orientation == 1 else np.rot90(smooth, -1)
    assert np.abs(read.pixels.astype(int) - expected).max() <= most
    assert "to RGB" in read.note


@pytest.mark.parametrize(
    ("photometric", "samples", "dtype"),
    [
        ("separated", 4, "f4"),
        ("icclab", 3, "u1"),
        ("cielab", 3, "u2"),
        ("logluv", 3, "u1"),
        ("cfa", 1, "u2"),
        ("ycbcr", 3, "u2"),
    ],
)
def test_other_colours_are_refused(tmp_path: Path, photometric: str, samples: int, dtype: str):
    values = np.ones((20, 30, samples)[: 3 if samples > 1 else 2], dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric, planarconfig="contig")
    with pytest.raises(ImageError, match=rf"(?i)stored as {photometric}.*Save it as RGB"):
        read_image(tmp_path / "a.tif")


def test_associated_and_unassociated_alpha_give_the_same_colours(tmp_path: Path) -> None:
    alpha = np.full((20, 30, 1), 255, np.uint8)
    alpha[:4], alpha[4:8] = 0, 153
    colors = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    expected = colors * (alpha > 0)
    stored = {"unassalpha": colors, "assocalpha": (colors * (alpha / 255)).astype(np.uint8)}
    for kind, values in stored.items():
        rgba = np.dstack([values, alpha])
        tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=[kind])
        read = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(read.pixels, expected)
        assert "transparent pixels made black" in read.note


def test_fourth_channel_of_zeros_is_no_alpha(tmp_path: Path) -> None:
    values = np.dstack([RGB, np.zeros_like(RGB[..., 0])])
    options = {"photometric": "rgb", "extrasamples": ["unspecified"]}
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RGB)


def test_grey_with_alpha_is_read(tmp_path: Path) -> None:
    values = np.dstack([RGB[..., 0], RGB[..., 1] | 128])
    values[0, 0] = (255, 0)
    options = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **options)
    assert read_image(tmp_path / "a.tif").pixels[0, :2, 0].tolist() == [0, RGB[0, 1, 0]]


def test_palette_of_8_bits_in_16_is_read(tmp_path: Path) -> None:
    colors = np.zeros((3, 256), np.uint16)
    colors[:, 1] = (200, 10, 20)
    indices = np.ones((20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colors)
    assert read_image(tmp_path / "a.tif").pixels[0, 0].tolist() == [200, 10, 20]
    assert (read_values(tmp_path / "a.tif") == 1).all()

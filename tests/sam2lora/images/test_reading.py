"""Reading images as upright 8-bit RGB by documented rules, and masks as bool."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2lora.errors import ImageError
from sam2lora.images.reading import eye_from_name, read_image, read_mask, read_values, to_rgb

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def test_path_can_be_a_string(tmp_path: Path) -> None:
    path = tmp_path / "eye_OD.png"
    Image.fromarray(GREY).save(path)
    assert read_image(str(path)).path == path
    assert read_mask(str(path)).shape == GREY.shape


@pytest.mark.parametrize(
    ("values", "expected", "text"),
    [
        (np.array([[0, 65535]], np.uint16), [0, 255], "full scale 65535"),
        (np.array([[0, 4095]], np.uint16), [0, 255], "full scale 4095"),
        (np.array([[0, 200]], np.uint16), [0, 200], "full scale 255"),
        (np.array([[0, 32768, 65535]], np.uint16), [0, 128, 255], "full scale 65535"),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255], "0…1"),
        (np.array([[0.0, 100.0, 255.0]], np.float64), [0, 100, 255], "full scale 255"),
        (np.array([[False, True]]), [0, 255], "one bit"),
    ],
)
def test_more_than_8_bits_are_scaled_by_the_documented_rule(
    values: np.ndarray, expected: list[int], text: str
) -> None:
    pixels, note = to_rgb(values, "test")
    np.testing.assert_array_equal(pixels[0, :, 1], expected)
    assert text in note


def test_note_describes_grey_and_alpha(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    grey = read_image(tmp_path / "grey.png")
    assert (grey.pixels == GREY[..., None]).all()
    assert grey.note == "grey to RGB"
    Image.fromarray(np.dstack([RGB, GREY | 128])).save(tmp_path / "alpha.png")
    alpha = read_image(tmp_path / "alpha.png")
    np.testing.assert_array_equal(alpha.pixels, RGB)
    assert alpha.note == "alpha dropped"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_mask_with_nan_infinite_or_negative_values_is_refused(tmp_path: Path, bad: float) -> None:
    values = np.ones((5, 5), np.float32)
    values[2, 2] = bad
    tifffile.imwrite(tmp_path / "mask.tif", values)
    with pytest.raises(ImageError, match=r"mask\.tif: holds"):
        read_mask(tmp_path / "mask.tif")


@pytest.mark.parametrize("on", [1, 3, 255])
def test_masks_are_read_with_any_foreground_value(tmp_path: Path, on: int) -> None:
    reference = RNG.random((9, 11)) > 0.5
    path = tmp_path / "mask.png"
    Image.fromarray(reference.astype(np.uint8) * np.uint8(on)).save(path)
    threshold = None if on != 3 else 0
    np.testing.assert_array_equal(read_mask(path, threshold=threshold, shape=(9, 11)), reference)


def test_one_bit_and_gif_masks_are_read(tmp_path: Path) -> None:
    reference = RNG.random((9, 11)) > 0.5
    Image.fromarray(reference).save(tmp_path / "bits.png")
    Image.fromarray(reference.astype(np.uint8) * np.uint8(255)).save(tmp_path / "mask.gif")
    values = read_values(tmp_path / "bits.png")
    assert set(np.unique(values.view(np.uint8))) == {0, 1}  # compiled code relies on these bytes
    np.testing.assert_array_equal(read_mask(tmp_path / "bits.png"), reference)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.gif"), reference)


def test_float_mask_has_threshold_one_half(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.array([[0.2, 0.7]], np.float32))
    assert read_mask(tmp_path / "p.tif").tolist() == [[False, True]]


def test_colour_image_is_refused_as_a_mask(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="expected a mask"):
        read_mask(tmp_path / "a.png")


def test_error_for_a_mask_of_another_size_gives_both_sizes(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "m.png")
    with pytest.raises(ImageError, match=r"17 × 12.*565 × 584"):
        read_mask(tmp_path / "m.png", shape=(584, 565))


@pytest.mark.parametrize(
    ("stem", "eye"),
    [
        ("Image_01L", "left"),
        ("Image_14R", "right"),
        ("RET002OD", "right"),
        ("RET002OS", "left"),
        ("12_left", "left"),
        ("OS-3", "left"),
        ("01_test", None),
        ("drishtiGS_002", None),
        ("LARGE", None),
        ("left_and_right", None),
    ],
)
def test_eye_from_name(stem: str, eye: str | None) -> None:
    assert eye_from_name(stem) == eye


def test_files_of_real_datasets_are_read(real_data: Path) -> None:
    drive = read_image(real_data / "DRIVE/test/images/01_test.tif")
    assert drive.pixels.shape == (584, 565, 3)
    manual = read_mask(real_data / "DRIVE/test/1st_manual/01_manual1.gif", shape=(584, 565))
    second = read_mask(real_data / "DRIVE/test/2nd_manual/01_manual2.gif", shape=(584, 565))
    assert 0.08 < manual.mean() < 0.1
    assert (manual & second).sum() > 0.7 * second.sum()
    assert read_image(real_data / "HRF/images/01_dr.JPG").pixels.shape == (2336, 3504, 3)
    assert read_mask(real_data / "CHASEDB1/Image_01L_1stHO.png").shape == (960, 999)


def with_one(value: float, high: float, dtype: type) -> np.ndarray:
    """Return a `(20, 30, 3)` array up to `high` with one stray value."""
    values = np.linspace(0, high, 1800).astype(dtype).reshape(20, 30, 3)
    values[0, 1, 2] = value
    return values


@pytest.mark.parametrize(
    ("value", "high", "dtype", "scale"),
    [
        (1.0001, 1, np.float32, "0…1"),
        (37.0, 1, np.float64, "0…1"),
        (-1e-6, 1, np.float32, "0…1"),
        (255.4, 255, np.float32, "full scale 255"),
        (1e9, 255, np.float32, "full scale 255"),
        (4096, 4095, np.uint16, "full scale 4095"),
        (65535, 4095, np.uint16, "full scale 4095"),
    ],
)
def test_a_stray_value_does_not_change_the_scale(
    value: float, high: float, dtype: type, scale: str
) -> None:
    pixels, note = to_rgb(with_one(value, high, dtype), "test")
    clean, _ = to_rgb(with_one(high / 2, high, dtype), "test")
    differing = (pixels != clean).any(axis=-1)
    assert differing.sum() <= 1
    assert scale in note
    assert "1 stray value(s) clipped" in note


def test_dark_image_with_a_small_highlight_keeps_its_scale() -> None:
    values = np.full((100, 100), 900, np.uint16)
    values[40:43, 40:43] = 4000
    pixels, note = to_rgb(values, "test")
    assert (pixels[0, 0, 0], pixels[41, 41, 0]) == (56, 249)
    assert "4095" in note
    assert "stray" not in note


def test_large_floating_point_images_are_scaled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = RNG.random((50, 7, 3)).astype(np.float32)
    expected = to_rgb(values, "test")[0]
    monkeypatch.setattr("sam2lora.images.full_scale._BLOCK", 64)
    np.testing.assert_array_equal(to_rgb(values, "test")[0], expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("grey", [False, True])
def test_transparent_pixels_are_black_and_others_keep_their_colour(dtype: type, grey: bool) -> None:
    full = 1 if dtype is np.float32 else np.iinfo(dtype).max
    colors = np.full((4, 5, 1 if grey else 3), full, dtype)
    alpha = np.full((4, 5, 1), full, dtype)
    alpha[0] = 0
    alpha[1] = full / 3
    pixels, note = to_rgb(np.dstack([colors, alpha]), "test")
    assert (pixels[:2] == 0).all()
    assert (pixels[2:] == 255).all()
    assert "transparent pixels made black" in note


def test_colours_hidden_by_transparency_do_not_set_the_scale() -> None:
    values = np.full((4, 5, 4), 4000, np.uint16)
    values[0] = (65535, 65535, 65535, 0)
    pixels, note = to_rgb(values, "test")
    assert pixels[2, 2].tolist() == [249] * 3
    assert "4095" in note


@pytest.mark.parametrize("outside", [1, 100])
def test_soft_or_nearly_full_transparency_is_outside(tmp_path: Path, outside: int) -> None:
    values = np.full((9, 11, 4), 255, np.uint8)
    values[:4, :, 3] = outside
    Image.fromarray(values).save(tmp_path / "a.png")
    assert not read_image(tmp_path / "a.png").pixels[:4].any()
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), values[..., 3] == 255)


def test_even_transparency_hides_nothing(tmp_path: Path) -> None:
    values = np.dstack([RGB, np.full_like(GREY, 60)])
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, RGB)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif"])
def test_inverting_lookup_table_is_not_applied_to_a_mask(tmp_path: Path, name: str) -> None:
    box = np.zeros((9, 11), np.uint8)
    box[2:5, 3:7] = 255
    image = Image.fromarray(box, "P")
    image.putpalette([value for grey in range(255, -1, -1) for value in (grey,) * 3])
    image.save(tmp_path / name, optimize=False)
    np.testing.assert_array_equal(read_mask(tmp_path / name), box > 0)
    assert read_image(tmp_path / name).pixels[0, 0, 0] == 255


@pytest.mark.parametrize("software", ["other", ""])
def test_bool_tiff_of_an_unknown_writer_is_not_inverted(tmp_path: Path, software: str) -> None:
    box = np.zeros((9, 11), bool)
    box[2:5, 3:7] = True
    tifffile.imwrite(tmp_path / "a.tif", box, software=software, metadata=None)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), box)


def test_image_that_is_transparent_everywhere_is_refused() -> None:
    with pytest.raises(ImageError, match="every pixel is transparent"):
        to_rgb(np.dstack([RGB, GREY * np.uint8(0)]), "test")


def test_mask_on_a_transparent_ground_is_read(tmp_path: Path) -> None:
    reference = RNG.random((9, 11)) > 0.5
    alpha = reference.astype(np.uint8) * np.uint8(255)
    white = np.full((9, 11, 3), 255, np.uint8)
    Image.fromarray(np.dstack([white, alpha])).save(tmp_path / "white.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "white.png"), reference)
    Image.fromarray(np.dstack([white * 0, alpha])).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match="as transparency only"):
        read_mask(tmp_path / "black.png")


def test_float_mask_with_a_stray_value_is_read(tmp_path: Path) -> None:
    values = np.zeros((30, 40), np.float32)
    values[5:20, 5:20] = 1
    tifffile.imwrite(tmp_path / "clean.tif", values)
    values[7, 7] = 1.0001
    tifffile.imwrite(tmp_path / "stray.tif", values)
    np.testing.assert_array_equal(read_mask(tmp_path / "stray.tif"), values >= 1)
    np.testing.assert_array_equal(read_mask(tmp_path / "clean.tif"), values >= 1)

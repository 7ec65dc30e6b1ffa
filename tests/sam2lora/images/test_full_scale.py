"""What overshoots a scale, by number and by amount, does not change it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from sam2lora.errors import ImageError
from sam2lora.images.reading import read_image, read_mask, to_rgb

RNG = np.random.default_rng(0)


def photograph(*, high: float = 1) -> np.ndarray:
    """Return a bright disc with sharp edges in a dark field, up to `high`."""
    rows, columns = np.indices((40, 50))
    field = (rows - 20) ** 2 + (columns - 25) ** 2 < 300
    disc = (rows - 20) ** 2 + (columns - 30) ** 2 < 20
    return np.where(disc, high, np.where(field, 0.4 * high, 0)).astype(np.float32)


@pytest.mark.parametrize("high", [1, 255, 65535])
@pytest.mark.parametrize("cut", [False, True])
def test_ringing_of_interpolation_does_not_change_the_scale(
    tmp_path: Path, high: int, *, cut: bool
) -> None:
    plain = ndimage.gaussian_filter(photograph(high=high), 1)
    plain[10:12, 20:23] = high  # a reflection with sharp edges
    rung = ndimage.zoom(plain, 1.7, order=3)
    assert (rung > high).mean() > 0.0001  # no stray values any more
    assert rung.min() < 0
    tifffile.imwrite(tmp_path / "a.tif", rung.clip(0) if cut else rung)
    image = read_image(tmp_path / "a.tif")
    expected = np.rint(np.clip(rung / high, 0, 1) * 255)
    np.testing.assert_allclose(image.pixels[..., 0], expected, atol=1)
    assert "clipped" in image.note


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (photograph(high=1.28), "0…1"),  # brightened beyond white, and not cut
        (np.minimum(photograph(high=300), 256), "255"),
        (np.minimum(photograph(high=2), 1.02), "0…1"),
        (photograph(high=700), "1023"),
        (photograph(high=300), "1023"),
    ],
)
def test_float_scale_is_the_smallest_that_holds_nearly_all(values: np.ndarray, scale: str) -> None:
    assert scale in to_rgb(values, "test")[1]


@pytest.mark.parametrize(("high", "caption"), [(4095, 65535), (1, 255), (200, 65535)])
def test_caption_at_the_highest_value_does_not_change_the_scale(high: int, caption: int) -> None:
    values = photograph(high=high).astype(np.float32 if high == 1 else np.uint16)
    plain = to_rgb(values, "test")[0]
    values[:4, :30] = caption
    pixels = to_rgb(values, "test")[0]
    assert (pixels[:4, :30] == 255).all()
    np.testing.assert_array_equal(pixels[4:], plain[4:])


def test_saturated_pixels_do_not_change_the_scale() -> None:
    values = np.linspace(0, 65535, 2000).astype(np.uint16).reshape(40, 50)
    values[10:20, 10:20] = 65535
    assert "full scale 65535" in to_rgb(values, "test")[1]


@pytest.mark.parametrize("values", [photograph() * 2 - 1, photograph() - 0.3])
def test_values_far_below_0_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ImageError, match="holds pixel values from -"):
        to_rgb(values, "test")


def test_float_mask_with_ringing_is_read(tmp_path: Path) -> None:
    rung = ndimage.zoom(np.where(photograph() > 0.5, 1.0, 0.0), 1.7, order=3)
    tifffile.imwrite(tmp_path / "m.tif", rung)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), rung > 0.5)

"""Views of a fundus image: the green channel, and enhanced local contrast."""

import warnings

import numpy as np

from sam2lora.images.views import clahe_view, green_view


def test_green_view_is_the_green_channel() -> None:
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    view = green_view(pixels)
    np.testing.assert_array_equal(view, pixels[..., 1])
    assert view.flags.c_contiguous


def test_clahe_enhances_local_contrast() -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    pixels[:, 30:34, 1] = 80
    enhanced = clahe_view(pixels, clip_limit=0.5)
    assert enhanced.shape == pixels.shape
    assert enhanced.dtype == np.uint8
    before = int(pixels[32, 10, 1]) - int(pixels[32, 32, 1])
    after = int(enhanced[32, 10, 1]) - int(enhanced[32, 32, 1])
    assert after > 2 * before


def test_clahe_keeps_saturated_colors() -> None:
    orange = np.full((64, 64, 3), (250, 90, 0), np.uint8)
    orange[::2, ::3] = (120, 20, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view = clahe_view(orange, clip_limit=0.5)
    assert (np.diff(view.astype(int), axis=2) <= 0).all(), "orange keeps red > green > blue"

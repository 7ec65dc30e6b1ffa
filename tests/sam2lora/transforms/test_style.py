"""Exchanged colors: amplitudes of another image, the phases of one's own, in every window alike."""

import numpy as np
import pytest
import torch

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.transforms.style import ImageStyle, exchange_style
from sam2lora.transforms.windows import Window

SIDE = 200


def field(side: int = SIDE) -> FieldOfView:
    y, x = np.mgrid[:side, :side]
    middle = (side - 1) / 2
    mask = np.hypot(x - middle, y - middle) <= 0.45 * side
    return FieldOfView(mask, (middle, middle), 0.9 * side)


def image(color: tuple[int, int, int], *, tilt: float = 0.0, side: int = SIDE) -> np.ndarray:
    """Draw an image with a disc, brighter to the right by a share `tilt`."""
    y, x = np.mgrid[:side, :side] / side
    light = 1 + tilt * (x - 0.5) + 0.5 * (np.hypot(x - 0.3, y - 0.5) < 0.06)
    pixels = np.clip(light[..., None] * color, 0, 255).astype(np.uint8)
    return pixels * field(side).mask[..., None]


def restyled(pixels: np.ndarray, other: np.ndarray, *, strength: float = 1.0) -> np.ndarray:
    """Return the image with the other one's colors, in its field of view."""
    own = ImageStyle.of(pixels, field(len(pixels)))
    change = exchange_style(own, ImageStyle.of(other, field(len(other))), strength=strength)
    whole = Window.stretched(pixels.shape[:2], len(pixels))
    added = change.cut(whole).movedim(0, -1).numpy() * 255
    return np.clip(pixels + added, 0, 255) * field(len(pixels)).mask[..., None]


def mean(pixels: np.ndarray) -> np.ndarray:
    return pixels[field(len(pixels)).mask].mean(axis=0)


RED, GREEN = image((180, 80, 40)), image((90, 110, 60), tilt=0.8)


def test_own_style_changes_nothing() -> None:
    np.testing.assert_allclose(restyled(RED, RED), RED, atol=1e-3)


def test_mean_color_becomes_that_of_the_other_image() -> None:
    np.testing.assert_allclose(mean(restyled(RED, GREEN)), mean(GREEN), atol=4)
    halfway = (mean(RED) + mean(GREEN)) / 2
    np.testing.assert_allclose(mean(restyled(RED, GREEN, strength=0.5)), halfway, atol=4)


def test_size_of_the_other_image_does_not_matter() -> None:
    large = image((90, 110, 60), tilt=0.8, side=3 * SIDE)
    np.testing.assert_allclose(restyled(RED, large), restyled(RED, GREEN), atol=2)


def test_edges_stay() -> None:
    edge = np.s_[SIDE // 2, [46, 50], 1]  # beside and on the disc
    before, after = RED[edge].astype(float), restyled(RED, GREEN)[edge]
    assert np.diff(before) == 40
    assert np.diff(after) == pytest.approx(40, abs=6)


def test_window_gets_its_part_of_the_change() -> None:
    change = exchange_style(ImageStyle.of(RED, field()), ImageStyle.of(GREEN, field()))
    whole = change.cut(Window.stretched((SIDE, SIDE), SIDE))
    part = change.cut(Window(40, 60, 50, 50, 50))
    torch.testing.assert_close(part, whole[:, 60:110, 40:90], atol=1e-5, rtol=0)
    moved = change.moved(-40, -60).cut(Window(0, 0, 50, 50, 50))
    torch.testing.assert_close(moved, part, atol=1e-5, rtol=0)

"""Windows between native pixels and network pixels, tiles and blending."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView, field_of_view_from_mask
from sam2lora.transforms.windows import Blend, Window, full_window, tile_windows, zoom_window

SHAPES = [(584, 565), (960, 999), (2336, 3504), (400, 600), (37, 512), (1, 1)]


def circle_field(shape: tuple[int, int], radius: float) -> FieldOfView:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    center = ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    mask = (columns - center[0]) ** 2 + (rows - center[1]) ** 2 <= radius**2
    return FieldOfView(mask, center, 2 * radius)


def windows_of(shape: tuple[int, int]) -> list[Window]:
    field = FieldOfView(np.ones(shape, bool), (shape[1] / 2, shape[0] / 2), max(shape))
    return [
        Window.stretched(shape, 512),
        full_window(field, 512),
        zoom_window((3, 5), field, 64, share=0.3),
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_points_return_from_the_network_unchanged(shape: tuple[int, int]) -> None:
    points = np.random.default_rng(0).uniform(0, max(shape), (50, 2))
    for window in windows_of(shape):
        np.testing.assert_allclose(window.to_native(window.to_network(points)), points, atol=1e-9)


def test_pixel_centers_are_integers_on_both_sides() -> None:
    window = Window.stretched((100, 100), 200)
    np.testing.assert_allclose(window.to_network(np.array([0.0, 99.0])), [0.5, 198.5])


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_mask_returns_from_the_network_within_a_pixel(shape: tuple[int, int]) -> None:
    """Native → network → native moves a border by at most one network pixel."""
    field = circle_field(shape, min(shape) * 0.3)
    window = full_window(field_of_view_from_mask(circle_field(shape, min(shape) * 0.48).mask), 1024)
    pasted = window.paste(window.cut_mask(field.mask).astype(np.float32), shape)
    back = np.zeros(shape, bool)
    back[pasted.rows, pasted.columns] = pasted.values > 0.5
    rows, columns = np.nonzero(back != field.mask)
    distance = np.hypot(columns - field.center[0], rows - field.center[1]) - field.diameter / 2
    pixel = max(1.0, 1 / window.scale[0])
    assert np.abs(distance).max(initial=0) <= pixel


def test_values_are_upsampled_as_in_sam2() -> None:
    values = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    pasted = Window.stretched((60, 50), 32).paste(values, (60, 50))
    expected = F.interpolate(torch.from_numpy(values)[None, None], size=(60, 50), mode="bilinear")
    assert (pasted.rows, pasted.columns) == (slice(0, 60), slice(0, 50))
    np.testing.assert_allclose(pasted.values, expected[0, 0], atol=1e-5)


@pytest.mark.parametrize(
    "window",
    [Window(-3.3, 5.2, 40.7, 40.7, 64), Window(2, 2, 9, 9, 64), Window(30.4, 20.1, 90, 90, 8)],
)
def test_linear_slope_is_pasted_exactly(window: Window) -> None:
    """Values that are linear in the window are the same linear function in the image."""
    centers = (np.arange(16) + 0.5) / 16
    x, y = window.left + window.width * centers - 0.5, window.top + window.height * centers - 0.5
    pasted = window.paste((2 * x + 3 * y[:, None]).astype(np.float32), (60, 50))
    rows, columns = np.mgrid[pasted.rows, pasted.columns]
    # Beyond the outermost centers the last value is repeated.
    expected = 2 * columns.clip(x[0], x[-1]) + 3 * rows.clip(y[0], y[-1])
    np.testing.assert_allclose(pasted.values, expected, atol=1e-3)


def test_bright_pixel_and_its_point_map_to_the_same_position() -> None:
    image = np.zeros((300, 200, 3), np.uint8)
    image[120:125, 60:65] = 255
    window = Window.around((80, 100), 150, 600)
    cut = window.cut(image)[..., 1]
    rows, columns = np.nonzero(cut > 127)
    expected = window.to_network(np.array([62.0, 122.0]))
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=0.51)


def test_beyond_the_image_is_black() -> None:
    cut = Window.around((0, 0), 100, 50).cut(np.full((80, 80, 3), 200, np.uint8))
    assert cut[:20, :20].max() == 0
    assert (cut[30:, 30:] == 200).all()
    for x, y in ((-500, 40), (40, -500), (500, 40), (500, 500)):
        assert not Window.around((x, y), 100, 50).cut(np.full((80, 80), 200, np.uint8)).any()


def test_reduction_averages_thin_lines() -> None:
    """Lines one pixel wide become grey: nearest-neighbor sampling would lose half of them."""
    stripes = np.zeros((400, 400), np.uint8)
    stripes[:, ::2] = 255
    cut = Window.stretched((400, 400), 50).cut(stripes)
    assert 120 <= cut[5:-5, 5:-5].min() <= cut[5:-5, 5:-5].max() <= 135


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(
    ("shape", "radius"), [((584, 565), 270), ((2336, 3504), 1634), ((90, 90), 20)]
)
def test_tiles_cover_the_field_and_blend_to_one(
    shape: tuple[int, int], radius: float, overlap: float
) -> None:
    field = circle_field(shape, radius)
    windows = tile_windows(field, 512, field_size=1300, overlap=overlap)
    blend = Blend(shape)
    for window in windows:
        blend.add(window, np.ones((128, 128), np.float32))
    assert blend.covered[field.mask].all()
    np.testing.assert_allclose(blend.result()[field.mask], 1, atol=1e-5)


def test_tiles_outside_the_field_of_view_are_left_out() -> None:
    field = circle_field((1000, 1000), 490)
    windows = tile_windows(field, 128, field_size=1024, overlap=0.1)
    grid = len({window.left for window in windows}) * len({window.top for window in windows})
    assert len(windows) < grid
    for window in windows:
        assert window.cut_mask(field.mask).any() or window.cut(np.uint8(255) * field.mask).any()


def test_tiles_scale_with_the_diameter_of_the_field() -> None:
    """One eye in a small and a large image gives the same number of tiles."""
    small, large = circle_field((600, 600), 280), circle_field((2400, 2400), 1120)
    few = tile_windows(small, 512, field_size=1080, overlap=0.25)
    many = tile_windows(large, 512, field_size=1080, overlap=0.25)
    assert len(few) == len(many)
    assert many[0].width == pytest.approx(4 * few[0].width)


def test_field_smaller_than_a_tile_gives_one_centered_tile() -> None:
    field = circle_field((200, 300), 50)
    (window,) = tile_windows(field, 512, field_size=256, overlap=0.25)
    np.testing.assert_allclose(window.to_network(np.array(field.center)), [255.5, 255.5], atol=1)


def test_blending_is_smooth_between_disagreeing_tiles() -> None:
    shape = (100, 180)
    blend = Blend(shape)
    blend.add(Window(0, 0, 100, 100, 64), np.zeros((64, 64), np.float32))
    blend.add(Window(80, 0, 100, 100, 64), np.ones((64, 64), np.float32))
    line = blend.result()[50]
    assert line[79] == 0
    assert line[101] == 1
    assert np.diff(line).max() < 0.15


def test_invalid_windows_are_refused() -> None:
    field = circle_field((100, 100), 40)
    with pytest.raises(GeometryError, match="positive"):
        Window(0, 0, 0, 10, 512)
    with pytest.raises(GeometryError, match="overlap"):
        tile_windows(field, 512, field_size=1000, overlap=1.0)
    with pytest.raises(GeometryError, match="outside an image"):
        Window(500, 0, 10, 10, 16).paste(np.zeros((4, 4), np.float32), (100, 100))
    empty = FieldOfView(np.zeros((9, 9), bool), (4, 4), 9)
    with pytest.raises(GeometryError, match="empty"):
        tile_windows(empty, 64, field_size=64, overlap=0.2)


@pytest.mark.parametrize("shape", [(200, 20000), (20000, 200), (30, 60_000)])
def test_window_around_a_long_image_is_cut_as_if_it_were_padded(shape: tuple[int, int]) -> None:
    """The square around it has more pixels than an image may have."""
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    side = max(shape) * 1.02
    window = Window.around((shape[1] / 2, shape[0] / 2), side, 128)
    cut = window.cut(image)
    assert cut.shape == (128, 128)
    light = np.where(cut.any(axis=0 if shape[0] > shape[1] else 1))[0]
    assert 1 <= len(light) <= 4
    assert 62 <= light[0] <= light[-1] <= 66
    expected = 127.5 * shape[0] * shape[1] / (side / 128) ** 2
    assert cut.sum() == pytest.approx(expected, rel=0.15, abs=80)


def test_full_window_holds_a_region_that_is_larger_than_its_scale() -> None:
    mask = np.zeros((100, 300), bool)
    mask[10:90, 5:295] = True
    window = full_window(FieldOfView(mask, (149.5, 49.5), 80, found="region"), 64, margin=0)
    assert (window.left, window.width) == (5, 290)

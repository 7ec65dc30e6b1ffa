"""What a window is resampled from: the whole of it, or what an image has an influence on."""

import numpy as np
import pytest
from PIL import Image

from sam2lora.transforms import canvas
from sam2lora.transforms.canvas import padded, spans_of_window
from sam2lora.transforms.windows import Window


def test_span_is_the_whole_window_where_it_is_not_huge() -> None:
    down, across = spans_of_window((-10.5, 4.25), (60, 30), 20, (40, 40))
    assert (down.network, down.native, down.start, down.end) == (
        slice(0, 20),
        slice(-11, 50),
        0.5,
        60.5,
    )
    assert (across.native, across.start, across.end) == (slice(4, 35), 0.25, 30.25)


def test_huge_window_is_limited_to_what_the_image_influences() -> None:
    down, across = spans_of_window((0, -49_900), (100_000, 100_000), 100, (100_000, 200))
    assert down.network == slice(0, 100)
    assert 1 <= across.count <= 3
    assert across.native.stop - across.native.start < 6000
    nowhere, _ = spans_of_window((-200_000, 0), (100_000, 100_000), 100, (500, 500))
    assert nowhere.count == 0


def test_limited_window_is_cut_like_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        shape = (*rng.integers(1, 90, 2), 3)
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        left, top, width, height = *rng.uniform(-150, 60, 2), *rng.uniform(60, 300, 2)
        window = Window(left, top, width, height, int(rng.integers(8, 120)))
        whole = window.cut(image).astype(int)
        monkeypatch.setattr(canvas, "MAX_PIXELS", 0)
        limited = window.cut(image).astype(int)
        monkeypatch.undo()
        assert np.abs(whole - limited).max() <= 1  # edges have another rounding


def test_padding_is_black_and_places_the_image() -> None:
    image = np.full((4, 5, 3), 9, np.uint8)
    canvas = padded(image, slice(-2, 3), slice(1, 9))
    assert canvas.shape == (5, 8, 3)
    assert canvas[2:, :4].min() == 9
    assert canvas[:2].max() == canvas[:, 4:].max() == 0
    assert not padded(image, slice(7, 9), slice(-5, -2)).any()
    assert padded(image[..., 0], slice(0, 4), slice(0, 5)).shape == (4, 5)
    assert Image.fromarray(canvas).size == (8, 5)

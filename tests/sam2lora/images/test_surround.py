"""Light, uniform surrounds become black, and nothing else does."""

import numpy as np
import pytest

from sam2lora.images.surround import inside_frame, without_surround


def retina(shape: tuple[int, int] = (120, 160)) -> np.ndarray:
    rows, columns = np.indices(shape)
    shade = 90 + 50 * np.sin(rows / 17) * np.cos(columns / 23)
    return (shade[..., None] * np.array([1.6, 0.9, 0.5])).clip(0, 255).astype(np.uint8)


def blackened(pixels: np.ndarray) -> np.ndarray:
    return without_surround(pixels, pixels.max(axis=-1))


@pytest.mark.parametrize("color", [(255, 255, 255), (60, 60, 60), (230, 200, 90)])
def test_page_becomes_black_up_to_the_picture(color: tuple[int, int, int]) -> None:
    page = np.full((200, 260, 3), color, np.uint8)
    page[30:150, 60:220] = retina()
    light = blackened(page)
    inside = np.zeros((200, 260), bool)
    inside[30:150, 60:220] = True
    assert not light[~inside].any()
    expected = retina().max(axis=-1)
    np.testing.assert_array_equal(light[34:146, 64:216], expected[4:-4, 4:-4])
    assert light[inside].min() > 0.8 * expected.min()


def test_letters_on_a_panel_become_black_with_it() -> None:
    image = np.full((120, 240, 3), 250, np.uint8)
    image[:, 80:] = retina()
    image[20:28, 10:60:4] = 10
    light = blackened(image)
    assert not light[:, :80].any()
    assert light[:, 84:].min() > 50


def test_picture_without_a_surround_is_returned_as_it_is() -> None:
    flat = np.full((100, 100, 3), 140, np.uint8)
    black = np.zeros((200, 260, 3), np.uint8)
    black[30:150, 60:220] = retina()
    square = np.zeros((200, 260, 3), np.uint8)
    square[30:150, 60:220] = 140  # it would be the surround of nothing
    for pixels in (retina(), flat, black, square, np.zeros((9, 9, 3), np.uint8)):
        light = pixels.max(axis=-1)
        assert without_surround(pixels, light) is light


def test_light_of_lower_resolution_is_blackened_at_its_own() -> None:
    page = np.full((400, 520, 3), 255, np.uint8)
    page[60:300, 120:440] = np.kron(retina(), np.ones((2, 2, 1), np.uint8))
    light = without_surround(page, page[::2, ::2].max(axis=-1))
    assert light.shape == (200, 260)
    assert not light[:30].any()
    assert light[32:148, 62:218].min() > 50


@pytest.mark.parametrize("width", [1, 3, 6])
@pytest.mark.parametrize("color", [(255, 255, 255), (128, 128, 128), (200, 40, 60)])
def test_thin_frame_is_found_to_the_pixel(width: int, color: tuple[int, int, int]) -> None:
    image = np.full((120 + 2 * width, 160 + 2 * width, 3), color, np.uint8)
    image[width:-width, width:-width] = retina()
    inside = (slice(width, 120 + width), slice(width, 160 + width))
    assert inside_frame(image) == inside
    assert inside_frame(image[width:, : 160 + width]) == (slice(0, 120), inside[1])  # at two sides


@pytest.mark.parametrize("color", [0, 30])
def test_dark_or_thick_border_is_no_frame(color: int) -> None:
    image = np.full((140, 180, 3), color, np.uint8)
    image[10:130, 10:170] = retina()
    assert inside_frame(image) is None
    assert inside_frame(np.full_like(image, 200)) is None
    assert inside_frame(retina()) is None

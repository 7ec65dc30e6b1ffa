"""Finding the field of view in every kind of fundus image."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.errors import GeometryError
from sam2lora.images.decoding import IMAGE_SUFFIXES
from sam2lora.images.field_of_view import field_of_view_from_mask, find_field_of_view
from sam2lora.images.reading import read_image, read_mask


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def draw_field(
    *,
    shape: tuple[int, int] = (584, 565),
    center: tuple[float, float] = (280, 292),
    radius: float = 268,
    brightness: float = 150,
    noise: float = 4,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a shaded disc on a black, noisy background; return the image and its field."""
    rng = np.random.default_rng(0)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(columns - center[0], rows - center[1])
    field = distance <= radius
    light = np.where(field, brightness * (1 - 0.4 * (distance / radius) ** 2), 3)
    color = np.array([1.0, 0.5, 0.25])
    pixels = light[..., None] * color + rng.normal(0, noise, (*shape, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), field


@pytest.mark.parametrize("brightness", [25, 60, 150, 250])
@pytest.mark.parametrize("center", [(280, 292), (200, 330)])
def test_circle_is_found_at_any_brightness(brightness: float, center: tuple[float, float]) -> None:
    pixels, field = draw_field(brightness=brightness, center=center, noise=brightness / 40)
    found = find_field_of_view(pixels)
    assert found.found == "circle"
    assert dice(found.mask, field) > 0.99
    assert found.diameter == pytest.approx(536, rel=0.01)
    np.testing.assert_allclose(found.center, center, atol=2.5)


def test_side_that_fades_into_the_dark_is_in_the_field() -> None:
    pixels, field = draw_field()
    fade = np.linspace(0.02, 2, 565).clip(0, 1)
    found = find_field_of_view((pixels * fade[None, :, None]).astype(np.uint8))
    assert dice(found.mask, field) > 0.98


def test_straight_crops_are_followed_and_keep_the_circles_diameter() -> None:
    pixels, field = draw_field(shape=(400, 600), center=(300, 205), radius=277)
    pixels[:8] = pixels[-3:] = 2
    field[:8] = field[-3:] = False
    found = find_field_of_view(pixels)
    assert dice(found.mask, field) > 0.99
    assert not found.mask[:6].any()
    assert found.diameter == pytest.approx(554, rel=0.02)


def test_text_label_and_notch_do_not_move_the_circle() -> None:
    pixels, field = draw_field()
    pixels[550:575, 10:150] = 255
    pixels[90:110, 455:480] = 120
    assert dice(find_field_of_view(pixels).mask, field) > 0.99


def test_circle_is_found_from_a_quarter_of_it() -> None:
    pixels, field = draw_field(shape=(300, 280), center=(0, 0), radius=250)
    found = find_field_of_view(pixels)
    assert dice(found.mask, field) > 0.98
    assert found.diameter == pytest.approx(500, rel=0.03)


def test_whole_image_is_the_field_without_a_dark_border() -> None:
    pixels, _ = draw_field()
    inside = np.ascontiguousarray(pixels[200:380, 150:400])
    found = find_field_of_view(inside)
    assert found.found == "whole image"
    assert found.mask.all()
    assert found.diameter == 250


@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("shape", [(300, 200), (1, 1), (2, 700)])
def test_uniform_image_is_all_field(value: int, shape: tuple[int, int]) -> None:
    found = find_field_of_view(np.full((*shape, 3), value, np.uint8))
    assert found.mask.all()
    assert found.diameter == max(shape)


@pytest.mark.filterwarnings("error")
def test_image_without_a_circle_gives_a_field_without_a_warning() -> None:
    half, strip = (np.full((400, 600, 3), 120, np.uint8) for _ in range(2))
    half[:, :300] = 0
    strip[180:200] = 0
    for pixels in (half, strip):
        assert find_field_of_view(pixels).mask.mean() > 0.4


def test_most_of_a_noise_image_is_field() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert find_field_of_view(noise).mask.mean() > 0.5


def test_bright_square_is_a_region_and_not_a_circle() -> None:
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[60:330, 50:300] = 140
    found = find_field_of_view(pixels)
    assert found.found == "region"
    assert dice(found.mask, pixels[..., 0] > 0) > 0.98
    assert found.diameter == pytest.approx(270, abs=4)


def on_canvas(
    pixels: np.ndarray,
    field: np.ndarray,
    *,
    top: int = 0,
    bottom: int = 0,
    left: int = 0,
    right: int = 0,
    color: tuple[int, int, int] = (0, 0, 0),
) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge a drawn image and its field by a margin of one color."""
    margin = ((top, bottom), (left, right))
    canvas = np.stack(
        [np.pad(pixels[..., i], margin, constant_values=color[i]) for i in range(3)], axis=-1
    )
    return canvas, np.pad(field, margin)


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


def two_fields(shift: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw two fields of the diameter 300, the second shifted by (x, y)."""
    drawn = [
        draw_field(
            shape=(330 + shift[1], 330 + shift[0]), center=(165 + x, 165 + y), radius=150, noise=1
        )
        for x, y in ((0, 0), shift)
    ]
    (first, one), (second, other) = drawn
    return np.where(other[..., None], second, first), one | other


COLORS = [(255, 255, 255), (128, 128, 128), (60, 60, 60), (250, 245, 225), (90, 150, 230)]


@pytest.mark.parametrize("color", COLORS)
def test_uniform_surround_of_any_color_is_not_in_the_field(color: tuple[int, int, int]) -> None:
    pixels, field = draw_field(noise=1)
    pixels[~field] = color
    found = find_field_of_view(as_jpeg(pixels))
    assert found.found == "circle"
    assert dice(found.mask, field) > 0.985
    assert found.diameter == pytest.approx(536, rel=0.015)


def test_surround_may_be_noisy_and_in_four_pieces() -> None:
    pixels, field = draw_field(shape=(536, 536), center=(268, 268))
    noise = np.random.default_rng(1).normal(240, 3, pixels.shape)
    pixels = np.where(field[..., None], pixels, noise.clip(0, 255).astype(np.uint8))
    found = find_field_of_view(pixels)
    assert found.found == "circle"
    assert dice(found.mask, field) > 0.985


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("color", [(255, 255, 255), (170, 175, 180)])
def test_light_panel_with_letters_is_not_in_the_field(
    side: str, color: tuple[int, int, int]
) -> None:
    pixels, field = on_canvas(*draw_field(), **{side: 200}, color=color)
    corner = {"left": (0, 0), "right": (0, 565), "top": (0, 0), "bottom": (584, 0)}[side]
    for row in range(20, 180, 25):
        for column in range(20, 170, 12):
            top, left = corner[0] + row, corner[1] + column
            pixels[top : top + 12, left : left + 5] = 20
    found = find_field_of_view(as_jpeg(pixels))
    assert found.found == "circle"
    assert dice(found.mask, field) > 0.985


@pytest.mark.parametrize("width", [3, 12, 70])
def test_white_frame_is_not_in_the_field(width: int) -> None:
    drawn = draw_field(shape=(400, 600), center=(300, 205), radius=277)
    margins = dict.fromkeys(("top", "bottom", "left", "right"), width)
    pixels, field = on_canvas(*drawn, **margins, color=(255, 255, 255))
    found = find_field_of_view(as_jpeg(pixels))
    assert dice(found.mask, field) > 0.985
    assert found.diameter == pytest.approx(554, rel=0.03)


def test_frame_or_panel_beside_the_field_is_not_in_it() -> None:
    pixels, field = on_canvas(*draw_field(), right=300)
    framed, panel = pixels.copy(), pixels.copy()
    framed[20:560, 585:840] = 255
    framed[28:552, 593:832] = 0
    panel[120:430, 600:840] = np.arange(240)[:, None]  # not uniform
    for image in (framed, panel):
        found = find_field_of_view(as_jpeg(image))
        assert found.found == "circle"
        assert dice(found.mask, field) > 0.985


def test_surrounds_within_one_another_are_not_in_the_field() -> None:
    """A grey panel beside a white page on black padding: each is found once the next is gone."""
    margins = dict.fromkeys(("top", "bottom", "left", "right"), 60)
    page = on_canvas(*draw_field(), **margins, color=(255, 255, 255))
    pixels, field = on_canvas(*on_canvas(*page, left=200, color=(140, 140, 140)), **margins)
    found = find_field_of_view(as_jpeg(pixels))
    assert found.found == "circle"
    assert dice(found.mask, field) > 0.985


@pytest.mark.parametrize(
    "margins",
    [
        {"top": 292, "bottom": 292, "left": 282, "right": 282},
        {"top": 584, "left": 565},
        {"top": 584, "bottom": 584, "left": 565, "right": 565},
        {"left": 400, "right": 1300},
    ],
)
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255)])
def test_padding_changes_nothing(margins: dict[str, int], color: tuple[int, int, int]) -> None:
    pixels, field = on_canvas(*draw_field(), **margins, color=color)
    found = find_field_of_view(pixels)
    assert found.found == "circle"
    assert dice(found.mask, field) > 0.99
    assert found.diameter == pytest.approx(536, rel=0.01)
    center = (280 + margins.get("left", 0), 292 + margins.get("top", 0))
    np.testing.assert_allclose(found.center, center, atol=2.5)


@pytest.mark.parametrize("shift", [(100, 0), (0, 180), (150, 120), (320, 0)])
def test_two_fields_are_both_in_the_field_at_the_scale_of_one(shift: tuple[int, int]) -> None:
    pixels, field = two_fields(shift)
    found = find_field_of_view(as_jpeg(pixels))
    assert found.found == "region"
    assert dice(found.mask, field) > 0.98
    assert found.diameter == pytest.approx(300, rel=0.02)
    assert found.extent == pytest.approx(300 + max(shift), abs=8)


def test_montage_on_a_white_page_is_all_in_the_field() -> None:
    top, upper = two_fields((150, 0))
    bottom, lower = two_fields((150, 0))
    pixels, field = np.zeros((480, 480, 3), np.uint8), np.zeros((480, 480), bool)
    for at, part, mask in ((0, top, upper), (150, bottom, lower)):
        pixels[at : at + 330][mask] = part[mask]
        field[at : at + 330] |= mask
    pixels[~field] = 255
    field[225:255, 225:255] = True  # the gap in the middle
    found = find_field_of_view(pixels)
    assert found.found == "region"
    assert dice(found.mask, field) > 0.98
    assert found.mask[240, 240]
    assert found.diameter == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize("stretch", [4 / 3, 16 / 9, 0.7])
def test_stretched_field_is_what_is_lit(stretch: float) -> None:
    drawn, circle = draw_field(shape=(400, 400), center=(200, 200), radius=180, noise=1)
    size = (round(400 * stretch), 400)
    pixels = np.asarray(Image.fromarray(drawn).resize(size))
    field = np.asarray(Image.fromarray(circle).resize(size))
    found = find_field_of_view(pixels)
    assert found.found == "region"
    assert dice(found.mask, field) > 0.98
    assert found.diameter == pytest.approx(360 * min(stretch, 1), rel=0.02)


def test_shading_is_no_border() -> None:
    """Around a bright disc the retina is darker, but it is not the outside of the field."""
    rows, columns = np.ogrid[:512, :512]
    light = 50 + 180 / (1 + np.exp((np.hypot(rows - 250, columns - 270) - 120) / 15))
    pixels = (light[..., None] * np.array([1, 0.6, 0.3])).astype(np.uint8)
    found = find_field_of_view(pixels)
    assert (found.found, found.diameter) == ("whole image", 512)


def test_rectangle_on_a_page_has_the_scale_of_the_whole_image() -> None:
    drawn, _ = draw_field()
    inside = drawn[200:380, 150:400]
    for color in ((0, 0, 0), (255, 255, 255)):
        margins = {"top": 90, "bottom": 30, "left": 60, "right": 200}
        pixels, field = on_canvas(inside, np.ones((180, 250), bool), **margins, color=color)
        found = find_field_of_view(pixels)
        assert found.found == "region"
        assert dice(found.mask, field) > 0.98
        assert found.diameter == pytest.approx(250, abs=4)


def test_given_mask_of_two_fields_has_the_scale_of_one() -> None:
    _, field = two_fields((180, 0))
    given = field_of_view_from_mask(field)
    assert given.mask is field
    assert given.found == "region"
    assert given.diameter == pytest.approx(300, rel=0.02)
    assert given.extent == 481
    np.testing.assert_allclose(given.center, (255, 165), atol=1)


def test_center_and_diameter_of_a_given_mask() -> None:
    _, field = draw_field(center=(200, 330))
    given = field_of_view_from_mask(field)
    assert given.mask is field
    np.testing.assert_allclose(given.center, (200, 330), atol=1)
    assert given.diameter == pytest.approx(536, rel=0.005)


def test_empty_mask_is_refused() -> None:
    with pytest.raises(GeometryError, match="empty"):
        field_of_view_from_mask(np.zeros((5, 5), bool))


def test_field_is_deterministic() -> None:
    pixels, _ = draw_field(noise=20)
    first, second = find_field_of_view(pixels), find_field_of_view(pixels)
    assert first.center == second.center
    assert first.diameter == second.diameter


def dice_scores(images: list[Path], masks: dict[str, Path]) -> list[float]:
    return [
        dice(find_field_of_view(read_image(path).pixels).mask, read_mask(masks[path.stem]))
        for path in images
    ]


def test_field_matches_the_masks_of_drive(real_data: Path) -> None:
    values = []
    for part in ("training", "test"):
        folder = real_data / "DRIVE" / part
        masks = {p.stem.removesuffix("_mask"): p for p in (folder / "mask").iterdir()}
        values += dice_scores(sorted((folder / "images").iterdir()), masks)
    assert len(values) == 40
    assert np.mean(values) >= 0.995
    assert min(values) >= 0.985


def test_field_matches_the_masks_of_hrf(real_data: Path) -> None:
    masks = {p.stem.removesuffix("_mask"): p for p in (real_data / "HRF/mask").iterdir()}
    values = dice_scores(sorted((real_data / "HRF/images").iterdir()), masks)
    assert len(values) == 24
    assert min(values) >= 0.99


@pytest.mark.parametrize(
    ("folder", "diameters"),
    [
        ("CHASEDB1", (890, 930)),
        ("Drishti-GS1_files/Training/Images", (840, 1060)),
        ("DRIONS-DB/images", (540, 560)),
    ],
)
def test_images_of_one_camera_have_one_diameter(
    real_data: Path, folder: str, diameters: tuple[float, float]
) -> None:
    """Datasets without masks of the field: each is of one camera with nearly one diameter."""
    images = [
        path
        for path in sorted((real_data / folder).iterdir())
        if path.suffix in IMAGE_SUFFIXES and "HO" not in path.stem
    ]
    fields = [find_field_of_view(read_image(path).pixels) for path in images]
    assert {field.found for field in fields} == {"circle"}
    assert diameters[0] < min(field.diameter for field in fields)
    assert max(field.diameter for field in fields) < diameters[1]


@pytest.mark.parametrize("width", [1, 2, 6])
@pytest.mark.parametrize("grey", [128, 255])
def test_frame_around_a_cropped_field_is_outside(width: int, grey: int) -> None:
    rows, columns = np.indices((280, 400))
    circle = (rows - 140) ** 2 + (columns - 200) ** 2 < 180**2
    shade = 120 + 40 * np.sin(rows / 31) * np.cos(columns / 23)
    color = np.array([1.4, 0.7, 0.4])
    picture = (np.where(circle, shade, 0)[..., None] * color).astype(np.uint8)
    plain = find_field_of_view(picture)
    framed = np.pad(picture, ((width, width), (width, width), (0, 0)), constant_values=grey)
    field = find_field_of_view(framed)
    assert field.found == plain.found == "circle"
    np.testing.assert_array_equal(field.mask, np.pad(plain.mask, width))

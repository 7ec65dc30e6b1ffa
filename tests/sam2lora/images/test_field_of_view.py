"""Finding the field of view in every kind of fundus image."""

from pathlib import Path

import numpy as np
import pytest

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

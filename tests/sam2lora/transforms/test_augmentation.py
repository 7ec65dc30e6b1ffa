"""Augmentation: image, mask and valid pixels move together, reproducibly."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sam2lora.errors import GeometryError
from sam2lora.settings import AugmentSettings
from sam2lora.transforms.augmentation import (
    Augmentation,
    LabelledWindow,
    apply_augmentation,
    sample_augmentation,
)
from sam2lora.transforms.windows import Window

SIDE = 128
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
INSIDE = Window(30, 30, 64, 64, 64)  # at native scale, with room for every rotation


def asymmetric_image() -> np.ndarray:
    """Draw an image without symmetry, in which neighboring pixels differ."""
    waves = 40 * np.sin(COLUMNS / 5) * np.cos(ROWS / 9)
    pixels = np.stack([90 + COLUMNS / 2 + waves, 60 + ROWS / 2 - waves, 40 + waves + 30], axis=-1)
    return pixels.astype(np.uint8)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    return (COLUMNS - x) ** 2 + (ROWS - y) ** 2 <= radius**2


PIXELS = asymmetric_image()
MASK = disc(55, 70, 17)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def sample(
    count: int, settings: AugmentSettings | None = None, seed: int = 0
) -> list[Augmentation]:
    rng = np.random.default_rng(seed)
    return [sample_augmentation(settings or AugmentSettings(), rng) for _ in range(count)]


def off(**settings: object) -> AugmentSettings:
    return AugmentSettings.off().model_copy(update=settings)


def same(one: LabelledWindow, other: LabelledWindow) -> bool:
    return (
        np.array_equal(one.pixels, other.pixels)
        and np.array_equal(one.mask, other.mask)
        and np.array_equal(one.valid, other.valid)
    )


@pytest.mark.parametrize(
    "window",
    [
        INSIDE,
        Window(10.3, 7.7, 90.1, 90.1, 50),
        Window(-20, 60.5, 100, 100, 160),
        Window(9, 0, 7, 90, 64),
    ],
)
def test_window_is_the_plain_cut_if_all_is_off(window: Window) -> None:
    (augmentation,) = sample(1, AugmentSettings.off())
    assert augmentation == Augmentation(seed=augmentation.seed)
    field = disc(64, 64, 60)
    augmented = apply_augmentation(augmentation, window, PIXELS, MASK, valid=field)
    assert np.array_equal(augmented.pixels, window.cut(PIXELS))
    assert np.array_equal(augmented.mask, window.cut_mask(MASK))
    assert np.array_equal(augmented.valid, window.cut_mask(field))
    assert augmented.pixels.dtype == np.uint8
    assert augmented.mask.dtype == augmented.valid.dtype == bool


def test_whole_image_is_valid_without_a_field_of_view() -> None:
    assert apply_augmentation(Augmentation(), INSIDE, PIXELS, MASK).valid.all()


@pytest.mark.parametrize(
    ("augmentation", "expected"),
    [
        (Augmentation(flip_horizontal=True), np.fliplr),
        (Augmentation(flip_vertical=True), np.flipud),
        (Augmentation(angle=90), np.rot90),
        (Augmentation(angle=-90), lambda image: np.rot90(image, 3)),
        (Augmentation(angle=180), lambda image: np.rot90(image, 2)),
        (Augmentation(flip_horizontal=True, angle=90), lambda image: np.rot90(np.fliplr(image))),
        (Augmentation(flip_vertical=True, angle=90), lambda image: np.rot90(np.flipud(image))),
    ],
)
@pytest.mark.parametrize("size", [64, 65])
def test_flips_and_right_angle_rotations_are_exact(
    augmentation: Augmentation, expected: object, size: int
) -> None:
    window = Window(30, 25, size, size, size)
    plain = apply_augmentation(Augmentation(), window, PIXELS, MASK, valid=disc(50, 50, 40))
    moved = apply_augmentation(augmentation, window, PIXELS, MASK, valid=disc(50, 50, 40))
    assert np.array_equal(moved.pixels, expected(plain.pixels))
    assert np.array_equal(moved.mask, expected(plain.mask))
    assert np.array_equal(moved.valid, expected(plain.valid))


def test_rotation_is_counterclockwise_about_the_middle() -> None:
    mask = disc(61.5 + 20, 61.5, 5)
    window = apply_augmentation(Augmentation(angle=30), INSIDE, PIXELS, mask)
    rows, columns = np.nonzero(window.mask)
    expected = 31.5 + 20 * np.cos(np.pi / 6), 31.5 - 20 * np.sin(np.pi / 6)
    assert (columns.mean(), rows.mean()) == pytest.approx(expected, abs=0.3)


def test_scale_magnifies_the_target() -> None:
    plain = apply_augmentation(Augmentation(), INSIDE, PIXELS, MASK).mask.sum()
    for scale in (0.5, 0.8, 1.2):
        window = apply_augmentation(Augmentation(scale=scale), INSIDE, PIXELS, MASK)
        assert window.mask.sum() == pytest.approx(plain * scale**2, rel=0.03)


def test_image_and_mask_move_together() -> None:
    settings = off(
        flip_horizontal=True, flip_vertical=True, rotation=180, scale=(0.8, 1.2), elastic=0.03
    )
    image = np.where(MASK[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=-1)
    plain = apply_augmentation(Augmentation(), INSIDE, image, MASK)
    for augmentation in sample(40, settings):
        window = apply_augmentation(augmentation, INSIDE, image, MASK, valid=MASK)
        assert overlap(window.pixels[..., 0] >= 128, window.mask) > 0.97
        assert np.array_equal(window.valid, window.mask)
        assert not np.array_equal(window.mask, plain.mask)


def test_thin_vessels_stay_connected_when_rotated() -> None:
    from scipy import ndimage

    vessel = np.abs(COLUMNS - 60 - 6 * np.sin(ROWS / 15)) <= 1
    for augmentation in sample(20, off(rotation=180)):
        window = apply_augmentation(augmentation, INSIDE, PIXELS, vessel)
        assert ndimage.label(window.mask, np.ones((3, 3)))[1] == 1


def test_local_shifts_are_smooth_and_limited() -> None:
    ramp = np.stack([COLUMNS, ROWS, ROWS], axis=-1).astype(np.uint8)
    plain = apply_augmentation(Augmentation(), INSIDE, ramp, MASK).pixels.astype(float)
    for seed in range(10):
        moved = apply_augmentation(Augmentation(elastic=0.05, seed=seed), INSIDE, ramp, MASK)
        shift = np.abs(moved.pixels - plain)
        assert 2.5 <= shift.max() <= 0.05 * 64 + 0.5
        assert np.abs(np.diff(shift, axis=0)).max() <= 2


def test_rotation_brings_in_the_surroundings_of_the_window() -> None:
    bright = np.full((SIDE, SIDE, 3), 200, np.uint8)
    settings = off(flip_horizontal=True, rotation=180, elastic=0.03)
    for augmentation in sample(40, settings):
        window = apply_augmentation(augmentation, INSIDE, bright, MASK)
        assert window.valid.all()
        assert (window.pixels == 200).all()


def test_beyond_the_image_is_black_and_not_valid() -> None:
    bright = np.full((SIDE, SIDE, 3), 200, np.uint8)
    full = np.ones((SIDE, SIDE), bool)
    whole = Window(0, 0, SIDE, SIDE, SIDE)
    window = apply_augmentation(Augmentation(angle=45), whole, bright, full)
    beyond = np.abs(ROWS - 63.5) + np.abs(COLUMNS - 63.5) > 64 * np.sqrt(2) + 2
    within = np.abs(ROWS - 63.5) + np.abs(COLUMNS - 63.5) < 64 * np.sqrt(2) - 2
    assert window.valid[within].all()
    assert not window.valid[beyond].any()
    assert not window.mask[beyond].any()
    assert not window.pixels[beyond].any()


def test_sampled_augmentation_stays_in_its_ranges() -> None:
    settings = AugmentSettings(rotation=10, scale=(0.9, 1.3), elastic=0.02, flip_vertical=False)
    samples = sample(400, settings)
    angles = [one.angle for one in samples]
    assert -10 <= min(angles) < -9
    assert 9 < max(angles) <= 10
    scales = [one.scale for one in samples]
    assert 0.9 <= min(scales) < 0.91
    assert 1.29 < max(scales) <= 1.3
    elastics = [one.elastic for one in samples]
    assert 0 <= min(elastics) < 0.001
    assert 0.019 < max(elastics) <= 0.02
    assert np.mean([one.flip_horizontal for one in samples]) == pytest.approx(0.5, abs=0.08)
    assert not any(one.flip_vertical for one in samples)


def test_switching_off_one_part_does_not_change_the_others() -> None:
    for whole, part in zip(sample(20), sample(20, AugmentSettings(rotation=0)), strict=True):
        assert part.angle == 0
        assert (part.scale, part.appearance, part.seed) == (
            whole.scale,
            whole.appearance,
            whole.seed,
        )


def test_samples_differ_and_one_seed_is_reproducible() -> None:
    windows = [apply_augmentation(one, INSIDE, PIXELS, MASK) for one in sample(12)]
    again = [apply_augmentation(one, INSIDE, PIXELS, MASK) for one in sample(12)]
    assert sample(12) == sample(12)
    assert sample(12) != sample(12, seed=1)
    assert all(map(same, windows, again))
    assert not any(map(same, windows, windows[1:]))


def fingerprint() -> str:
    """Hash some augmented windows; self-contained, since another process runs its source."""
    import hashlib

    import numpy as np

    from sam2lora.settings import AugmentSettings
    from sam2lora.transforms.augmentation import apply_augmentation, sample_augmentation
    from sam2lora.transforms.windows import Window

    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    settings = AugmentSettings(blur_share=1, noise_share=1, jpeg_share=1, clahe_share=0.5)
    rng, digest = np.random.default_rng(5), hashlib.sha256()
    for _ in range(6):
        augmentation, window = sample_augmentation(settings, rng), Window(20, 30, 200, 200, 256)
        augmented = apply_augmentation(augmentation, window, pixels, pixels[..., 0] > 99)
        for array in (augmented.pixels, augmented.mask, augmented.valid):
            digest.update(array.tobytes())
    return digest.hexdigest()


def test_result_does_not_depend_on_process_and_threads() -> None:
    threads = torch.get_num_threads() + 1
    program = f"import torch; torch.set_num_threads({threads})\n{inspect.getsource(fingerprint)}"
    other = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint(fingerprint())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == fingerprint()


def test_inputs_are_not_modified() -> None:
    pixels, mask, valid = PIXELS.copy(), MASK.copy(), disc(64, 64, 60)
    for array in (pixels, mask, valid):
        array.flags.writeable = False
    for augmentation in sample(10):
        apply_augmentation(augmentation, INSIDE, pixels, mask, valid=valid)
        apply_augmentation(augmentation, Window(0, 0, SIDE, SIDE, SIDE), pixels, mask, valid=valid)


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"\(128, 128\), the mask \(128, 127\)"):
        apply_augmentation(Augmentation(), INSIDE, PIXELS, MASK[:, 1:])
    with pytest.raises(GeometryError, match="same"):
        apply_augmentation(Augmentation(), INSIDE, PIXELS, MASK, valid=MASK[1:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (1.2, 0.8)}, "smallest and the largest"),
        ({"scale": (0, 1)}, "smallest and the largest"),
        ({"rotation": 200}, "less than or equal to 180"),
        ({"elastic": float("inf")}, "finite"),
        ({"shear": 3}, "Extra inputs"),
    ],
)
def test_invalid_augmentation_settings_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentSettings.model_validate(settings)


def test_vessels_stay_darker_than_their_surroundings(real_data: object) -> None:
    """Sampled augmentations keep the contrast of vessels in the green channel."""
    from scipy import ndimage

    from sam2lora.images.field_of_view import find_field_of_view
    from sam2lora.images.reading import read_image, read_mask
    from sam2lora.transforms.windows import full_window

    folder = real_data / "DRIVE" / "training"
    pixels = read_image(folder / "images" / "21_training.tif").pixels
    mask = read_mask(folder / "1st_manual" / "21_manual1.gif")
    field = find_field_of_view(pixels)
    for augmentation in sample(24):
        window = apply_augmentation(
            augmentation, full_window(field, 256), pixels, mask, valid=field.mask
        )
        inside = ndimage.binary_erosion(window.valid, iterations=5)
        green = window.pixels[..., 1].astype(float)
        around = ndimage.binary_dilation(window.mask, iterations=4) & ~ndimage.binary_dilation(
            window.mask, iterations=2
        )
        contrast = green[around & inside].mean() - green[window.mask & inside].mean()
        assert contrast > 4
        assert np.mean(green[inside] == 255) < 0.05
        beyond = ~ndimage.binary_dilation(window.valid, iterations=6)
        # The camera's notch at the rim is as bright as the eye.
        assert np.mean(window.pixels[beyond] > 40) < 0.02

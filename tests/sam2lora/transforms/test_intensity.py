"""Light, color and quality: the effect of each change, and dark background stays dark."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sam2lora.settings import AugmentSettings
from sam2lora.transforms.intensity import (
    Appearance,
    Spot,
    change_appearance,
    restyle,
    sample_appearance,
)

SIDE = 96
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
FIELD = torch.from_numpy((COLUMNS - 48) ** 2 + (ROWS - 48) ** 2 <= 40**2)
NONE = Appearance()
PARTS = {
    "gains": replace(NONE, gains=(1.2, 0.9, 0.8)),
    "tilt": replace(NONE, tilt=(0.3, -0.1)),
    "vignette": replace(NONE, vignette=0.3),
    "contrast": replace(NONE, contrast=1.3),
    "saturation": replace(NONE, saturation=0.7),
    "gamma": replace(NONE, gamma=1.3),
    "blur": replace(NONE, blur=1.5),
    "noise": replace(NONE, noise=0.05),
    "clahe": replace(NONE, clahe=True),
    "jpeg": replace(NONE, jpeg=40),
    "glare": replace(NONE, glare=(Spot(0.1, -0.2, 0.3, (0.6, 0.5, 0.3)),)),
}
ALL = Appearance(
    (1.2, 1.1, 1.3), (0.2, 0.1), 0.2, 0.8, 1.2, 0.8, blur=1.5, noise=0.05, clahe=True, jpeg=40
)


def retina(*, background: float = 0.0) -> Tensor:
    """Draw a round, orange field with texture on a dark background, `(3, S, S)`."""
    light = 0.7 + 0.15 * np.sin(COLUMNS / 4) * np.sin(ROWS / 7)
    colors = torch.tensor([1.0, 0.55, 0.3]).view(3, 1, 1) * torch.from_numpy(light).float()
    return torch.where(FIELD, colors, torch.tensor(background))


def changed(image: Tensor, appearance: Appearance, *, seed: int = 0) -> Tensor:
    before = image.clone()
    result = change_appearance(image, FIELD, appearance, torch.Generator().manual_seed(seed))
    assert torch.equal(image, before)
    assert result.dtype == torch.uint8
    assert result.shape == image.shape
    return result


def plain(image: Tensor) -> Tensor:
    return (image * 255).round().to(torch.uint8)


def mean(image: Tensor, *, where: Tensor = FIELD) -> Tensor:
    return image.float()[:, where].mean(dim=1)


def test_nothing_is_changed_by_default() -> None:
    image = retina(background=0.03)
    assert torch.equal(changed(image, NONE), plain(image))


@pytest.mark.parametrize("part", PARTS)
def test_every_change_affects_the_field_of_view(part: str) -> None:
    image = retina()
    difference = (changed(image, PARTS[part]).int() - plain(image).int()).abs()
    assert difference[:, FIELD].float().mean() > 0.5


@pytest.mark.parametrize("part", [*PARTS, "all"])
def test_dark_background_stays_dark(part: str) -> None:
    appearance = ALL if part == "all" else PARTS[part]
    black = changed(retina(), appearance)
    assert not black[:, ~FIELD].any()
    # Cameras leave some light there; blur and JPEG add more from the rim.
    gray = changed(retina(background=0.03), appearance)
    rim = torch.from_numpy((COLUMNS - 48) ** 2 + (ROWS - 48) ** 2 <= 54**2)
    assert gray[:, ~rim].max() <= 40
    assert gray[:, rim & ~FIELD].max() <= 80


def test_bright_pixels_outside_the_field_change_with_it() -> None:
    # A field of view that is too small must not leave a ring of the old colors.
    image = torch.full((3, SIDE, SIDE), 0.5)
    result = changed(image, replace(NONE, gains=(0.6, 0.6, 0.6)))
    assert (result == plain(torch.tensor(0.3))).all()


def test_gains_multiply_the_channels() -> None:
    image = retina()
    result = mean(changed(image, replace(NONE, gains=(0.9, 0.8, 0.5)))) / mean(plain(image))
    assert result.tolist() == pytest.approx([0.9, 0.8, 0.5], abs=0.02)


def test_more_light_does_not_saturate_highlights() -> None:
    ramp = torch.linspace(0, 1, SIDE).expand(3, SIDE, SIDE)
    result = changed(ramp, replace(NONE, gains=(1.5, 1.5, 1.5)))[0, 48].int()
    before = plain(ramp)[0, 48].int()
    assert result[10] / before[10] == pytest.approx(1.5 / 1.05, rel=0.03)
    assert result[-1] == 255
    assert (result[1:] > result[:-1]).all()
    assert (result >= before).all()


def test_tilt_and_vignette_change_the_right_sides() -> None:
    image = torch.full((3, SIDE, SIDE), 0.5)
    sides = changed(image, replace(NONE, tilt=(0.3, 0.0)))[0].float()
    assert sides[:, 0].mean() == pytest.approx(127.5 * np.exp(-0.3), rel=0.02)
    assert sides[:, -1].mean() > 140
    assert torch.equal(sides[0], sides[-1])
    lower = changed(image, replace(NONE, tilt=(0.0, -0.3)))[0].float()
    assert torch.equal(lower, sides.flip(1).T)
    rim = changed(image, replace(NONE, vignette=0.3))[0].float()
    assert rim[0, 0] == pytest.approx(127.5 * np.exp(-0.4), rel=0.02)
    assert rim[48, 48] > 135
    assert rim.mean() == pytest.approx(127.5, rel=0.05)


def test_contrast_keeps_the_mean_of_each_channel() -> None:
    image = retina()
    result = changed(image, replace(NONE, contrast=1.3))
    assert mean(result).tolist() == pytest.approx(mean(plain(image)).tolist(), abs=1)
    spread = result[1][FIELD].float().std() / plain(image)[1][FIELD].float().std()
    assert spread == pytest.approx(1.3, rel=0.02)


def test_gamma_darkens_above_one() -> None:
    image = torch.full((3, SIDE, SIDE), 0.5)
    assert (changed(image, replace(NONE, gamma=2.0)) == 64).all()


def test_spot_of_glare_is_brightest_in_its_center_and_has_its_color() -> None:
    image = torch.full((3, SIDE, SIDE), 0.2)
    added = changed(image, replace(NONE, glare=(Spot(0.5, -0.5, 0.2, (0.6, 0.4, 0.2)),))).int() - 51
    row, column = divmod(int(added[0].argmax()), SIDE)
    assert (column, row) == pytest.approx((71, 24), abs=1)  # to the right of the middle, above it
    assert added[:, row, column].tolist() == pytest.approx([153, 102, 51], abs=1)
    assert added[0, row, column - 10] == pytest.approx(153 * np.exp(-0.55), abs=6)  # 0.21 away
    assert not added[:, -20:].any()


def test_glare_does_not_exceed_white() -> None:
    image = torch.full((3, SIDE, SIDE), 0.7)
    assert changed(image, replace(NONE, glare=(Spot(0, 0, 2.0, (1.0, 1.0, 1.0)),))).min() == 255


def test_noise_comes_from_the_generator_and_grows_with_light() -> None:
    image = torch.cat([torch.full((3, 48, SIDE), 0.16), torch.full((3, 48, SIDE), 0.64)], dim=1)
    noisy = replace(NONE, noise=0.05)
    once = changed(image, noisy, seed=1)
    assert torch.equal(once, changed(image, noisy, seed=1))
    assert not torch.equal(once, changed(image, noisy, seed=2))
    dark, light = once[:, :48].float().std(), once[:, 48:].float().std()
    assert light == pytest.approx(0.05 * 0.8 * 255, rel=0.05)
    assert light / dark == pytest.approx(2, rel=0.05)


def test_empty_field_of_view_is_accepted() -> None:
    image = torch.zeros(3, SIDE, SIDE)
    nowhere = torch.zeros_like(FIELD)
    result = change_appearance(image, nowhere, ALL, torch.Generator().manual_seed(0))
    assert not result.any()


def test_sampled_appearance_stays_in_its_ranges() -> None:
    settings = AugmentSettings(
        brightness=0,
        white_balance=0.1,
        contrast=0.5,
        noise=0.04,
        blur=2,
        jpeg=60,
        illumination=0.2,
        glare_share=0.25,
    )
    rng = np.random.default_rng(0)
    samples = [sample_appearance(settings, rng) for _ in range(600)]
    for number, most in enumerate((1.1, 1.1, 1.21)):
        gains = [sample.gains[number] for sample in samples]
        assert 1 / most <= min(gains) < 1.01 / most
        assert most * 0.99 < max(gains) <= most
    contrasts = [sample.contrast for sample in samples]
    assert 1 / 1.5 <= min(contrasts) < 0.68
    assert 1.48 < max(contrasts) <= 1.5
    assert 0.19 < max(np.hypot(*sample.tilt) for sample in samples) <= 0.2
    assert 0.19 < max(sample.vignette for sample in samples) <= 0.2
    assert 0.035 < max(sample.noise for sample in samples) <= 0.04
    assert 1.9 < max(sample.blur for sample in samples) <= 2
    qualities = [sample.jpeg for sample in samples if sample.jpeg is not None]
    assert (min(qualities), max(qualities)) == (60, 95)
    shares = (
        np.mean([sample.blur > 0 for sample in samples]),
        np.mean([sample.noise > 0 for sample in samples]),
        len(qualities) / len(samples),
        np.mean([sample.clahe for sample in samples]),
        np.mean([sample.glare != () for sample in samples]),
    )
    assert shares == pytest.approx((0.2, 0.3, 0.3, 0.05, 0.25), abs=0.06)
    assert {len(sample.glare) for sample in samples} == {0, 1, 2, 3}


def test_sampled_appearance_is_neutral_if_all_is_off() -> None:
    rng = np.random.default_rng(0)
    assert all(sample_appearance(AugmentSettings.off(), rng) == NONE for _ in range(20))


def test_added_color_leaves_dark_background_and_stays_in_range() -> None:
    image, change = retina(), torch.full((3, SIDE, SIDE), 0.6)
    restyled = restyle(image, FIELD, change)
    assert torch.equal(restyled[:, ~FIELD], image[:, ~FIELD])
    assert torch.equal(restyled[:, FIELD], (image + change).clamp(0, 1)[:, FIELD])

"""Light, color and quality: each part does what it says, and dark background stays dark."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sam2lora.settings import AugmentSettings
from sam2lora.transforms.intensity import Appearance, change_appearance, sample_appearance

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
}
ALL = Appearance(
    (1.2, 1.1, 1.3), (0.2, 0.1), 0.2, 0.8, 1.2, 0.8, blur=1.5, noise=0.05, clahe=True, jpeg=40
)


def retina(*, background: float = 0.0) -> Tensor:
    """Draw `(3, S, S)` with vessels, round and orange, in front of a dark background."""
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
def test_every_part_changes_the_field(part: str) -> None:
    image = retina()
    difference = (changed(image, PARTS[part]).int() - plain(image).int()).abs()
    assert difference[:, FIELD].float().mean() > 0.5


@pytest.mark.parametrize("part", [*PARTS, "all"])
def test_dark_background_stays_dark(part: str) -> None:
    appearance = ALL if part == "all" else PARTS[part]
    black = changed(retina(), appearance)
    assert not black[:, ~FIELD].any()
    # Cameras leave a little light there; blur and JPEG bring some more from the rim.
    gray = changed(retina(background=0.03), appearance)
    beside = torch.from_numpy((COLUMNS - 48) ** 2 + (ROWS - 48) ** 2 <= 54**2)
    assert gray[:, ~beside].max() <= 40
    assert gray[:, beside & ~FIELD].max() <= 80


def test_what_is_bright_beyond_the_field_changes_with_it() -> None:
    # A field of view found too small must not leave a ring of the old colors.
    image = torch.full((3, SIDE, SIDE), 0.5)
    result = changed(image, replace(NONE, gains=(0.6, 0.6, 0.6)))
    assert (result == plain(torch.tensor(0.3))).all()


def test_gains_are_factors_of_the_channels() -> None:
    image = retina()
    result = mean(changed(image, replace(NONE, gains=(0.9, 0.8, 0.5)))) / mean(plain(image))
    assert result.tolist() == pytest.approx([0.9, 0.8, 0.5], abs=0.02)


def test_more_light_brightens_the_dark_and_cuts_nothing_off() -> None:
    ramp = torch.linspace(0, 1, SIDE).expand(3, SIDE, SIDE)
    result = changed(ramp, replace(NONE, gains=(1.5, 1.5, 1.5)))[0, 48].int()
    before = plain(ramp)[0, 48].int()
    assert result[10] / before[10] == pytest.approx(1.5 / 1.05, rel=0.03)
    assert result[-1] == 255
    assert (result[1:] > result[:-1]).all()
    assert (result >= before).all()


def test_light_falls_where_it_should() -> None:
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


def test_noise_is_drawn_from_the_generator_and_grows_with_light() -> None:
    image = torch.cat([torch.full((3, 48, SIDE), 0.16), torch.full((3, 48, SIDE), 0.64)], dim=1)
    noisy = replace(NONE, noise=0.05)
    once = changed(image, noisy, seed=1)
    assert torch.equal(once, changed(image, noisy, seed=1))
    assert not torch.equal(once, changed(image, noisy, seed=2))
    dark, light = once[:, :48].float().std(), once[:, 48:].float().std()
    assert light == pytest.approx(0.05 * 0.8 * 255, rel=0.05)
    assert light / dark == pytest.approx(2, rel=0.05)


def test_an_empty_field_is_no_reason_to_stop() -> None:
    image = torch.zeros(3, SIDE, SIDE)
    nowhere = torch.zeros_like(FIELD)
    result = change_appearance(image, nowhere, ALL, torch.Generator().manual_seed(0))
    assert not result.any()


def test_draws_keep_to_their_ranges() -> None:
    settings = AugmentSettings(
        brightness=0, white_balance=0.1, contrast=0.5, noise=0.04, blur=2, jpeg=60, illumination=0.2
    )
    rng = np.random.default_rng(0)
    some = [sample_appearance(settings, rng) for _ in range(600)]
    for number, most in enumerate((1.1, 1.1, 1.21)):
        gains = [one.gains[number] for one in some]
        assert 1 / most <= min(gains) < 1.01 / most
        assert most * 0.99 < max(gains) <= most
    contrasts = [one.contrast for one in some]
    assert 1 / 1.5 <= min(contrasts) < 0.68
    assert 1.48 < max(contrasts) <= 1.5
    assert 0.19 < max(np.hypot(*one.tilt) for one in some) <= 0.2
    assert 0.19 < max(one.vignette for one in some) <= 0.2
    assert 0.035 < max(one.noise for one in some) <= 0.04
    assert 1.9 < max(one.blur for one in some) <= 2
    qualities = [one.jpeg for one in some if one.jpeg is not None]
    assert (min(qualities), max(qualities)) == (60, 95)
    shares = (
        np.mean([one.blur > 0 for one in some]),
        np.mean([one.noise > 0 for one in some]),
        len(qualities) / len(some),
        np.mean([one.clahe for one in some]),
    )
    assert shares == pytest.approx((0.2, 0.3, 0.3, 0.05), abs=0.06)


def test_nothing_is_drawn_when_all_is_off() -> None:
    rng = np.random.default_rng(0)
    assert all(sample_appearance(AugmentSettings.off(), rng) == NONE for _ in range(20))

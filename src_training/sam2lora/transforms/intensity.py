"""Augment light, color and quality of a training image as cameras and file formats vary."""

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torchvision.transforms.v2.functional as vision
from PIL import Image
from torch import Tensor

from sam2lora.images.views import clahe_view
from sam2lora.settings import AugmentSettings

_DARK = 0.1
"""Outside the field of view, pixels darker than this (in 0…1) are background and stay dark."""


_MOST_SPOTS = 3
_SPOT = (0.04, 0.4)
"""Smallest and largest standard deviation of a spot of glare, in halves of the window's side."""


@dataclass(frozen=True)
class Spot:
    """A round spot of light that a reflection adds to an image.

    Attributes
    ----------
    x, y
        Its center; -1 and 1 are the sides of the window.
    size
        Standard deviation of the Gaussian profile, in the same unit.
    light
        Red, green and blue in its center, in 0…1 and above.
    """

    x: float
    y: float
    size: float
    light: tuple[float, float, float]


@dataclass(frozen=True)
class Appearance:
    """Changes of light, color and quality; by default none.

    Attributes
    ----------
    gains
        Factors of red, green and blue, exposure included. Above 1, highlights change less.
    tilt
        Increase of brightness from the middle to the right and to the lower edge, as an exponent.
    vignette
        Decrease of brightness towards the corners, as an exponent.
    glare
        Spots of light.
    contrast, saturation
        Factors; contrast is relative to each channel's mean.
    gamma
        Exponent; values above 1 darken.
    blur
        Standard deviation in pixels.
    noise
        Standard deviation at full brightness (1).
    clahe
        Whether to enhance the local contrast (CLAHE).
    jpeg
        JPEG quality, or None for no compression.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tilt: tuple[float, float] = (0.0, 0.0)
    vignette: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    gamma: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    clahe: bool = False
    jpeg: int | None = None
    glare: tuple[Spot, ...] = ()


def sample_appearance(settings: AugmentSettings, rng: np.random.Generator) -> Appearance:
    """Sample changes of light, color and quality.

    The same random numbers are drawn whatever is switched off.
    """
    exposure = _factor(settings.brightness, rng)
    # Mean red / green is 2.0 to 3.3 over five public datasets, blue / green 0.2 to 0.6.
    red, green, blue = (_factor(settings.white_balance, rng) for _ in range(3))
    direction, strength = rng.uniform(0, 2 * math.pi), rng.random() * settings.illumination
    vignette = float(rng.random()) * settings.illumination
    contrast, saturation, gamma = (
        _factor(change, rng) for change in (settings.contrast, settings.saturation, settings.gamma)
    )
    blur, noise = float(rng.random()) * settings.blur, float(rng.random()) * settings.noise
    quality = int(rng.integers(settings.jpeg, 95, endpoint=True))
    blurred, noisy, enhanced, compressed = rng.random(4) < (
        settings.blur_share,
        settings.noise_share,
        settings.clahe_share,
        settings.jpeg_share,
    )
    spots = tuple(_sample_spot(rng) for _ in range(_MOST_SPOTS))[: rng.integers(_MOST_SPOTS) + 1]
    reflecting = rng.random() < settings.glare_share
    return Appearance(
        gains=(exposure * red, exposure * green, exposure * blue**2),
        tilt=(strength * math.cos(direction), strength * math.sin(direction)),
        vignette=vignette,
        contrast=contrast,
        saturation=saturation,
        gamma=gamma,
        blur=blur if blurred else 0.0,
        noise=noise if noisy else 0.0,
        clahe=bool(enhanced),
        jpeg=quality if compressed else None,
        glare=spots if reflecting else (),
    )


def _sample_spot(rng: np.random.Generator) -> Spot:
    x, y = rng.uniform(-1, 1, 2)
    size, strength = math.exp(rng.uniform(*np.log(_SPOT))), rng.uniform(0.3, 1.2)
    light = (strength, strength * rng.uniform(0.7, 1), strength * rng.uniform(0.3, 1))
    return Spot(float(x), float(y), size, light)


def change_appearance(
    image: Tensor, valid: Tensor, appearance: Appearance, generator: torch.Generator
) -> Tensor:
    """Change light, color and quality in the order of a camera; dark background stays dark.

    Parameters
    ----------
    image
        `(3, S, S)` float32 in 0…1.
    valid
        `(S, S)` bool: the field of view.
    appearance
        The changes to apply.
    generator
        Source of the noise.

    Returns
    -------
    `(3, S, S)` uint8.
    """
    if appearance == Appearance():
        return _to_bytes(image)
    light = _light(appearance, image.shape[-1])
    # More light brightens dark parts by its factor, highlights less, so that nothing saturates.
    lit = image * light / (1 + (light - 1).clamp_(min=0) * image)
    if appearance.glare:
        spots = [_spot_light(spot, image.shape[-1]) for spot in appearance.glare]
        lit = sum(spots, lit).clamp(0, 1)
    if appearance.contrast != 1:
        mean = (lit * valid).sum(dim=(1, 2), keepdim=True) / valid.sum().clamp(min=1)
        lit = ((lit - mean) * appearance.contrast + mean).clamp_(0, 1)
    lit = vision.adjust_saturation(lit, appearance.saturation)
    lit = vision.adjust_gamma(lit, appearance.gamma)
    if appearance.blur > 0:
        side = 2 * math.ceil(3 * appearance.blur) + 1
        lit = vision.gaussian_blur(lit, [side, side], [appearance.blur, appearance.blur])
    if appearance.noise > 0:
        # Shot noise: the variance is proportional to the signal.
        noise = torch.randn(lit.shape, generator=generator)
        lit = lit + noise * appearance.noise * lit.sqrt()
    captured = _to_bytes(lit)
    if appearance.clahe:
        captured = torch.from_numpy(clahe_view(captured.movedim(0, -1).numpy())).movedim(-1, 0)
    if appearance.jpeg is not None:
        captured = _compressed(captured, appearance.jpeg)
    share = _share_of_foreground(image, valid)
    return torch.where(share < 1, _to_bytes(torch.lerp(image, captured / 255, share)), captured)


def restyle(image: Tensor, valid: Tensor, change: Tensor) -> Tensor:
    """Add a change of color to an image; dark background stays dark.

    Parameters
    ----------
    image, change
        `(3, S, S)` float32, the image in 0…1.
    valid
        `(S, S)` bool: the field of view.

    Returns
    -------
    `(3, S, S)` float32 in 0…1.
    """
    return (image + change * _share_of_foreground(image, valid)).clamp_(0, 1)


def _share_of_foreground(image: Tensor, valid: Tensor) -> Tensor:
    """Return how far each pixel outside the field of view is not background, `(S, S)` in 0…1."""
    return (image.amax(dim=0) / _DARK).clamp_(0, 1).masked_fill_(valid, 1)


def _light(appearance: Appearance, size: int) -> Tensor:
    """Return the factor of each channel and pixel: `(3, S, S)`."""
    position = torch.linspace(-1, 1, size)
    right, down = appearance.tilt
    # The middle gains what the corners lose, so that the mean brightness stays.
    columns = right * position - appearance.vignette * (position**2 - 1 / 3)
    rows = down * position - appearance.vignette * (position**2 - 1 / 3)
    gains = torch.tensor(appearance.gains).view(3, 1, 1)
    return gains * rows.exp().view(1, -1, 1) * columns.exp().view(1, 1, -1)


def _spot_light(spot: Spot, size: int) -> Tensor:
    """Return what a spot adds to each channel and pixel: `(3, S, S)`."""
    position = torch.linspace(-1, 1, size)
    columns = torch.exp(-((position - spot.x) ** 2) / (2 * spot.size**2))
    rows = torch.exp(-((position - spot.y) ** 2) / (2 * spot.size**2))
    return torch.tensor(spot.light).view(3, 1, 1) * rows.view(1, -1, 1) * columns.view(1, 1, -1)


def _compressed(image: Tensor, quality: int) -> Tensor:
    # With Pillow: torchvision's JPEG functions are to be removed.
    file = io.BytesIO()
    Image.fromarray(image.movedim(0, -1).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).movedim(-1, 0)


def _factor(change: float, rng: np.random.Generator) -> float:
    """Sample a factor between 1 / (1 + change) and 1 + change, log-uniformly."""
    return float((1 + change) ** rng.uniform(-1, 1))


def _to_bytes(image: Tensor) -> Tensor:
    return (image * 255).round_().clamp_(0, 255).to(torch.uint8)

"""Vary light, color and quality of a training image as cameras and file formats do."""

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
"""Beyond the field of view, pixels darker than this (of 1) are background, and stay as dark."""


@dataclass(frozen=True)
class Appearance:
    """What is done to light, color and quality; by default nothing.

    Attributes
    ----------
    gains
        Factors of red, green and blue; the exposure is in all three. Above 1, highlights follow
        less.
    tilt
        Growth of brightness from the middle to the right and to the lower edge, as an exponent.
    vignette
        Fall of brightness towards the corners, as an exponent.
    contrast, saturation
        Factors; contrast is about each channel's mean.
    gamma
        Exponent; above 1 darkens.
    blur
        Standard deviation in pixels.
    noise
        Standard deviation at full brightness (1).
    clahe
        Whether local contrast is enhanced.
    jpeg
        Quality to compress with, or None.
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


def sample_appearance(settings: AugmentSettings, rng: np.random.Generator) -> Appearance:
    """Draw what is done to light, color and quality; as many numbers whatever is switched off."""
    exposure = _factor(settings.brightness, rng)
    # Mean red / green is 2.0 to 3.3 over five public data sets, blue / green 0.2 to 0.6.
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
    )


def change_appearance(
    image: Tensor, valid: Tensor, appearance: Appearance, generator: torch.Generator
) -> Tensor:
    """Change light, color and quality in the order a camera does; dark background stays dark.

    Parameters
    ----------
    image
        `(3, S, S)` float32 in 0…1.
    valid
        `(S, S)` bool: the field of view.
    appearance
        What to do.
    generator
        What noise is drawn from.

    Returns
    -------
    `(3, S, S)` uint8.
    """
    if appearance == Appearance():
        return _to_bytes(image)
    light = _light(appearance, image.shape[-1])
    # More light brightens the dark parts by its factor, and highlights less: none is cut off.
    lit = image * light / (1 + (light - 1).clamp_(min=0) * image)
    if appearance.contrast != 1:
        mean = (lit * valid).sum(dim=(1, 2), keepdim=True) / valid.sum().clamp(min=1)
        lit = ((lit - mean) * appearance.contrast + mean).clamp_(0, 1)
    lit = vision.adjust_saturation(lit, appearance.saturation)
    lit = vision.adjust_gamma(lit, appearance.gamma)
    if appearance.blur > 0:
        side = 2 * math.ceil(3 * appearance.blur) + 1
        lit = vision.gaussian_blur(lit, [side, side], [appearance.blur, appearance.blur])
    if appearance.noise > 0:
        # Photons arrive by chance: their variance is their number.
        drawn = torch.randn(lit.shape, generator=generator)
        lit = lit + drawn * appearance.noise * lit.sqrt()
    taken = _to_bytes(lit)
    if appearance.clahe:
        taken = torch.from_numpy(clahe_view(taken.movedim(0, -1).numpy())).movedim(-1, 0)
    if appearance.jpeg is not None:
        taken = _compressed(taken, appearance.jpeg)
    # Of a pixel beyond the field of view, the share that is no background.
    share = (image.amax(dim=0) / _DARK).clamp_(0, 1).masked_fill_(valid, 1)
    return torch.where(share < 1, _to_bytes(torch.lerp(image, taken / 255, share)), taken)


def _light(appearance: Appearance, size: int) -> Tensor:
    """Give the factor of each pixel and channel: `(3, S, S)`."""
    place = torch.linspace(-1, 1, size)
    right, down = appearance.tilt
    # The middle gains what the corners lose, so that the whole is as bright as before.
    columns = right * place - appearance.vignette * (place**2 - 1 / 3)
    rows = down * place - appearance.vignette * (place**2 - 1 / 3)
    gains = torch.tensor(appearance.gains).view(3, 1, 1)
    return gains * rows.exp().view(1, -1, 1) * columns.exp().view(1, 1, -1)


def _compressed(image: Tensor, quality: int) -> Tensor:
    # By Pillow: torchvision's own is to be removed.
    file = io.BytesIO()
    Image.fromarray(image.movedim(0, -1).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).movedim(-1, 0)


def _factor(change: float, rng: np.random.Generator) -> float:
    """Draw a factor between 1 / (1 + change) and 1 + change, either side as likely."""
    return float((1 + change) ** rng.uniform(-1, 1))


def _to_bytes(image: Tensor) -> Tensor:
    return (image * 255).round_().clamp_(0, 255).to(torch.uint8)

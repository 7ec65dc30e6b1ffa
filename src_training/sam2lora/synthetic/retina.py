"""The retina without its vessels: color, texture, choroid, macula and nerve fibers."""

import numpy as np

from sam2lora.synthetic.camera import Camera
from sam2lora.synthetic.primitives import Color, Plane, smooth_noise
from sam2lora.synthetic.settings import Look

# Grain in mm and its strength in red, green and blue.
GRAINS = (
    (5.0, (0.03, 0.05, 0.05)),
    (2.0, (0.02, 0.045, 0.04)),
    (0.8, (0.015, 0.035, 0.03)),
    (0.3, (0.010, 0.022, 0.02)),
    (0.12, (0.008, 0.016, 0.018)),
    (0.05, (0.006, 0.012, 0.014)),
    (0.02, (0.004, 0.008, 0.010)),
)


def base_color(rng: np.random.Generator, look: Look) -> Color:
    """Sample the color of the fundus, `(3,)` in grey levels, between brown-yellow and red."""
    red = 190 * look.brightness * rng.uniform(0.95, 1.05)
    green = red * (0.55 - 0.24 * look.redness) * rng.uniform(0.92, 1.08)
    blue = green * (0.56 - 0.18 * look.redness) * rng.uniform(0.6, 1.2)
    return np.asarray([red, green, blue], dtype=np.float32)


def paint_background(rng: np.random.Generator, camera: Camera, look: Look, base: Color) -> Plane:
    """Paint the texture of the fundus and the choroid behind it, `(3, H, W)` float32."""
    image = np.ones((3, *camera.shape), dtype=np.float32)
    for grain, strength in GRAINS:
        if grain * camera.scale < 1.5:
            continue
        noise = smooth_noise(rng, camera.shape, grain * camera.scale)
        for plane, share in zip(image, strength, strict=True):
            plane += np.float32(share) * noise
    tint = smooth_noise(rng, camera.shape, 1.3 * camera.scale)
    for plane, share in zip(image, (0.02, -0.03, -0.02), strict=True):
        plane += np.float32(share) * tint
    stripes = _choroid(rng, camera)
    for plane, share in zip(image, (0.10, 0.26, 0.16), strict=True):
        plane += np.float32(share * look.choroid) * stripes
    return image * base[:, None, None]


def _choroid(rng: np.random.Generator, camera: Camera) -> Plane:
    """Sample the bright gaps between the choroid's vessels, visible in patches."""
    wide = np.abs(smooth_noise(rng, camera.shape, 0.9 * camera.scale))
    fine = np.abs(smooth_noise(rng, camera.shape, 0.5 * camera.scale))
    gaps = np.minimum(wide, 1.2) + 0.5 * np.minimum(fine, 1.2) - np.float32(0.85)
    patches = np.clip(0.5 + 0.6 * smooth_noise(rng, camera.shape, 4.0 * camera.scale), 0, 1.3)
    stripes: Plane = gaps * patches
    return stripes


def shade_macula(
    rng: np.random.Generator, image: Plane, camera: Camera, fovea: tuple[float, float]
) -> None:
    """Darken the macula and its fovea, in place."""
    x, y = camera.retina(camera.whole_image)
    x -= np.float32(fovea[0])
    y = (y - np.float32(fovea[1])) * np.float32(rng.uniform(1.0, 1.2))
    square = x * x + y * y
    wide = _bell(square, float(rng.uniform(1.0, 1.7)))
    core = _bell(square, float(rng.uniform(0.3, 0.5)))
    strength = float(rng.uniform(0.6, 1.3))
    for plane, (of_wide, of_core) in zip(
        image, ((0.18, 0.07), (0.36, 0.10), (0.28, 0.05)), strict=True
    ):
        plane *= 1 - np.float32(strength) * (
            np.float32(of_wide) * wide + np.float32(of_core) * core
        )
    reflex = max(float(rng.uniform(-0.25, 0.15)), 0.0)
    image *= 1 + np.float32(reflex) * _bell(square, 0.08)


def brighten_nerve_fibers(rng: np.random.Generator, image: Plane, camera: Camera) -> None:
    """Brighten the thick nerve fiber layer around the disc, most above and below, in place."""
    window = camera.window((0.0, 0.0), 5.5)
    x, y = camera.retina(window)
    square = x * x + y * y
    glow = _bell(square, 2.2) * (0.4 + 0.6 * y * y / np.maximum(square, np.float32(1e-3)))
    sheen = np.float32(rng.uniform(0.05, 0.45))
    glow *= np.maximum(1 + sheen * _streaks(rng, x, y), 0)
    strength = rng.uniform(0.05, 0.28)
    for plane, share in zip(image[:, window[0], window[1]], (0.35, 1.0, 0.9), strict=True):
        plane *= 1 + np.float32(share * strength) * glow


def _streaks(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Sample fine streaks that run away from the disc, `(h, w)`, mean 0 and variance near 1."""
    rays, rings = 400, 12
    table = smooth_noise(rng, (rays, rings), 2.0)
    turn = (np.arctan2(y, x).astype(np.float64) / (2 * np.pi) + 0.5) * rays
    ring = np.minimum(np.sqrt(x * x + y * y) * np.float32(1.5), rings - 2)
    ray = turn.astype(np.intp)
    between = (turn - ray).astype(np.float32)
    inner = ring.astype(np.intp)
    outwards = ring - inner
    near = table[ray % rays, inner] * (1 - between) + table[(ray + 1) % rays, inner] * between
    far = (
        table[ray % rays, inner + 1] * (1 - between) + table[(ray + 1) % rays, inner + 1] * between
    )
    streaks: Plane = near + outwards * (far - near)
    return streaks


def _bell(square: Plane, radius: float) -> Plane:
    """Return a bell-shaped falloff of squared distances: 1 at 0, 1/4 at `radius`."""
    share = np.float32(1) / (1 + square / np.float32(radius * radius))
    return (share * share).astype(np.float32, copy=False)

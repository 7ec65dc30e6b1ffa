"""Image formation: illumination, haze, blur, aperture and sensor noise."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.synthetic.camera import Camera
from sam2lora.synthetic.primitives import Plane, smooth_noise
from sam2lora.synthetic.settings import Look


def illuminate(rng: np.random.Generator, image: Plane, camera: Camera, look: Look) -> None:
    """Apply uneven illumination that falls towards the rim, and haze on one side, in place."""
    x, y = camera.retina(camera.whole_image)
    radius = camera.diameter / 2 / camera.scale
    x = (x - np.float32(camera.aim[0])) / np.float32(radius)
    y = (y - np.float32(camera.aim[1])) / np.float32(radius)
    drift, slope = 0.25 * rng.uniform(-1, 1, 2), 0.18 * rng.uniform(-1, 1, 2)
    off = (x - np.float32(drift[0])) ** 2 + (y - np.float32(drift[1])) ** 2
    light = np.float32(0.08) * smooth_noise(rng, camera.shape, camera.diameter / 2)
    light += np.float32(slope[0]) * x
    light += np.float32(slope[1]) * y
    light += np.float32(1.12)
    for plane, share in zip(image, look.vignetting * rng.uniform(0.75, 1.15, 3), strict=True):
        plane *= light - off * (np.float32(0.34 * share) + np.float32(0.20 * share) * off)
    if rng.random() < 0.5:
        _add_haze(rng, image, x, y, look.brightness)


def _add_haze(
    rng: np.random.Generator, image: Plane, x: Plane, y: Plane, brightness: float
) -> None:
    """Add stray light on one side of the rim; `x` and `y` are 1 at the rim."""
    side = 0.3 * rng.uniform(-1, 1, 2)
    reach = np.sqrt(x * x + y * y)
    reach += np.float32(side[0]) * x
    reach += np.float32(side[1]) * y
    haze = np.clip((reach - np.float32(0.85)) / np.float32(0.35), 0, 1)
    haze *= haze
    tint = brightness * rng.uniform(5, 40) * np.asarray([0.9, 1.0, 0.5]) * rng.uniform(0.6, 1.0, 3)
    for plane, level in zip(image, tint, strict=True):
        plane += np.float32(level) * haze


def capture_image(
    rng: np.random.Generator, image: Plane, camera: Camera, field: NDArray[np.bool_], look: Look
) -> NDArray[np.uint8]:
    """Blur, mask, add noise and round: `(3, H, W)` float32 to `(H, W, 3)` uint8."""
    sigma = look.blur * camera.diameter / 1000
    soft = max(0.0015 * camera.diameter, 0.5)
    aperture = ndimage.gaussian_filter(field.astype(np.float32), soft, truncate=3)
    dark = np.float32(rng.uniform(0, 6))
    grain = smooth_noise(rng, camera.shape, 1.6) * np.float32(0.7 * look.noise)
    captured = np.empty((*camera.shape, 3), dtype=np.uint8)
    for channel, plane in enumerate(image):
        wider = (1.3, 1.0, 1.15)[channel]
        plane = ndimage.gaussian_filter(plane, sigma * wider, truncate=3)
        plane = _expose(plane) * aperture + dark * (1 - aperture)
        noise = rng.standard_normal(camera.shape, dtype=np.float32) * np.float32(0.8 * look.noise)
        noise = (noise + grain) * (0.15 + 0.85 * aperture)
        captured[..., channel] = np.rint(np.clip(plane + noise, 0, 255))
    return captured


def _expose(plane: Plane) -> Plane:
    """Compress highlights, as cameras do, instead of clipping at 255."""
    knee, top = np.float32(205), np.float32(255)
    over = np.maximum(plane - knee, 0) / (top - knee)
    exposed: Plane = np.minimum(plane, knee) + (top - knee) * over / (1 + over)
    return exposed

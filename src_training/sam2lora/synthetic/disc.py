"""The optic disc and its cup: outlines and color."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.synthetic.camera import Camera
from sam2lora.synthetic.primitives import Color, Plane, smooth_noise


@dataclass(frozen=True)
class Outline:
    """A slightly irregular oval; center and half-axes in mm.

    Attributes
    ----------
    waves
        Cosine and sine amplitudes of the second, third and fourth harmonic of its radius.
    """

    center: tuple[float, float]
    half_width: float
    half_height: float
    waves: tuple[tuple[float, float], ...]

    def ratio(self, x: Plane, y: Plane) -> Plane:
        """Return the distance of points (mm) from the center relative to the outline: 1 on it."""
        across = (x - np.float32(self.center[0])) / np.float32(self.half_width)
        up = (y - np.float32(self.center[1])) / np.float32(self.half_height)
        radius = np.sqrt(across * across + up * up)
        cosine = across / np.maximum(radius, np.float32(1e-6))
        sine = up / np.maximum(radius, np.float32(1e-6))
        edge = np.ones_like(radius)
        c, s = cosine, sine
        for in_phase, quadrature in self.waves:
            c, s = c * cosine - s * sine, s * cosine + c * sine
            edge += np.float32(in_phase) * c + np.float32(quadrature) * s
        ratio: Plane = radius / edge
        return ratio

    def inside(self, camera: Camera) -> NDArray[np.bool_]:
        """Return the mask of the outline in the whole image, `(H, W)` bool."""
        mask = np.zeros(camera.shape, dtype=bool)
        window = camera.window(self.center, 1.3 * max(self.half_width, self.half_height))
        mask[window] = self.ratio(*camera.retina(window)) <= 1
        return mask


def sample_outline(
    rng: np.random.Generator,
    center: tuple[float, float],
    width: float,
    height: float,
    irregular: float,
) -> Outline:
    """Sample an outline whose vertical diameter is exactly `height`."""
    waves = tuple(
        (irregular * float(rng.standard_normal()), irregular * float(rng.standard_normal()))
        for _ in range(3)
    )
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    edge = 1 + sum(
        a * np.cos(k * angle) + b * np.sin(k * angle) for k, (a, b) in enumerate(waves, start=2)
    )
    up = edge * np.sin(angle)
    middle = float(up.max() + up.min()) / 2
    half_height = round(height / float(up.max() - up.min()), 6)
    lowered = round(center[1] - middle * half_height, 6)
    return Outline((center[0], lowered), width / 2, half_height, waves)


@dataclass(frozen=True)
class DiscHead:
    """An optic nerve head: the outlines of disc and cup, and parameters of its appearance."""

    disc: Outline
    cup: Outline
    pallor: float
    crescent: float
    pigment: float
    edge: float


def sample_disc_head(rng: np.random.Generator, cup_to_disc: float) -> DiscHead:
    """Sample a nerve head; the disc is 1.8 mm high and 1.7 mm wide on average.

    Jonas et al. (IOVS 29, 1988) measured 1.92 by 1.76 mm, with standard deviations of 0.3 mm.
    """
    height = float(rng.uniform(1.6, 2.05))
    width = height * float(rng.uniform(0.86, 1.0))
    disc = sample_outline(rng, (0.0, 0.0), width, height, 0.012)
    # Half of the rim's height is left for the cup to be off-center.
    slack = (1 - cup_to_disc) * height / 2
    offset = (0.35 * slack * rng.uniform(-0.2, 0.9), 0.35 * slack * rng.uniform(-1, 0.6))
    cup_width = min(cup_to_disc * float(rng.uniform(0.95, 1.1)), 0.93) * width
    cup = sample_outline(
        rng, (float(offset[0]), float(offset[1])), cup_width, cup_to_disc * height, 0.015
    )
    return DiscHead(
        disc=disc,
        cup=cup,
        pallor=float(rng.uniform(0.05, 0.5)),
        crescent=max(float(rng.uniform(-0.6, 0.7)), 0.0),
        pigment=max(float(rng.uniform(-0.5, 0.4)), 0.0),
        edge=float(rng.uniform(0.05, 0.12)),
    )


def paint_disc(
    rng: np.random.Generator, image: Plane, camera: Camera, head: DiscHead, base: Color
) -> None:
    """Paint the nerve head over the retina `image` `(3, H, W)`, in place."""
    window = camera.window((0.0, 0.0), 2.2)
    x, y = camera.retina(window)
    area = image[:, window[0], window[1]]
    grain = 0.09 * camera.scale
    mottle = smooth_noise(rng, x.shape, 2.5 * grain) + 0.6 * smooth_noise(rng, x.shape, grain)
    ratio = head.disc.ratio(x, y)
    temporal = np.clip(x / np.float32(head.disc.half_width), -1, 1)

    ring = _ramp(ratio, 1.28, 1.08) * (0.5 + 0.5 * temporal)
    pale = np.float32(head.crescent) * ring
    dark = (
        np.float32(head.pigment)
        * _ramp(ratio, 1.25, 1.1)
        * np.clip(0.5 + 0.5 * temporal + 0.3 * mottle, 0, 1)
    )
    rim = np.asarray([1.18, 0.60, 0.30], dtype=np.float32) * base[0]
    rim[1] = 0.5 * (rim[1] + 1.75 * base[1])
    rim[2] = 0.45 * rim[2] + 1.0 * base[2]
    cup = np.asarray([1.36, 1.03, 0.62], dtype=np.float32) * base[0]
    cup[2] = 0.6 * cup[2] + 0.8 * base[2]

    inner, outer = 1 - head.edge * (1.4 - 0.6 * temporal), 1 + head.edge * (1.4 - 0.6 * temporal)
    cover = _ramp(ratio, outer, inner) * (0.9 + 0.1 * temporal)
    slope = np.clip(1 - ratio, 0, 0.5)
    paleness = head.pallor * (0.5 + 0.5 * temporal) + 0.35 * slope + 0.05 * mottle
    paleness = np.clip(paleness, 0, 1)
    rim_width = head.disc.half_height / head.cup.half_height - 1
    in_cup = _ramp(head.cup.ratio(x, y), 1 + min(0.2, 0.4 * rim_width), 0.7) * (
        0.88 + 0.12 * temporal + 0.04 * mottle
    )
    for channel, plane in enumerate(area):
        plane *= 1 - dark * np.float32(0.5)
        plane += pale * (rim[channel] - plane)
        rim_color = rim[channel] + paleness * (cup[channel] - rim[channel]) * np.float32(0.75)
        color = rim_color + in_cup * (cup[channel] - rim_color)
        color *= 1 + np.float32(0.015) * mottle
        plane += cover * (color - plane)


def _ramp(values: Plane, none: float | Plane, full: float | Plane) -> Plane:
    """Return a smooth ramp from 0 where `values` is `none` to 1 where it is `full`."""
    t = np.clip((values - none) / (full - none), 0, 1).astype(np.float32)
    ramp: Plane = t * t * (3 - 2 * t)
    return ramp

"""The mapping from the retina to the pixels of the camera, and the camera's field of view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.synthetic.primitives import Plane
from sam2lora.synthetic.settings import Look

MM_PER_DEGREE = 0.29
"""Length on the retina of an average eye (Drasdo and Fowler 1974): 45 degrees are 13 mm."""


@dataclass(frozen=True)
class Camera:
    """The mapping from the retina (mm, origin on the disc, x to the temple, y up) to pixels.

    Attributes
    ----------
    shape
        Height and width of the image.
    center
        Center (x, y) of the field of view in pixels.
    aim
        The same point (x, y) on the retina in mm.
    diameter
        Diameter of the field of view in pixels.
    scale
        Pixels per mm.
    flip
        1 if the temple is on the right (left eyes), else -1.
    roll
        Cosine and sine of the head's tilt.
    crop
        Share of the field's height that is cropped.
    notch
        Notch at the rim as in many cameras: (x, y, radius) in pixels; radius 0 for none.
    """

    shape: tuple[int, int]
    center: tuple[float, float]
    aim: tuple[float, float]
    diameter: float
    scale: float
    flip: float
    roll: tuple[float, float]
    crop: float
    notch: tuple[float, float, float]

    def to_pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map `(..., 2)` points on the retina to (x, y) pixels."""
        right = self.flip * (points[..., 0] - self.aim[0])
        down = self.aim[1] - points[..., 1]
        cosine, sine = self.roll
        x = self.center[0] + self.scale * (cosine * right - sine * down)
        y = self.center[1] + self.scale * (sine * right + cosine * down)
        return np.stack([x, y], axis=-1)

    def retina(self, window: tuple[slice, slice]) -> tuple[Plane, Plane]:
        """Return (x, y) on the retina in mm for the pixels of `window`, two `(h, w)` float32."""
        rows, columns = self._offsets(window)
        cosine, sine = self.roll
        right = (cosine * columns + sine * rows) / np.float32(self.scale)
        down = (cosine * rows - sine * columns) / np.float32(self.scale)
        x = np.float32(self.flip) * right + np.float32(self.aim[0])
        return x.astype(np.float32), (np.float32(self.aim[1]) - down).astype(np.float32)

    def window(self, point: tuple[float, float], radius: float) -> tuple[slice, slice]:
        """Return the rows and columns within `radius` mm of a point on the retina."""
        x, y = self.to_pixels(np.asarray(point))
        reach = radius * self.scale
        rows = slice(max(int(y - reach), 0), max(int(y + reach) + 1, 0))
        return rows, slice(max(int(x - reach), 0), max(int(x + reach) + 1, 0))

    @property
    def whole_image(self) -> tuple[slice, slice]:
        """Rows and columns of the whole image."""
        return slice(0, self.shape[0]), slice(0, self.shape[1])

    def eccentricity(self) -> Plane:
        """Return the distance from the field's center relative to its radius, `(H, W)` float32."""
        rows, columns = self._offsets(self.whole_image)
        distance = np.sqrt(rows * rows + columns * columns) / np.float32(self.diameter / 2)
        return distance.astype(np.float32, copy=False)

    def field(self) -> NDArray[np.bool_]:
        """Return the mask of the field of view, `(H, W)` bool."""
        rows, columns = self._offsets(self.whole_image)
        x, y, radius = self.notch
        circle = self.eccentricity() <= 1
        if radius:
            circle |= (columns - (x - self.center[0])) ** 2 + (
                rows - (y - self.center[1])
            ) ** 2 <= radius**2
        return circle & (np.abs(rows) <= self.diameter / 2 * (1 - self.crop))

    def _offsets(self, window: tuple[slice, slice]) -> tuple[Plane, Plane]:
        rows = np.arange(self.shape[0], dtype=np.float32)[window[0], None]
        columns = np.arange(self.shape[1], dtype=np.float32)[None, window[1]]
        return rows - np.float32(self.center[1]), columns - np.float32(self.center[0])


def place_camera(
    rng: np.random.Generator, look: Look, shape: tuple[int, int], fovea: tuple[float, float]
) -> Camera:
    """Sample a camera aimed at the macula, the disc or between, with the whole disc in view."""
    fill = float(rng.uniform(0.93, 0.99))
    tallest = shape[0] / (1 - look.crop) if look.crop else fill * shape[0]
    diameter = min(fill * shape[1], tallest)
    radius_mm = look.field_degrees * MM_PER_DEGREE / 2
    scale = diameter / (2 * radius_mm)
    toward = {"disc": 0.0, "between": 0.5, "macula": 1.0}[look.view]
    aim = toward * np.asarray(fovea) + 0.35 * rng.uniform(-1, 1, 2)
    far = float(np.sqrt((aim**2).sum()))
    aim *= min(1.0, (radius_mm - 1.3) / max(far, 1e-6))
    highest = max(radius_mm * (1 - look.crop) - 1.4, 0.1)
    aim[1] = np.clip(aim[1], -highest, highest)
    aim = np.round(aim, 6)
    tilt = float(rng.uniform(-0.08, 0.08))
    slack = max(shape[1] - diameter, 0.0) / 2
    middle = ((shape[1] - 1) / 2 + 0.3 * slack * float(rng.uniform(-1, 1)), (shape[0] - 1) / 2)
    notch = (0.0, 0.0, 0.0)
    if rng.random() < 0.35:
        reach = diameter / 2 * 0.995
        notch = (middle[0] + reach * 0.72, middle[1] - reach * 0.694, diameter * 0.028)
    return Camera(
        shape=shape,
        center=(round(middle[0], 6), round(middle[1], 6)),
        aim=(float(aim[0]), float(aim[1])),
        diameter=round(diameter, 6),
        scale=round(scale, 6),
        flip=1.0 if look.eye == "left" else -1.0,
        roll=(round(float(np.cos(tilt)), 9), round(float(np.sin(tilt)), 9)),
        crop=look.crop,
        notch=notch,
    )

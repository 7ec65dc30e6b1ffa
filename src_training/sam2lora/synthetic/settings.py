"""Settings of a synthetic fundus image, and the sampling of those left open."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sam2lora.types import Eye

View = Literal["macula", "disc", "between"]
Choice = TypeVar("Choice")

EYES: tuple[Eye, ...] = ("left", "right")
VIEWS: tuple[View, ...] = ("macula", "macula", "disc", "between")

SMALLEST_SIDE = 64
LARGEST_SIDE = 4096


class SyntheticSettings(BaseModel):
    """Properties of the eye and the camera. Those left at None are sampled from the seed.

    Every part of the image has its own stream of random numbers, so that changing one setting
    does not change the rest of the eye.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int | tuple[int, int] = Field(
        default=1024,
        description="side of a square image in pixels, or (height, width); each 64 to 4096",
    )
    eye: Eye | None = Field(default=None, description="left or right")
    view: View | None = Field(
        default=None, description="what the camera points at: the macula, the disc, or between"
    )
    field_degrees: float | None = Field(
        default=None, ge=25, le=65, description="angle of the field of view in degrees"
    )
    crop: float | None = Field(
        default=None,
        ge=0,
        le=0.4,
        description="share of the field's height cropped by the camera, above and below together",
    )
    cup_to_disc: float | None = Field(
        default=None, ge=0.15, le=0.9, description="vertical cup-to-disc ratio"
    )
    lesions: bool | None = Field(
        default=None, description="whether there are hemorrhages and exudates, or drusen"
    )
    vessel_spacing: float | None = Field(
        default=None,
        ge=0.4,
        le=1.5,
        description="spacing in mm below which no further branch grows; smaller means more vessels",
    )
    tortuosity: float | None = Field(
        default=None, ge=0, le=1, description="how winding the vessels are, 0 to 1"
    )
    brightness: float | None = Field(
        default=None, ge=0.2, le=1.5, description="exposure; 1 is an average image"
    )
    clarity: float | None = Field(
        default=None,
        ge=0.4,
        le=1.3,
        description="contrast of the vessels; 1 for clear media of a young eye",
    )
    redness: float | None = Field(
        default=None, ge=0, le=1, description="color of the fundus from brown-yellow (0) to red (1)"
    )
    choroid: float | None = Field(
        default=None, ge=0, le=1, description="how much the choroid's vessels shine through, 0 to 1"
    )
    vignetting: float | None = Field(
        default=None, ge=0, le=1, description="how much darker the rim is than the middle, 0 to 1"
    )
    blur: float | None = Field(
        default=None,
        ge=0,
        le=5,
        description="blur (standard deviation) in thousandths of the field's diameter",
    )
    noise: float | None = Field(
        default=None, ge=0, le=15, description="sensor noise (standard deviation) in grey levels"
    )

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: int | tuple[int, int]) -> int | tuple[int, int]:
        sides = (size,) if isinstance(size, int) else size
        if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
            raise ValueError(f"each side must have {SMALLEST_SIDE} to {LARGEST_SIDE} pixels")
        return size

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


@dataclass(frozen=True)
class Look:
    """Settings with a value for every property."""

    eye: Eye
    view: View
    field_degrees: float
    crop: float
    cup_to_disc: float
    lesions: bool
    vessel_spacing: float
    tortuosity: float
    brightness: float
    clarity: float
    redness: float
    choroid: float
    vignetting: float
    blur: float
    noise: float


def sample_look(rng: np.random.Generator, settings: SyntheticSettings) -> Look:
    """Sample the properties that `settings` leaves open, in the ranges of public datasets."""

    def among(chosen: Choice | None, options: tuple[Choice, ...]) -> Choice:
        sampled = options[int(rng.integers(len(options)))]
        return sampled if chosen is None else chosen

    def between(chosen: float | None, low: float, high: float) -> float:
        sampled = float(rng.uniform(low, high))
        return sampled if chosen is None else chosen

    view = among(settings.view, VIEWS)
    narrow = view == "disc"
    cropped = rng.random() < 0.35
    return Look(
        eye=among(settings.eye, EYES),
        view=view,
        field_degrees=between(settings.field_degrees, *((30, 45) if narrow else (42, 60))),
        crop=between(settings.crop, *((0.05, 0.3) if cropped else (0.0, 0.0))),
        cup_to_disc=between(settings.cup_to_disc, 0.25, 0.7),
        lesions=among(settings.lesions, (False, False, True)),
        vessel_spacing=between(settings.vessel_spacing, 0.5, 0.8),
        tortuosity=between(settings.tortuosity, 0.1, 0.7),
        brightness=between(settings.brightness, 0.62, 1.15),
        clarity=between(settings.clarity, 0.7, 1.1),
        redness=between(settings.redness, 0.0, 1.0),
        choroid=between(settings.choroid, 0.0, 0.8),
        vignetting=between(settings.vignetting, 0.1, 0.9),
        blur=between(settings.blur, 0.4, 1.4),
        noise=between(settings.noise, 1.0, 4.0),
    )

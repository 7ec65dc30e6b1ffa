"""Compose a synthetic fundus image and its masks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import SettingsError
from sam2lora.synthetic import blood, lens, retina
from sam2lora.synthetic.camera import Camera, place_camera
from sam2lora.synthetic.disc import DiscHead, paint_disc, sample_disc_head
from sam2lora.synthetic.lesions import sample_lesions
from sam2lora.synthetic.settings import Look, SyntheticSettings, sample_look
from sam2lora.synthetic.vessel_paint import Painted
from sam2lora.synthetic.vessel_tree import TreePlan, grow_vessels
from sam2lora.types import Eye, Mask

PARTS = ("look", "anatomy", "vessels", "retina", "disc", "lesions", "light", "sensor")
"""Each has its own random numbers, from the seed and its position here: append, never reorder."""


@dataclass(frozen=True, eq=False)
class SyntheticFundus:
    """A synthetic fundus image with its masks.

    Attributes
    ----------
    image
        `(H, W, 3)` uint8 RGB.
    masks
        `(H, W)` bool by name: vessel (artery or vein), artery, vein, disc, cup, lesion_dark,
        lesion_bright and fov. All are inside fov; cup is inside disc; arteries and veins cross.
    eye
        "left" or "right".
    seed
        Random seed of the image.
    """

    image: NDArray[np.uint8]
    masks: dict[str, Mask]
    eye: Eye
    seed: int


def draw_fundus(seed: int, settings: SyntheticSettings | None = None) -> SyntheticFundus:
    """Draw a synthetic fundus image with exact masks.

    Parameters
    ----------
    seed
        Random seed, 0 or above; another seed gives another eye and camera.
    settings
        Fixed properties of eye and camera; by default all of them are random.

    Returns
    -------
    The image and its masks: always the same bytes for the same arguments.

    Raises
    ------
    SettingsError
        If the seed is negative.
    """
    streams = _streams(seed)
    look, fovea, head, camera = _place(streams, settings or SyntheticSettings())
    plan = _plan_vessels(streams["anatomy"], look, camera, head, fovea)
    trees = grow_vessels(streams["vessels"], plan)
    vessels = {kind: blood.paint_tree(tree, camera) for kind, tree in trees.items()}
    lesions = _paint_lesions(streams["lesions"], look, camera, fovea)

    rng = streams["retina"]
    base = retina.base_color(rng, look)
    image = retina.paint_background(rng, camera, look, base)
    retina.brighten_nerve_fibers(rng, image, camera)
    retina.shade_macula(rng, image, camera, fovea)
    paint_disc(streams["disc"], image, camera, head, base)
    if look.lesions:
        blood.cover_with_deposits(image, lesions["bright"], camera, base)
    blood.absorb_in_vessels(image, vessels, look.clarity)
    if look.lesions:
        blood.absorb_in_hemorrhages(image, lesions["dark"], look.clarity)
    lens.illuminate(streams["light"], image, camera, look)
    field = camera.field()
    captured = lens.capture_image(streams["sensor"], image, camera, field, look)

    masks = {str(kind): painted.inside for kind, painted in vessels.items()}
    masks["vessel"] = masks["artery"] | masks["vein"]
    masks["disc"] = head.disc.inside(camera)
    masks["cup"] = masks["disc"] & head.cup.inside(camera)
    masks |= {f"lesion_{kind}": painted.inside for kind, painted in lesions.items()}
    masks = {name: mask & field for name, mask in masks.items()} | {"fov": field}
    return SyntheticFundus(image=captured, masks=masks, eye=look.eye, seed=seed)


def locate_fovea(
    seed: int, settings: SyntheticSettings | None = None
) -> tuple[float, float] | None:
    """Return where the fovea of a synthetic fundus is, without drawing the image.

    Parameters
    ----------
    seed, settings
        As for `draw_fundus`.

    Returns
    -------
    (x, y) in pixels; None if it is outside of the field of view.

    Raises
    ------
    SettingsError
        If the seed is negative.
    """
    streams = _streams(seed)
    _, fovea, _, camera = _place(streams, settings or SyntheticSettings())
    x, y = (float(value) for value in camera.to_pixels(np.asarray(fovea)))
    field = camera.field()
    height, width = field.shape
    if not (0 <= round(x) < width and 0 <= round(y) < height and field[round(y), round(x)]):
        return None
    return x, y


def _place(
    streams: Mapping[str, np.random.Generator], settings: SyntheticSettings
) -> tuple[Look, tuple[float, float], DiscHead, Camera]:
    """Sample the look of an image, its fovea (in mm) and disc, and where the camera is."""
    look = sample_look(streams["look"], settings)
    rng = streams["anatomy"]
    fovea = _sample_fovea(rng)
    head = sample_disc_head(rng, look.cup_to_disc)
    return look, fovea, head, place_camera(rng, look, settings.shape, fovea)


def _streams(seed: int) -> Mapping[str, np.random.Generator]:
    """Return the random numbers of each part of an image."""
    if seed < 0:
        raise SettingsError(f"The seed of a synthetic fundus must be 0 or above, not {seed}.")
    return {
        part: np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, position])))
        for position, part in enumerate(PARTS)
    }


def _sample_fovea(rng: np.random.Generator) -> tuple[float, float]:
    """Sample the position of the fovea: 4.4 to 5 mm from the disc center, slightly below it.

    Jonas et al. (PLoS ONE 10, 2015) measured 4.76 mm, with a standard deviation of 0.34 mm.
    """
    return round(float(rng.uniform(4.4, 5.0)), 6), round(float(rng.uniform(-0.75, -0.1)), 6)


def _plan_vessels(
    rng: np.random.Generator,
    look: Look,
    camera: Camera,
    head: DiscHead,
    fovea: tuple[float, float],
) -> TreePlan:
    """Sample the plan of the trees: from the nasal side of the cup, veins wider than arteries."""
    cup = head.cup
    vein_width = float(rng.uniform(0.155, 0.215))
    return TreePlan(
        hilum=(cup.center[0] - 0.6 * cup.half_width, cup.center[1]),
        fovea=fovea,
        center=camera.aim,
        radius=camera.diameter / 2 / camera.scale + 1.0,
        spacing=look.vessel_spacing,
        tortuosity=look.tortuosity,
        artery_width=vein_width * float(rng.uniform(0.62, 0.78)),
        vein_width=vein_width,
        finest_width=float(rng.uniform(0.021, 0.032)),
    )


def _paint_lesions(
    rng: np.random.Generator, look: Look, camera: Camera, fovea: tuple[float, float]
) -> Mapping[str, Painted]:
    reach = camera.diameter / 2 / camera.scale
    dark, bright = sample_lesions(rng, camera.aim, reach, fovea, present=look.lesions)
    return {"dark": blood.paint_spots(dark, camera), "bright": blood.paint_spots(bright, camera)}

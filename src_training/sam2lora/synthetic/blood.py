"""Paint vessels and lesions on the image of the retina."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from sam2lora.synthetic.camera import Camera
from sam2lora.synthetic.lesions import Spots
from sam2lora.synthetic.primitives import Color, Plane
from sam2lora.synthetic.vessel_paint import (
    FAINTEST_RADIUS,
    THINNEST_RADIUS,
    Bars,
    Painted,
    paint_bars,
)
from sam2lora.synthetic.vessel_tree import Kind, VesselTree

# Absorption in red, green and blue: of a vessel 0.1 mm wide, and of a hemorrhage.
ABSORPTION: Mapping[Kind, tuple[float, float, float]] = {
    "artery": (0.035, 0.30, 0.24),
    "vein": (0.11, 0.43, 0.30),
}
HEMORRHAGE = (0.20, 0.58, 0.40)
REFLEX: Mapping[Kind, float] = {"artery": 0.10, "vein": 0.03}
"""Light streak of a wide artery or vein, relative to the light around it."""
LIPID = (1.30, 0.98, 0.50)
"""Color of exudates and drusen, relative to the red of the fundus."""


def paint_tree(tree: VesselTree, camera: Camera) -> Painted:
    """Rasterise a vessel tree: wider vessels are darker, and darkest over the bright disc."""
    start, end = tree.start_radius * camera.scale, tree.end_radius * camera.scale
    drawn = end > FAINTEST_RADIUS
    depth = np.sqrt((tree.start_radius + tree.end_radius) / 0.1) * tree.visible
    depth *= np.minimum(end / THINNEST_RADIUS, 1)
    from_disc = np.sqrt(tree.end[:, 0] ** 2 + tree.end[:, 1] ** 2)
    depth *= 1 + 0.6 * np.clip(1.4 - from_disc / 0.9, 0, 1)
    bars = Bars(
        start=camera.to_pixels(tree.start)[drawn],
        end=camera.to_pixels(tree.end)[drawn],
        start_radius=np.maximum(start, THINNEST_RADIUS)[drawn],
        end_radius=np.maximum(end, THINNEST_RADIUS)[drawn],
        depth=depth[drawn],
    )
    return paint_bars(bars, camera.shape)


def paint_spots(spots: Spots, camera: Camera) -> Painted:
    """Rasterise lesions."""
    radius = np.maximum(spots.radius * camera.scale, THINNEST_RADIUS)
    bars = Bars(
        start=camera.to_pixels(spots.start),
        end=camera.to_pixels(spots.end),
        start_radius=radius,
        end_radius=radius,
        depth=spots.strength,
    )
    return paint_bars(bars, camera.shape)


def absorb_in_vessels(image: Plane, painted: Mapping[Kind, Painted], clarity: float) -> None:
    """Darken `image` where light crosses vessels, in place.

    Parameters
    ----------
    image
        `(3, H, W)` float32.
    painted
        Rasterised arteries and veins.
    clarity
        Clarity of the eye's media: 1 for the full contrast of a young eye.
    """
    artery, vein = painted["artery"], painted["vein"]
    shine = np.float32(REFLEX["artery"]) * artery.reflex
    shine += np.float32(REFLEX["vein"]) * vein.reflex * (artery.depth == 0)
    for channel, plane in enumerate(image):
        over = np.float32(clarity * ABSORPTION["artery"][channel]) * artery.depth
        under = np.float32(clarity * ABSORPTION["vein"][channel]) * vein.depth
        _darken(plane, np.maximum(over, under) + np.float32(0.35) * np.minimum(over, under))
        plane *= 1 + shine


def absorb_in_hemorrhages(image: Plane, painted: Painted, clarity: float) -> None:
    """Darken `image` `(3, H, W)` where there are hemorrhages, in place."""
    depth = np.minimum(np.float32(1.6) * painted.depth, 1)
    for plane, absorption in zip(image, HEMORRHAGE, strict=True):
        _darken(plane, np.float32(clarity * absorption) * depth)


def cover_with_deposits(image: Plane, painted: Painted, camera: Camera, base: Color) -> None:
    """Cover `image` `(3, H, W)` with exudates, cotton wool spots or drusen, in place."""
    dome = painted.depth * painted.depth
    cover = np.minimum(
        np.float32(1.5) * ndimage.gaussian_filter(dome, 0.02 * camera.scale, truncate=3), 1
    )
    for plane, share in zip(image, LIPID, strict=True):
        plane += cover * (np.float32(share) * base[0] - plane)


def _darken(plane: Plane, depth: Plane) -> None:
    """Divide by the first terms of exp(depth), which all processors round alike."""
    plane /= 1 + depth + np.float32(0.5) * depth * depth

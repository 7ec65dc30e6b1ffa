"""Views that make a fundus image easier to read: the green channel, local contrast."""

import numpy as np
from numpy.typing import NDArray
from skimage import color, exposure

from sam2lora.images.full_scale import to_uint8


def green_view(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the green channel, in which vessels have the highest contrast: `(H, W)` uint8."""
    return np.ascontiguousarray(pixels[..., 1])


def clahe_view(
    pixels: NDArray[np.uint8], *, clip_limit: float = 0.01, tiles: int = 8
) -> NDArray[np.uint8]:
    """Enhance the lightness (CIELAB L) by contrast-limited adaptive histogram equalisation.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    clip_limit
        Contrast limit in 0…1 of scikit-image's `equalize_adapthist`.
    tiles
        Number of contextual regions along each side.

    Returns
    -------
    `(H, W, 3)` uint8 RGB; hue is kept.

    References
    ----------
    Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.
    """
    lab = color.rgb2lab(pixels)
    regions = [max(1, side // tiles) for side in pixels.shape[:2]]
    lab[..., 0] = 100 * exposure.equalize_adapthist(
        lab[..., 0] / 100, kernel_size=regions, clip_limit=clip_limit
    )
    # The largest valid b at a lightness; above it lab2rgb clips as well, with a warning.
    lab[..., 2] = np.minimum(lab[..., 2], 200 * (lab[..., 0] + 16) / 116 - 1e-6)
    return to_uint8(color.lab2rgb(lab))

"""Corrupt masks, so that a network learns to correct previous predictions."""

import numpy as np

from sam2lora.types import Mask


def corrupt(mask: Mask, rng: np.random.Generator) -> Mask:
    """Corrupt a mask the way a network's predictions are wrong.

    Each of these happens with probability 1/2: the mask grows or shrinks; it shifts; parts are
    removed; parts are added elsewhere. The size of the errors depends on the thickness of the
    structure. About one mask in ten is unchanged, so that the network also learns to keep it.

    Parameters
    ----------
    mask
        `(H, W)`, not empty.
    rng
        Source of all randomness.

    Returns
    -------
    `(H, W)`: a new mask, possibly empty.
    """
    thickness = _thickness(mask)
    largest = max(1, round(thickness / 4))
    change, move, drop, add = rng.random(4) < 0.5
    corrupted = mask.copy()
    if change:
        steps = int(rng.integers(1, largest, endpoint=True))
        grow = rng.random() < 0.5
        corrupted = _grown(corrupted, steps) if grow else ~_grown(~corrupted, steps)
    if move:
        down, right = (int(step) for step in rng.integers(-largest, largest, size=2, endpoint=True))
        corrupted = _shifted(corrupted, down, right)
    if drop:
        corrupted &= ~_patches(mask, thickness, rng)
    if add:
        reach = max(mask.shape) // 6
        down, right = (int(step) for step in rng.integers(-reach, reach, size=2, endpoint=True))
        corrupted |= _shifted(mask, down, right) & _patches(mask, thickness, rng)
    return corrupted


def _thickness(mask: Mask) -> float:
    """Estimate the width of a structure in pixels: twice its area over the length of its border.

    At most a quarter of the image, since the border may be outside the image.
    """
    area, border = int(mask.sum()), int((mask & _grown(~mask, 1)).sum())
    return float(min(2 * area / max(1, border), max(mask.shape) / 4))


def _grown(mask: Mask, steps: int) -> Mask:
    """Add the four neighbors of every pixel, `steps` times."""
    for _ in range(steps):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask


def _shifted(mask: Mask, down: int, right: int) -> Mask:
    """Shift a mask; pixels that leave the image are lost."""
    height, width = mask.shape
    down, right = min(max(down, -height), height), min(max(right, -width), width)
    moved = np.zeros_like(mask)
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = mask[
        max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def _patches(mask: Mask, thickness: float, rng: np.random.Generator) -> Mask:
    """Draw one to four round patches around pixels of the mask."""
    patches = np.zeros_like(mask)
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    count = int(rng.integers(1, 4, endpoint=True))
    for pixel in rng.choice(np.flatnonzero(mask), size=count):
        row, column = divmod(int(pixel), mask.shape[1])
        radius = rng.uniform(thickness / 4, max(thickness, max(mask.shape) / 12))
        patches |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return patches

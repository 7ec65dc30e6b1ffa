"""The vessels that every eye has: where they run from the disc, in mm.

The origin is the middle of the optic disc, x points to the temple and y up. The temporal arcades
pass about 4 mm above and 4.5 mm below the fovea, which lies 4.7 mm to the temple of the disc.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trunk:
    """A vessel that every eye, or a share of eyes, has: the points it passes, in mm.

    Attributes
    ----------
    beyond
        Length of vessel supplied beyond the last point.
    share
        Share of eyes that have it.
    forks
        Whether it leaves the nearest trunk before it rather than the hilum.
    """

    points: tuple[tuple[float, float], ...]
    beyond: float
    share: float = 1.0
    forks: bool = True


TRUNKS = (
    # The superior and inferior temporal arcades, around the macula.
    Trunk(
        ((0.05, 1.0), (0.75, 2.2), (2.4, 3.55), (4.7, 4.1), (7.2, 3.4), (10.2, 1.6)), 12, 1, False
    ),
    Trunk(
        ((0.05, -1.0), (0.65, -2.2), (2.2, -3.7), (4.8, -4.4), (7.4, -3.9), (10.4, -2.4)),
        12,
        1,
        False,
    ),
    # The nasal ones leave them on the disc.
    Trunk(((-0.45, 0.9), (-1.1, 2.2), (-2.4, 4.0), (-3.9, 6.2), (-5.5, 8.5)), 10),
    Trunk(((-0.45, -0.9), (-1.2, -2.2), (-2.6, -4.1), (-4.2, -6.2), (-6.0, -8.5)), 10),
    Trunk(((-0.85, 0.35), (-1.9, 0.7), (-3.6, 1.2), (-7.0, 2.0)), 3),
    Trunk(((-0.85, -0.3), (-1.9, -0.6), (-3.6, -1.0), (-7.0, -1.5)), 3, 0.7),
    # The arcades fork towards the periphery, early or late.
    Trunk(((1.3, 3.5), (2.4, 5.6), (3.9, 8.0)), 8, 0.75),
    Trunk(((1.2, -3.6), (2.2, -5.8), (3.6, -8.2)), 8, 0.75),
    Trunk(((5.2, 4.9), (7.4, 5.8), (10.0, 6.6)), 5, 0.7),
    Trunk(((5.4, -5.2), (7.6, -6.0), (10.0, -6.8)), 5, 0.7),
    # Fine ones run from the disc to the macula.
    Trunk(((0.9, 0.4), (1.7, 0.6), (2.7, 0.5), (3.6, 0.2)), 0, 0.7),
    Trunk(((0.9, -0.4), (1.7, -0.8), (2.7, -1.0), (3.7, -0.9)), 0, 0.7),
)

"""Grow the artery and vein trees of a synthetic eye, in millimetres on the retina.

The plane has its origin at the middle of the optic disc, x towards the temple and y upwards, for
either eye. Four arcades and a few smaller trunks leave the disc; every further branch grows towards
the point farthest from other vessels, and leaves its parent forwards at an acute angle. The radius
follows from the length of vessel that each point supplies, a form of Murray's law [1]_: the trees
taper, and a branch is thinner than its parent.

Coordinates are rounded to a millionth of a millimetre after each curve, because the last bit of a
sine differs between processors and growth would magnify it.

References
----------
.. [1] C. D. Murray, "The physiological principle of minimum work", PNAS 12, 1926. Exponents found
   in the retina lie nearer to 2.5 than to Murray's 3.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sam2lora.synthetic.primitives import STEP_MM, Floats, resample, wind

Kind = Literal["artery", "vein"]


@dataclass(frozen=True)
class Trunk:
    """A main vessel of all eyes, or of a share of eyes: the points it passes, in mm.

    Attributes
    ----------
    beyond
        Length in mm of the vessels supplied beyond the last point.
    share
        Share of eyes that have it.
    forks
        Whether it branches off the nearest earlier trunk rather than the hilum.
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
    # The nasal arcades branch off them on the disc.
    Trunk(((-0.45, 0.9), (-1.1, 2.2), (-2.4, 4.0), (-3.9, 6.2), (-5.5, 8.5)), 10),
    Trunk(((-0.45, -0.9), (-1.2, -2.2), (-2.6, -4.1), (-4.2, -6.2), (-6.0, -8.5)), 10),
    Trunk(((-0.85, 0.35), (-1.9, 0.7), (-3.6, 1.2), (-7.0, 2.0)), 3),
    Trunk(((-0.85, -0.3), (-1.9, -0.6), (-3.6, -1.0), (-7.0, -1.5)), 3, 0.7),
    # The arcades fork towards the periphery, early or late.
    Trunk(((1.3, 3.5), (2.4, 5.6), (3.9, 8.0)), 8, 0.75),
    Trunk(((1.2, -3.6), (2.2, -5.8), (3.6, -8.2)), 8, 0.75),
    Trunk(((5.2, 4.9), (7.4, 5.8), (10.0, 6.6)), 5, 0.7),
    Trunk(((5.4, -5.2), (7.6, -6.0), (10.0, -6.8)), 5, 0.7),
    # Fine trunks run from the disc to the macula.
    Trunk(((0.9, 0.4), (1.7, 0.6), (2.7, 0.5), (3.6, 0.2)), 0, 0.7),
    Trunk(((0.9, -0.4), (1.7, -0.8), (2.7, -1.0), (3.7, -0.9)), 0, 0.7),
)

AVASCULAR_RADIUS_MM = 0.45
"""Smallest distance of a visible vessel from the fovea."""
SUPPLY_UNIT_MM = 0.5
"""Length of the vessels that the finest visible vessel supplies."""
TRUNK_WAVES = ((5.0, 0.10), (2.4, 0.04), (1.2, 0.012))
BRANCH_WAVES = ((3.0, 0.08), (1.5, 0.035), (0.8, 0.010))
"""Wavelengths and amplitudes in mm of vessels of average tortuosity."""
TARGETS = 1800
"""Number of candidate points in the square around the circle."""
CELL_MM = 0.06
CELLS = 600


@dataclass(frozen=True)
class TreePlan:
    """Parameters of a pair of trees: lengths in mm, points `(x, y)` in the module's plane.

    Attributes
    ----------
    hilum
        Point of the disc where the central vessels emerge.
    fovea
        Center of the macula.
    center, radius
        Circle that is filled with branches; trunks end where they leave it.
    spacing
        Distance to other vessels below which no further branch grows; smaller is denser.
    tortuosity
        0 for the straightest vessels, 1 for very tortuous ones.
    artery_width, vein_width
        Width of the widest artery and vein.
    finest_width
        Width of the finest visible vessels.
    """

    hilum: tuple[float, float]
    fovea: tuple[float, float]
    center: tuple[float, float]
    radius: float
    spacing: float
    tortuosity: float
    artery_width: float
    vein_width: float
    finest_width: float


@dataclass(frozen=True, eq=False)
class VesselTree:
    """A tree as N segments.

    Attributes
    ----------
    start, end
        End points `(N, 2)` in mm.
    start_radius, end_radius
        Radii `(N,)` in mm.
    visible
        Visibility `(N,)` from 0 to 1; the tips of the finest branches fade.
    """

    start: Floats
    end: Floats
    start_radius: Floats
    end_radius: Floats
    visible: Floats


def grow_vessels(rng: np.random.Generator, plan: TreePlan) -> dict[Kind, VesselTree]:
    """Grow the artery and the vein tree of one eye together, so that they share the space."""
    targets = _sample_targets(rng, plan)
    spread = 0.07 * rng.standard_normal((2, 2))
    artery = _Growth(plan, targets, spread[0] - np.asarray((0.10, 0.0)))
    vein = _Growth(plan, targets, spread[1] + np.asarray((0.04, 0.0)))
    for trunk in TRUNKS:
        path = np.asarray(trunk.points)
        path = path + _displacement(rng, path, 0.055)
        side = 1.0 if rng.random() < 0.5 else -1.0
        for growth, sway in ((artery, side), (vein, -side)):
            displaced = path + _displacement(rng, path, 0.05)
            if rng.random() < trunk.share:
                growth.add_trunk(rng, displaced, trunk, sway)
    while True:
        artery_grew = artery.add_branch(rng, vein)
        vein_grew = vein.add_branch(rng, artery)
        if not (artery_grew or vein_grew):
            break
    return {
        "artery": artery.finish(plan.artery_width, plan.finest_width),
        "vein": vein.finish(plan.vein_width, plan.finest_width),
    }


def _displacement(rng: np.random.Generator, points: Floats, amount: float) -> Floats:
    """Sample a displacement of each point that grows with its distance from the disc."""
    distance = np.sqrt((points**2).sum(axis=1, keepdims=True))
    shift: Floats = amount * np.clip(distance, 2.0, 6.0) * rng.standard_normal(points.shape)
    return shift


def _sample_targets(rng: np.random.Generator, plan: TreePlan) -> Floats:
    """Sample points to supply, uniformly in the circle, off the disc and off the foveal zone."""
    points = plan.radius * rng.uniform(-1, 1, (TARGETS, 2)) + np.asarray(plan.center)
    inside = _distance(points, plan.center) < plan.radius
    off_disc = _distance(points, (0.0, 0.0)) > 0.75
    off_fovea = _distance(points, plan.fovea) > AVASCULAR_RADIUS_MM
    targets: Floats = np.round(points[inside & off_disc & off_fovea], 6)
    return targets


def _distance(points: Floats, point: tuple[float, float] | Floats) -> Floats:
    offset = points - np.asarray(point)
    distance: Floats = np.sqrt(offset[..., 0] ** 2 + offset[..., 1] ** 2)
    return distance


class _Growth:
    """One tree while it grows. Nodes are numbered so that a parent comes before its children."""

    def __init__(self, plan: TreePlan, targets: Floats, aside: Floats) -> None:
        self.plan = plan
        self.targets = targets
        self.winding = 0.5 + 1.5 * plan.tortuosity
        self.room = np.full(len(targets), np.inf)
        middles = (np.arange(CELLS) - CELLS // 2 + 0.5) * CELL_MM
        across, up = np.meshgrid(middles + plan.center[0], middles + plan.center[1])
        self.taken = _distance(np.stack([across, up], axis=-1), plan.fovea) < AVASCULAR_RADIUS_MM
        self.points = np.round(np.asarray([plan.hilum]) + aside, 6)
        self.heading = np.asarray([(0.0, 0.0)])
        self.free = np.asarray([False])
        self.parent = [-1]
        self.beyond = {0: 0.0}

    def add_trunk(
        self, rng: np.random.Generator, points: Floats, trunk: Trunk, side: float
    ) -> None:
        """Grow a trunk through `points` until it leaves the circle."""
        node = self._best_parent(points[0], same_half=True) if trunk.forks else 0
        ahead = points[_distance(points, self.points[node]) > 0.5]
        start = self.points[node : node + 1]
        if not trunk.forks:  # the central vessels rise straight from the hilum
            lean = rng.uniform(-0.18, 0.12)
            rise = start + np.asarray([(lean, 0.35 * np.sign(points[0, 1]))])
            start = np.concatenate([start, rise])
        path = resample(np.concatenate([start, ahead]))
        path = wind(rng, path, TRUNK_WAVES, self.winding, sway=0.12 * side)
        outside = np.flatnonzero(_distance(path, self.plan.center) > self.plan.radius + 0.5)
        if len(outside):
            path = path[: outside[0] + 1]
        near_fovea = np.flatnonzero(_distance(path, self.plan.fovea) < 1.3 * AVASCULAR_RADIUS_MM)
        if len(near_fovea):
            path = path[: near_fovea[0]]
        if len(path) < 5:
            return
        self._add(node, path[1:])
        self.beyond[len(self.points) - 1] = trunk.beyond + 1.5 * STEP_MM * len(outside)

    def add_branch(self, rng: np.random.Generator, other: "_Growth") -> bool:
        """Grow one branch to a point far from other vessels; return False if there is none."""
        space = np.minimum(self.room, 1.8 * other.room)
        candidates = np.flatnonzero(space > self.plan.spacing)
        if not len(candidates):
            return False
        some = candidates[rng.integers(0, len(candidates), 14)]
        chosen = some[np.argmax(space[some])]
        target = self.targets[chosen]
        node = self._best_parent(target)
        path = self._path(rng, node, target)
        if self._is_taken(path):
            self.room[chosen] = 0.0
            return True
        self._add(node, path)
        self.free[max(node - 3, 0) : node + 4] = False
        return True

    def _best_parent(self, target: Floats, *, same_half: bool = False) -> int:
        """Find the node from which a forward branch to `target` is shortest.

        With `same_half`, only nodes on the target's side of the hilum (above or below) qualify.
        """
        offset = target - self.points
        distance = _distance(self.points, target)
        cosine = (offset * self.heading).sum(axis=1) / np.maximum(distance, 1e-9)
        cost = distance * (1 + 0.6 * (1 - cosine))
        free = self.free
        if same_half:
            free = free & ((self.points[:, 1] > self.points[0, 1]) == (target[1] > 0))
        return int(np.argmin(np.where(free, cost, np.inf)))

    def _path(self, rng: np.random.Generator, node: int, target: Floats) -> Floats:
        """Sample a Bezier curve from a node to `target`; near the macula it points to the fovea."""
        start, heading = self.points[node], self.heading[node]
        offset = target - start
        length = float(np.sqrt((offset**2).sum()))
        direct = offset / length
        leave = 0.55 * heading + direct
        leave /= np.sqrt((leave**2).sum())
        to_fovea = np.asarray(self.plan.fovea) - target
        away = float(np.sqrt((to_fovea**2).sum()))
        if away < 2.5:
            direct = direct + (1.2 - 0.4 * away) * to_fovea / away
            direct /= np.sqrt((direct**2).sum())
        bend = 0.25 * rng.standard_normal()
        arrive = direct + bend * np.asarray([-direct[1], direct[0]])
        reach = 0.38 * length
        t = np.linspace(0, 1, max(int(length / STEP_MM), 2) + 1)[:, None]
        path = (1 - t) ** 3 * start + t**3 * target
        path += 3 * t * (1 - t) ** 2 * (start + reach * leave)
        path += 3 * t**2 * (1 - t) * (target - reach * arrive)
        return wind(rng, path, BRANCH_WAVES, self.winding)[1:]

    def _add(self, node: int, path: Floats) -> None:
        """Append a path to a node, and update the space that is left."""
        first = len(self.points)
        steps = np.diff(path, axis=0, prepend=self.points[node : node + 1])
        steps /= np.maximum(np.sqrt((steps**2).sum(axis=1, keepdims=True)), 1e-9)
        self.points = np.concatenate([self.points, path])
        self.heading = np.concatenate([self.heading, steps])
        free = np.ones(len(path), dtype=bool)
        free[:3] = False
        self.free = np.concatenate([self.free, free])
        self.parent += [node, *range(first, first + len(path) - 1)]
        rows, columns = self._cells(path[4:])
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                self.taken[rows + dy, columns + dx] = True
        nearest = np.full(len(self.targets), np.inf)
        for point in path[::2]:
            nearest = np.minimum(nearest, _distance(self.targets, point))
        self.room = np.minimum(self.room, nearest)

    def _cells(self, path: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        cells = np.floor((path - np.asarray(self.plan.center)) / CELL_MM).astype(np.intp)
        cells = np.clip(cells + CELLS // 2, 1, CELLS - 2)
        return cells[:, 1], cells[:, 0]

    def _is_taken(self, path: Floats) -> bool:
        return bool(self.taken[self._cells(path[3:])].any())

    def finish(self, width: float, finest: float) -> VesselTree:
        """Compute the radii, and return the tree as segments."""
        supply = np.zeros(len(self.points))
        for node, beyond in self.beyond.items():
            supply[node] += beyond
        for node in range(len(self.parent) - 1, 0, -1):
            supply[self.parent[node]] += supply[node] + STEP_MM
        parent = np.asarray(self.parent[1:])
        widest = supply[1:].max()
        power = np.log(width / finest) / np.log(1 + widest / SUPPLY_UNIT_MM)
        radius = np.round(finest / 2 * (1 + supply / SUPPLY_UNIT_MM) ** power, 6)
        end = radius[1:]
        start = np.minimum(radius[parent], 1.15 * end)
        visible = np.minimum(0.35 + supply[1:] / 0.8, 1.0)
        return VesselTree(self.points[parent], self.points[1:], start, end, visible)

"""Draw `docs/images/architecture.svg` from the imports: which room of the code uses which.

A room stands above all rooms that it imports. Arrows that follow from others are left out: where A
uses B and B uses C, no arrow goes from A to C. Run it by `python -m scripts.draw_architecture`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from pathlib import Path
from xml.sax.saxutils import escape

from scripts.room_graph import Graph, Room, floors_of, read_rooms, reduce_graph
from scripts.source_tree import PACKAGES, ROOT

PICTURE = ROOT / "docs" / "images" / "architecture.svg"
WIDTH, ROW, HEIGHT, GAP, BETWEEN = 1200, 80, 50, 22, 8  # pixels
GREY = "#555555"
COLORS = {"napari_sam2lora": ("#e8f3f1", "#00796b"), "sam2lora": ("#fdf1e7", "#bf5b17")}
"""Of each half: the ground, and lines and titles."""


@dataclass(eq=False)
class Spot:
    """A place on a floor: that of a room, or where a long arrow passes.

    Attributes
    ----------
    room
        None where an arrow passes.
    width
        In pixels.
    x
        The middle, in pixels.
    above, below
        What it is joined with on the next floors.
    """

    room: Room | None
    width: float
    x: float
    above: list["Spot"]
    below: list["Spot"]


def place(
    floors: Sequence[Sequence[Room]], graph: Graph, widths: Mapping[Room, float]
) -> tuple[list[list[Spot]], list[list[Spot]]]:
    """Find a place for every room of a half, so that arrows are short and cross little.

    Returns
    -------
    The spots of each floor from left to right, and the spots that each arrow joins.
    """
    spots = {room: Spot(room, widths[room], 0, [], []) for floor in floors for room in floor}
    level = {room: number for number, floor in enumerate(floors) for room in floor}
    rows = [[spots[room] for room in floor] for floor in floors]
    arrows = []
    for room in sorted(spots):
        for used in sorted(one for one in graph[room] if one in spots):
            passed = [Spot(None, 12, 0, [], []) for _ in range(level[room] + 1, level[used])]
            for number, spot in enumerate(passed, start=level[room] + 1):
                rows[number].append(spot)
            arrow = [spots[room], *passed, spots[used]]
            for upper, lower in pairwise(arrow):
                upper.below.append(lower)
                lower.above.append(upper)
            arrows.append(arrow)
    for row in rows:
        _set_x(row, [0] * len(row))
    for sweep in range(40):
        downward = sweep % 2 == 0
        for row in rows if downward else reversed(rows):
            wanted = [_mean_neighbour(spot, spot.above if downward else spot.below) for spot in row]
            order = sorted(range(len(row)), key=wanted.__getitem__)
            row[:] = [row[number] for number in order]
            _set_x(row, [wanted[number] for number in order])
    left = min(spot.x - spot.width / 2 for row in rows for spot in row)
    right = max(spot.x + spot.width / 2 for row in rows for spot in row)
    for spot in (spot for row in rows for spot in row):
        spot.x += (WIDTH - left - right) / 2
    return rows, arrows


def _mean_neighbour(spot: Spot, joined: Sequence[Spot]) -> float:
    return _mean([one.x for one in joined]) if joined else spot.x


def _set_x(row: Sequence[Spot], wanted: Sequence[float]) -> None:
    """Move the spots of a floor as near as can be to where they should be, without overlap.

    Neighbours that would overlap become a block that lies at the mean of what its parts want.
    """
    offsets = [0.0]
    for before, spot in pairwise(row):
        offsets.append(offsets[-1] + (before.width + spot.width) / 2 + GAP)
    blocks: list[list[float]] = []
    for x, offset in zip(wanted, offsets, strict=True):
        blocks.append([x - offset])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    starts = [_mean(block) for block in blocks for _ in block]
    for spot, start, offset in zip(row, starts, offsets, strict=True):
        spot.x = start + offset


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def draw() -> str:
    """Return the picture as SVG; the same code gives the same text."""
    graph = reduce_graph(read_rooms())
    parts: list[str] = []
    top = 0.0
    for package, folder in PACKAGES.items():
        floors = floors_of(graph, package)
        lines = {room: _lines(room, graph, folder) for floor in floors for room in floor}
        widths = {room: _width(text) for room, text in lines.items()}
        rows, arrows = place(floors, graph, widths)
        height = ROW * (len(rows) - 1) + HEIGHT / 2 + 68
        parts += _draw_half(package, top, height, rows, arrows, lines)
        top += height + BETWEEN
    height = top - BETWEEN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
            'font-family="Helvetica, Arial, sans-serif" text-anchor="middle">',
            f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _lines(room: Room, graph: Graph, folder: Path) -> list[str]:
    """Return the text of a room: its name, the folders in it, what of the other package it uses."""
    package, name = room
    inside = sorted(path.parent.name for path in (folder / name).glob("*/__init__.py"))
    others = sorted(other for half, other in graph[room] if half != package)
    lines = [name, ", ".join(inside), f"→ {', '.join(others)}" if others else ""]
    return [line for line in lines if line]


def _width(lines: Sequence[str]) -> float:
    name, *notes = map(len, lines)
    return max(8.4 * name, *(6.2 * note for note in notes), 60) + 24


def _draw_half(
    package: str,
    top: float,
    height: float,
    rows: Sequence[Sequence[Spot]],
    arrows: Sequence[Sequence[Spot]],
    lines: Mapping[Room, Sequence[str]],
) -> list[str]:
    fill, ink = COLORS[package]
    middles = {id(spot): top + 52 + ROW * floor for floor, row in enumerate(rows) for spot in row}
    parts = [
        f'<rect x="1" y="{top + 1:.0f}" width="{WIDTH - 2}" height="{height - 2:.0f}" rx="8" '
        f'fill="{fill}"/>',
        f'<text x="14" y="{top + 26:.0f}" font-size="16" font-weight="bold" text-anchor="start" '
        f'fill="{ink}">{package}</text>',
    ]
    if any(line.startswith("→") for text in lines.values() for line in text):
        other = next(name for name in PACKAGES if name != package)
        parts.append(
            f'<text x="14" y="{top + 46:.0f}" font-size="12" text-anchor="start" fill="{GREY}">'
            f"→ in a box: what it uses from {other}</text>"
        )
    for arrow in arrows:
        parts += _draw_arrow(arrow, middles, ink)
    for spot in (spot for row in rows for spot in row if spot.room):
        parts += _draw_room(spot, middles[id(spot)], lines[spot.room], ink)
    return parts


def _draw_arrow(arrow: Sequence[Spot], middles: Mapping[int, float], ink: str) -> list[str]:
    """Draw a line from the lower edge of a room, through where it passes, to another's upper."""
    first, last = arrow[0], arrow[-1]
    points = [(_end(first, first.below, arrow[1]), middles[id(first)] + HEIGHT / 2)]
    for spot in arrow[1:-1]:
        y = middles[id(spot)]
        points += [(spot.x, y - HEIGHT / 2), (spot.x, y + HEIGHT / 2)]
    points.append((_end(last, last.above, arrow[-2]), middles[id(last)] - HEIGHT / 2 - 5))
    path = f"M{points[0][0]:.0f},{points[0][1]:.0f}"
    for number, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
        bend = (y1 - y0) * (0.6 if number % 2 == 0 else 0)
        path += f" C{x0:.0f},{y0 + bend:.0f} {x1:.0f},{y1 - bend:.0f} {x1:.0f},{y1:.0f}"
    x, y = points[-1]
    return [
        f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="1.2" opacity="0.6"/>',
        f'<path d="M{x - 4:.0f},{y - 2:.0f} l4,7 l4,-7 z" fill="{ink}"/>',
    ]


def _end(spot: Spot, joined: Sequence[Spot], other: Spot) -> float:
    """Return where an arrow meets the edge of a room: beside the others, in their order."""
    order = sorted(joined, key=lambda one: one.x)
    number = next(number for number, one in enumerate(order) if one is other)
    return spot.x + (number - (len(order) - 1) / 2) * min(12, 0.7 * spot.width / len(order))


def _draw_room(spot: Spot, middle: float, lines: Sequence[str], ink: str) -> list[str]:
    left, upper = spot.x - spot.width / 2, middle - HEIGHT / 2
    parts = [
        f'<rect x="{left:.0f}" y="{upper:.0f}" width="{spot.width:.0f}" height="{HEIGHT}" rx="6" '
        f'fill="white" stroke="{ink}"/>'
    ]
    for number, line in enumerate(lines):
        y = middle + 4 + 14 * (number - (len(lines) - 1) / 2)
        look = (
            'font-size="14" font-weight="bold"' if number == 0 else 'font-size="11" fill="#555555"'
        )
        parts.append(f'<text x="{spot.x:.0f}" y="{y:.0f}" {look}>{escape(line)}</text>')
    return parts


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")

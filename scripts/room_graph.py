"""The rooms of the code, and which room imports which.

A room is a folder of `napari_sam2lora` or of `sam2lora`, or a module beside them.
"""

from collections.abc import Mapping
from pathlib import Path

from scripts.source_tree import PACKAGES, imports, modules

MANIFEST = "_reader, _writer, _sample_data"
TOGETHER = dict.fromkeys(MANIFEST.split(", "), MANIFEST)
"""Modules that are one room: what napari finds by the manifest, and nothing imports."""

Room = tuple[str, str]  # the package, and the folder or module in it
Graph = dict[Room, set[Room]]


def read_rooms(packages: Mapping[str, Path] = PACKAGES) -> Graph:
    """Return the rooms of both packages, each with those it imports; not for type checks alone."""
    found = modules(packages)
    graph: Graph = {room: set() for room in map(_room, found) if room}
    for name, path in found.items():
        room = _room(name)
        if room is None:
            continue
        for imported in imports(path.read_text(encoding="utf-8"), name):
            used = _room(imported) if imported in found else None
            if used and used != room:
                graph[room].add(used)
    return graph


def _room(module: str) -> Room | None:
    """Return the room of a module; None for a package itself and for `__main__`."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return None if name in ("", "__main__") else (package, TOGETHER.get(name, name))


def reduce_graph(graph: Graph) -> Graph:
    """Return the transitive reduction of a graph without cycles: arrows that follow are left out.

    Raises
    ------
    ValueError
        If rooms import each other in a circle.
    """
    reached: Graph = {}

    def reach(room: Room, path: tuple[Room, ...] = ()) -> set[Room]:
        if room in path:
            names = " → ".join(name for _, name in (*path[path.index(room) :], room))
            raise ValueError(f"These rooms import each other in a circle: {names}.")
        if room not in reached:
            below = (reach(used, (*path, room)) | {used} for used in graph[room])
            reached[room] = set().union(*below)
        return reached[room]

    for room in graph:
        reach(room)
    return {
        room: {one for one in used if not any(one in reached[other] for other in used)}
        for room, used in graph.items()
    }


def floors_of(graph: Graph, package: str) -> list[list[Room]]:
    """Return the rooms of a package by floor, the top one first.

    A room lies right above what it uses; one that uses none of the package, right below its users.
    """
    own = sorted(room for room in graph if room[0] == package)
    used = {room: [one for one in own if one in graph[room]] for room in own}

    def height(room: Room) -> int:
        return max((height(one) + 1 for one in used[room]), default=0)

    floors = {room: height(room) for room in own}
    for room in own:
        users = [floors[user] for user in own if room in graph[user]]
        if users and not used[room]:
            floors[room] = min(users) - 1
    top = max(floors.values())
    return [[room for room in own if floors[room] == floor] for floor in range(top, -1, -1)]

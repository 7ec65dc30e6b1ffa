"""A drag in a Points layer as a chain of points, such as along a branch."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.layers import Points

_APART = 16.0  # screen pixels between two points


def add_stroke(wanted: Callable[[], bool]) -> Callable[[Points, Any], Generator[None, None, None]]:
    """Return a drag callback that adds the points of a stroke at once, when it ends.

    napari's own callback adds the point of a mere click; it takes a drag for panning.

    Parameters
    ----------
    wanted
        Function that returns whether a drag draws a stroke now.
    """

    def draw(layer: Points, event: Any) -> Generator[None, None, None]:
        if str(layer.mode) != "add" or not wanted():
            return
        places, last = [layer.world_to_data(event.position)], np.array(event.pos)
        yield
        while event.type == "mouse_move":
            event.handled = True  # the canvas stays where it is
            if np.linalg.norm(np.array(event.pos) - last) >= _APART:
                places.append(layer.world_to_data(event.position))
                last = np.array(event.pos)
            yield
        if len(places) > 1:
            layer.add(np.array(places)[:, -2:])

    return draw

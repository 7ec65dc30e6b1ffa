"""Notice that somebody works in a viewer: the mouse on the canvas, whatever it does."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from napari.viewer import Viewer

_PAUSE = 1.0  # seconds in which one action stands for all


class Activity:
    """Calls a function when the mouse does something on the canvas, at most once a second.

    Parameters
    ----------
    viewer
        The viewer.
    acted
        The function.
    """

    def __init__(self, viewer: Viewer, acted: Callable[[], None]) -> None:
        self._acted, self._last = acted, 0.0
        self._lists: list[list[Callable[..., Any]]] = [
            viewer.mouse_move_callbacks,
            viewer.mouse_wheel_callbacks,
            viewer.mouse_drag_callbacks,
        ]
        for callbacks in self._lists:
            callbacks.append(self._on_mouse)

    def close(self) -> None:
        """Call the function no more; calling this again does nothing."""
        while self._lists:
            callbacks = self._lists.pop()
            if self._on_mouse in callbacks:
                callbacks.remove(self._on_mouse)

    def _on_mouse(self, viewer: Viewer, event: Any) -> Iterator[None] | None:
        now = time.monotonic()
        if now - self._last >= _PAUSE:
            self._last = now
            self._acted()
        return None

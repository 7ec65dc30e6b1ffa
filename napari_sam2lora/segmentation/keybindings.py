"""Keys that work while one of the image's layers is selected.

They are bound to the layers themselves: there they win over what napari binds to the same key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from napari.layers import Layer


@dataclass(frozen=True)
class KeyBinding:
    """One key.

    Attributes
    ----------
    napari
        As napari spells it.
    shown
        As people do.
    action
        What it does, by the name of the dock's method.
    description
        What it does, to be read.
    everywhere
        On all layers of the image; else on its prompts alone.
    """

    napari: str
    shown: str
    action: str
    description: str
    everywhere: bool = True


KEYS = (
    KeyBinding("G", "G", "segment", "segment the target"),
    KeyBinding("Shift-G", "Shift+G", "segment_all", "segment vessel, disc and cup"),
    KeyBinding("Q", "Q", "toggle_positive", "switch between points on and off the target"),
    KeyBinding("U", "U", "use_points", "set points"),
    KeyBinding("K", "K", "use_box", "draw a box"),
    KeyBinding("N", "N", "clear", "clear the points and the box"),
    KeyBinding("W", "W", "accept", "accept the answer into the mask"),
    KeyBinding("H", "H", "toggle_preview", "hide or show the answer"),
    KeyBinding("Control-Z", "Ctrl+Z", "undo", "take the last point or box back", everywhere=False),
    KeyBinding("Control-Shift-Z", "Ctrl+Shift+Z", "redo", "put it back", everywhere=False),
)
"""All keys of the dock."""


def bind(layer: Layer, actions: Mapping[str, Callable[[], object]], *, prompts: bool) -> None:
    """Bind the keys to a layer.

    Parameters
    ----------
    layer
        One of the image's layers.
    actions
        What each key does, by its action.
    prompts
        Whether it is a layer of prompts, where Ctrl+Z takes prompts back. On others it stays what
        it is, such as the undo of a mask.
    """
    for key in KEYS:
        if key.everywhere or prompts:
            layer.bind_key(key.napari, _pressed(actions[key.action]), overwrite=True)


def unbind(layer: Layer) -> None:
    """Give the keys of a layer back to napari."""
    for key in KEYS:
        layer.bind_key(key.napari, None)


def table() -> str:
    """Give the keys as rows of a table in HTML."""
    rows = "".join(
        f"<tr><td><b>{k.shown}</b>&nbsp;&nbsp;</td><td>{k.description}</td></tr>" for k in KEYS
    )
    return f"<table>{rows}</table>"


def _pressed(action: Callable[[], object]) -> Callable[[Layer], None]:
    def press(layer: Layer) -> None:
        action()

    return press

"""Key bindings of the image's layers.

They are bound to the layers themselves, where they take precedence over napari's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from napari.layers import Layer


@dataclass(frozen=True)
class KeyBinding:
    """One key binding.

    Attributes
    ----------
    napari
        The key as napari spells it.
    shown
        The key as users read it.
    action
        Name of the dock's method it calls.
    description
        What it does.
    everywhere
        Bound on all layers of the image; else on its prompts only.
    """

    napari: str
    shown: str
    action: str
    description: str
    everywhere: bool = True


KEYS = (
    KeyBinding("G", "G", "segment", "segment the target"),
    KeyBinding("Shift-G", "Shift+G", "segment_all", "segment all that have an adapter"),
    KeyBinding("Q", "Q", "toggle_positive", "− Point; again: switch between + and −"),
    KeyBinding("U", "U", "use_points", "+ Point: clicks add to the target"),
    KeyBinding("K", "K", "use_box", "draw a box"),
    KeyBinding("B", "B", "use_branch", "add or remove branches by a click or a drag (vessels)"),
    KeyBinding("O", "O", "use_outline", "drag an ellipse to the outline (disc, cup)"),
    KeyBinding("N", "N", "clear", "remove all points, the box and the outline"),
    KeyBinding("W", "W", "accept", "accept the prediction into the mask"),
    KeyBinding("Shift-W", "Shift+W", "accept_all", "accept the predictions of all targets"),
    KeyBinding("D", "D", "finish", "accept all, mark the image as done, show the next one"),
    KeyBinding("T", "T", "next_target", "select the next target"),
    KeyBinding("Shift-T", "Shift+T", "previous_target", "select the previous target"),
    KeyBinding("H", "H", "toggle_preview", "hide or show the preview"),
    KeyBinding("Control-Z", "Ctrl+Z", "undo", "undo the last prompt", everywhere=False),
    KeyBinding("Control-Shift-Z", "Ctrl+Shift+Z", "redo", "redo it", everywhere=False),
)
"""All key bindings of the dock."""

OTHERS = (
    ("Ctrl+PgUp, Ctrl+PgDown", "previous, next image of the list"),
    ("Ctrl+Z on a mask", "undo painting or accepting (napari)"),
)
"""Keys that belong to the image list and to napari."""


def bind(layer: Layer, actions: Mapping[str, Callable[[], object]], *, prompts: bool) -> None:
    """Bind the keys to a layer.

    Parameters
    ----------
    layer
        One of the image's layers.
    actions
        The function of each action.
    prompts
        Whether it is a layer of prompts, where Ctrl+Z undoes prompts. On others it stays napari's,
        such as the undo of a mask.
    """
    for key in KEYS:
        if key.everywhere or prompts:
            layer.bind_key(key.napari, _pressed(actions[key.action]), overwrite=True)


def unbind(layer: Layer) -> None:
    """Restore napari's own keys on a layer."""
    for key in KEYS:
        layer.bind_key(key.napari, None)


def table() -> str:
    """Return the key bindings, and those of the image list, as an HTML table."""
    ours = [(key.shown, key.description) for key in KEYS]
    rows = "".join(
        f"<tr><td><b>{keys}</b>&nbsp;&nbsp;</td><td>{does}</td></tr>"
        for keys, does in (*ours, *OTHERS)
    )
    return f"<table>{rows}</table>"


def _pressed(action: Callable[[], object]) -> Callable[[Layer], None]:
    def press(layer: Layer) -> None:
        action()

    return press

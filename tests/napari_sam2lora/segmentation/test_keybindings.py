"""Keys on the image's layers."""

import numpy as np
import pytest
from napari.layers import Labels, Points

from napari_sam2lora.segmentation import keybindings as keys

from ..segmentation_window import WAIT, Window


class Pressed(dict):
    """Actions that note that they were done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        super().__init__({key.action: self._action(key.action) for key in keys.KEYS})

    def _action(self, name: str):
        return lambda: self.done.append(name)


def test_ctrl_z_is_the_masks_own_except_on_prompts():
    pressed = Pressed()
    points, labels = Points(), Labels(np.zeros((2, 2), np.uint8))
    keys.bind(points, pressed, prompts=True)
    keys.bind(labels, pressed, prompts=False)
    spelled = [[str(key) for key in layer.keymap] for layer in (points, labels)]
    assert "Ctrl+Z" in spelled[0]
    assert "Ctrl+Z" not in spelled[1]
    for function in points.keymap.values():
        function(points)
    assert sorted(pressed.done) == sorted(key.action for key in keys.KEYS)


def test_they_can_be_given_back():
    labels = Labels(np.zeros((2, 2), np.uint8))
    keys.bind(labels, Pressed(), prompts=False)
    keys.unbind(labels)
    assert labels.keymap == {}


def test_the_help_has_every_key():
    for key in keys.KEYS:
        assert key.shown in keys.table()
        assert key.description in keys.table()


@pytest.mark.viewer
def test_they_win_over_naparis_in_the_window(window: Window):
    """Pressed as napari delivers them: to the active layer first."""
    window.segment()
    window.viewer.layers.selection.active = window.viewer.layers["photo disc points"]
    for key, check in (
        ("Q", lambda: not window.session.prompts.positive),
        ("K", lambda: window.session.tool == "box"),
        ("U", lambda: window.session.tool == "point"),
        ("H", lambda: not window.preview().visible),
        ("H", lambda: window.preview().visible),
        ("W", lambda: "photo disc" in window.viewer.layers),
    ):
        active = window.viewer.layers.selection.active
        (function,) = (made for name, made in active.keymap.items() if str(name) == key)
        function(active)
        assert check(), key
    active = window.viewer.layers.selection.active
    window.qtbot.waitUntil(lambda: bool(active.keymap))  # the mask has just been made
    with window.qtbot.waitSignal(window.session.queue.result_ready, timeout=WAIT):
        (function,) = (made for name, made in active.keymap.items() if str(name) == "G")
        function(active)

"""Keys that are bound to the layers of the plugin."""

import numpy as np
import pytest
from napari.layers import Labels, Points

from napari_sam2lora.segmentation import keybindings

from ..segmentation_window import WAIT, Window


class RecordedActions(dict):
    """Actions that record their calls."""

    def __init__(self) -> None:
        self.called: list[str] = []
        super().__init__({key.action: self._action(key.action) for key in keybindings.KEYS})

    def _action(self, name: str):
        return lambda: self.called.append(name)


def test_ctrl_z_is_bound_on_prompts_but_not_on_masks():
    actions = RecordedActions()
    points, labels = Points(), Labels(np.zeros((2, 2), np.uint8))
    keybindings.bind(points, actions, prompts=True)
    keybindings.bind(labels, actions, prompts=False)
    names = [[str(key) for key in layer.keymap] for layer in (points, labels)]
    assert "Ctrl+Z" in names[0]
    assert "Ctrl+Z" not in names[1]
    for function in points.keymap.values():
        function(points)
    assert sorted(actions.called) == sorted(key.action for key in keybindings.KEYS)


def test_unbind_removes_all_keys():
    labels = Labels(np.zeros((2, 2), np.uint8))
    keybindings.bind(labels, RecordedActions(), prompts=False)
    keybindings.unbind(labels)
    assert labels.keymap == {}


def test_help_lists_every_key():
    for key in keybindings.KEYS:
        assert key.shown in keybindings.table()
        assert key.description in keybindings.table()


@pytest.mark.viewer
def test_keys_of_the_plugin_precede_those_of_napari(window: Window):
    """Napari passes keys to the active layer first."""
    window.segment()
    window.viewer.layers.selection.active = window.viewer.layers["photo disc points"]
    for key, check in (
        ("Q", lambda: not window.session.prompts.positive),
        ("K", lambda: window.session.tool == "box"),
        ("U", lambda: window.session.tool == "point" and window.session.prompts.positive),
        ("H", lambda: not window.preview().visible),
        ("H", lambda: window.preview().visible),
        ("W", lambda: "photo disc" in window.viewer.layers),
    ):
        active = window.viewer.layers.selection.active
        (function,) = (call for name, call in active.keymap.items() if str(name) == key)
        function(active)
        assert check(), key
    active = window.viewer.layers.selection.active
    window.qtbot.waitUntil(lambda: bool(active.keymap))  # the mask is new
    with window.qtbot.waitSignal(window.session.queue.result_ready, timeout=WAIT):
        (function,) = (call for name, call in active.keymap.items() if str(name) == "G")
        function(active)

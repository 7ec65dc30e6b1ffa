"""Keys that are bound to the layers of the plugin."""

import numpy as np
import pytest
from napari.layers import Labels, Points
from qtpy.QtWidgets import QPushButton

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


@pytest.mark.viewer
def test_q_takes_up_negative_points_after_accept_all(window: Window):
    """Accepting selects the mask, so no point tool is active any more."""
    window.segment()
    window.dock.accept_all()
    active = window.viewer.layers.selection.active
    assert (active.name, window.session.tool) == ("photo disc", None)
    window.qtbot.waitUntil(lambda: bool(active.keymap))  # the mask is new
    (function,) = (call for name, call in active.keymap.items() if str(name) == "Q")
    function(active)
    buttons = window.dock.prompts.findChildren(QPushButton)
    assert [button.text() for button in buttons if button.isChecked()] == ["− Point"]
    with window.wait_result():
        window.click(120, 90)
    (point,) = window.session.prompts.at(window.session.target_key).points
    assert not point.positive

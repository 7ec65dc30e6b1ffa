"""The buttons for points and boxes."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.prompt_controls import PromptControls

from ...helpers import press


@pytest.fixture
def controls(qtbot: QtBot) -> PromptControls:
    """Create the controls."""
    controls = PromptControls()
    qtbot.addWidget(controls)
    return controls


def test_buttons_emit_requests(controls: PromptControls):
    emitted: list[object] = []
    controls.point_requested.connect(emitted.append)
    controls.box_requested.connect(lambda: emitted.append("box"))
    controls.undo_requested.connect(lambda: emitted.append("undo"))
    controls.clear_requested.connect(lambda: emitted.append("clear"))
    controls.use_mask_toggled.connect(emitted.append)
    for text in ("+ Point", "− Point", "Box", "Undo", "Clear", "Use current mask as prompt"):
        press(controls, text)
    assert emitted == [True, False, "box", "undo", "clear", True]


@pytest.mark.parametrize(
    ("tool", "positive", "checked"),
    [
        ("point", True, ["+ Point"]),
        ("point", False, ["− Point"]),
        ("box", False, ["Box"]),
        (None, True, []),
    ],
)
def test_button_of_the_active_tool_is_checked(
    controls: PromptControls, tool: str | None, positive: bool, checked: list[str]
):
    controls.show_tool("box", True)
    controls.show_tool(tool, positive)
    tools = controls._tools.items()
    assert [text for text, button in tools if button.isChecked()] == checked

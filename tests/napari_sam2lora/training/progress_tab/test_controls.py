"""What can be asked of a run."""

import pytest
from qtpy.QtWidgets import QPushButton

from napari_sam2lora.training.progress_tab.controls import RunControls
from sam2lora.runs import RunStatus

pytestmark = pytest.mark.viewer


@pytest.fixture
def buttons(qtbot) -> RunControls:
    made = RunControls()
    qtbot.addWidget(made)
    return made


def offered(buttons: RunControls) -> list[str]:
    return [
        one.text()
        for one in buttons.findChildren(QPushButton)
        if one.isEnabled() and one.isVisibleTo(buttons)
    ]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("running", ["Pause", "Stop and keep the best"]),
        ("paused", ["Go on", "Stop and keep the best"]),
        ("finished", []),
        ("gone", []),
        ("damaged", []),
        ("new", ["Resume"]),
        ("starting", ["Pause", "Stop and keep the best"]),
        ("stopped", ["Resume"]),
        ("interrupted", ["Resume"]),
        ("failed", ["Resume"]),
    ],
)
def test_what_can_be_asked_is_offered(buttons: RunControls, state: str, words: list[str]) -> None:
    buttons.show_status(RunStatus(state))
    assert offered(buttons) == words
    buttons.show_status(RunStatus(state), to_install=True)
    installs = state in ("finished", "stopped", "interrupted", "failed")
    assert offered(buttons) == words + ["Install adapter"] * installs
    buttons.show_status(None)
    assert offered(buttons) == []


@pytest.mark.parametrize(
    ("state", "text", "signal"),
    [
        ("running", "Pause", "pause"),
        ("paused", "Go on", "resume_paused"),
        ("paused", "Stop and keep the best", "stop"),
        ("stopped", "Resume", "resume"),
        ("finished", "Install adapter", "install"),
    ],
)
def test_each_asks_for_its_own(qtbot, buttons, state: str, text: str, signal: str) -> None:
    buttons.show_status(RunStatus(state))
    (button,) = (one for one in buttons.findChildren(QPushButton) if one.text() == text)
    with qtbot.waitSignal(getattr(buttons, signal)):
        button.click()

"""The buttons of a run."""

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
        each.text()
        for each in buttons.findChildren(QPushButton)
        if each.isEnabled() and each.isVisibleTo(buttons)
    ]


@pytest.mark.parametrize(
    ("state", "texts"),
    [
        ("running", ["Pause", "Stop, keep best"]),
        ("paused", ["Continue", "Stop, keep best"]),
        ("finished", []),
        ("gone", []),
        ("damaged", []),
        ("new", ["Resume"]),
        ("starting", ["Pause", "Stop, keep best"]),
        ("stopped", ["Resume"]),
        ("interrupted", ["Resume"]),
        ("failed", ["Resume"]),
    ],
)
def test_buttons_follow_the_state_of_the_run(buttons, state: str, texts: list[str]) -> None:
    buttons.show_status(RunStatus(state))
    assert offered(buttons) == texts
    buttons.show_status(RunStatus(state), to_install=True)
    installs = state in ("finished", "stopped", "interrupted", "failed")
    assert offered(buttons) == texts + ["Install adapter"] * installs
    buttons.show_status(None)
    assert offered(buttons) == []


@pytest.mark.parametrize(
    ("state", "text", "signal"),
    [
        ("running", "Pause", "pause"),
        ("paused", "Continue", "resume_paused"),
        ("paused", "Stop, keep best", "stop"),
        ("stopped", "Resume", "resume"),
        ("finished", "Install adapter", "install"),
    ],
)
def test_each_button_emits_its_signal(qtbot, buttons, state: str, text: str, signal: str) -> None:
    buttons.show_status(RunStatus(state))
    (button,) = (each for each in buttons.findChildren(QPushButton) if each.text() == text)
    with qtbot.waitSignal(getattr(buttons, signal)):
        button.click()

"""The Progress tab, with a stand-in for the training process."""

import shutil
from collections.abc import Callable

import pytest
from qtpy.QtWidgets import QPushButton

from napari_sam2lora.training.progress_tab.tab import ProgressTab
from napari_sam2lora.training.run.session import TrainingSession
from sam2lora.adapters import find_adapter, is_installed
from sam2lora.runs import FailedEvent, FinishedEvent, RunFolder, set_best
from sam2lora.targets import TARGETS

from ...helpers import press
from ..conftest import step, validation

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("stand_in")]


@pytest.fixture
def tab(qtbot, session: TrainingSession) -> ProgressTab:
    made = ProgressTab(session)
    qtbot.addWidget(made)
    return made


def test_buttons_pause_continue_stop_and_resume_the_run(
    qtbot, tab: ProgressTab, session: TrainingSession, make_run: Callable[..., RunFolder]
) -> None:
    assert "No training yet" in tab.progress._state.text()
    session.resume(make_run(steps=300).path)
    shown = tab.progress._state
    for text, state in (("Pause", "Paused"), ("Continue", "Training")):
        qtbot.waitUntil(lambda: "left" in shown.text() or "Paused" in shown.text(), timeout=60_000)
        press(tab, text)
        qtbot.waitUntil(lambda state=state: state in shown.text(), timeout=60_000)
    press(tab, "Stop, keep best")
    assert "Stopping after this step" in tab._message.text()
    qtbot.waitUntil(lambda: "Stopped" in shown.text(), timeout=60_000)
    assert tab._message.text() == ""
    press(tab, "Resume")
    qtbot.waitUntil(lambda: "left" in shown.text(), timeout=60_000)
    assert tab.title.text() == "run"


def test_failed_run_is_shown_with_its_curves(
    tab: ProgressTab, session: TrainingSession, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run()
    for event in (step(1), validation(1, 0.5), FailedEvent(reason="E", words="It was full.")):
        run.append(event)
    session.attach(run.path)
    tab._draw()
    assert "It was full." in tab.progress._state.text()
    assert {name for _, name in tab.curves._lines} == {"loss", "bce", "Dice"}
    session.close()
    assert "No training yet" in tab.progress._state.text()


def test_installed_adapter_is_named(tab: ProgressTab, session: TrainingSession) -> None:
    session.installed.emit("mine")
    assert "installed as mine" in tab._message.text()


def test_start_is_announced_until_the_process_is_started(
    tab: ProgressTab, session: TrainingSession
) -> None:
    session.starting.emit("auto")
    assert tab._message.text() == "Starting…"
    session.busy_changed.emit(False)
    assert tab._message.text() == ""


def test_pausing_without_a_run_is_reported(tab: ProgressTab, notices) -> None:
    tab._on_pause()
    assert "No training run is shown" in notices[-1]


def test_adapter_of_a_finished_run_can_be_installed(
    qtbot, tab: ProgressTab, session: TrainingSession, make_run, make_adapter
) -> None:
    run = make_run("mine")
    shutil.copytree(make_adapter("other", TARGETS["disc"]).folder, run.adapter(1))
    set_best(run.path, 1, 0.5)
    for event in (step(1), validation(1, 0.5), FinishedEvent(step=1)):
        run.append(event)
    session.attach(run.path)
    assert not is_installed("mine")
    with qtbot.waitSignal(session.installed) as installed:
        press(tab, "Install adapter")
    assert installed.args == ["mine"]
    assert find_adapter("mine").card.target == TARGETS["disc"]
    buttons = tab.findChildren(QPushButton)
    (install,) = (button for button in buttons if button.text() == "Install adapter")
    assert install.isHidden()  # it is installed

"""The Train dock in a window, with a stand-in for the training process; once with nano itself."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from napari import Viewer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_sam2lora.training.dock import TrainDock
from napari_sam2lora.training.run import process as process_module
from sam2lora.adapters import list_adapters
from sam2lora.annotations import training_data
from sam2lora.runs import RunFolder, is_alive, list_runs, read_events, runs_folder, summarize
from sam2lora.synthetic import SyntheticSettings, draw_fundus

from ..helpers import press
from .conftest import add_eye, wait_for_state

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


def open_dock(viewer: Viewer) -> TrainDock:
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    return dock


@pytest.fixture
def opened(make_napari_viewer) -> tuple[Viewer, TrainDock]:
    viewer = make_napari_viewer()
    for name in ("a", "b", "c"):
        add_eye(viewer, name, "disc")
    dock = open_dock(viewer)
    dock.setup_tab.options.choose(target="disc", preset="standard")
    yield viewer, dock
    if dock.session.alive:
        dock.session.stop()
        dock.session.close()


class KeepsOpen(QWidget):
    """A dock that keeps its window open, after the others were asked."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Close:
            event.ignore()
            return True
        return False


@pytest.fixture
def choose_button(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Return a function that sets which button of dialogs is pressed; it returns their texts."""
    asked: list[str] = []

    def choose(text: str) -> list[str]:
        def pressed(box: QMessageBox) -> None:
            asked.append(box.text())
            (button,) = (button for button in box.buttons() if button.text() == text)
            monkeypatch.setattr(QMessageBox, "clickedButton", lambda self: button)

        monkeypatch.setattr(QMessageBox, "exec", pressed)
        return asked

    return choose


def test_train_button_starts_and_shows_the_run(qtbot, stand_in, opened) -> None:
    _, dock = opened
    dock.settings_tab.edit(("steps",), 30)
    press(dock, "Train")
    assert dock.tabs.currentWidget() is dock.progress_tab
    wait_for_state(qtbot, dock.session.watcher, "finished")
    assert summarize(runs_folder() / "disc-standard-1").step == 30
    assert dock.setup_tab._start.isEnabled()
    dock.runs_tab.refresh()
    assert dock.runs_tab.list.tree.topLevelItem(0).childCount() == 1


def test_invalid_plan_is_reported(opened, notices) -> None:
    _, dock = opened
    press(dock, "None")
    for text in ("Train", "Copy as command"):
        notices.clear()
        press(dock, text)
        assert "Select at least one" in notices[-1]
    assert list_runs(runs_folder()) == []


def test_copy_as_command_writes_the_run_and_shows_its_command(qtbot, opened, notices) -> None:
    _, dock = opened
    press(dock, "Copy as command")
    assert not dock.setup_tab._start.isEnabled()
    assert dock._may_close(can_stay=True)  # nothing is being trained
    qtbot.waitUntil(lambda: not dock.session.busy, timeout=60_000)
    assert "disc-standard-1 is written" in notices[-1]
    assert str(runs_folder() / "disc-standard-1") in dock.setup_tab.command.text.text()
    assert dock.setup_tab._start.isEnabled()
    assert dock.session.run is None


@pytest.mark.parametrize(
    ("text", "state"), [("Keep running", "running"), ("Stop, keep best", "stopped")]
)
def test_closing_the_dock_asks_what_to_do_with_the_run(
    qtbot, stand_in, opened, choose_button, text: str, state: str
) -> None:
    viewer, dock = opened
    dock.settings_tab.edit(("steps",), 3000)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "running")
    run, asked = dock.session.run, choose_button(text)
    viewer.window.remove_dock_widget(dock)
    assert len(asked) == 1
    qtbot.waitUntil(lambda: summarize(run).state == state, timeout=60_000)
    again = open_dock(viewer)
    assert again.session.run == run
    wait_for_state(qtbot, again.session.watcher, state)
    assert again.session.alive == (state == "running")
    RunFolder(run).control.request("stop")
    qtbot.waitUntil(lambda: not is_alive(run), timeout=60_000)
    again.session.close()


def test_closing_napari_asks_once_and_can_be_cancelled(
    qtbot, stand_in, make_napari_viewer, choose_button
) -> None:
    viewer = make_napari_viewer(show=True)
    for name in ("a", "b"):
        add_eye(viewer, name, "disc")
    dock = open_dock(viewer)
    dock.setup_tab.options.choose(target="disc", preset="standard")
    dock.settings_tab.edit(("steps",), 3000)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "running")
    run, asked = dock.session.run, choose_button("Cancel")
    window = dock.window()
    window.close()
    assert (window.isVisible(), len(asked), dock.session.alive) == (True, 1, True)
    choose_button("Stop, keep best")
    assert dock._may_close(can_stay=True)
    assert dock._may_close(can_stay=True)  # napari closes a window twice
    assert len(asked) == 2
    wait_for_state(qtbot, dock.session.watcher, "stopped")
    assert summarize(run).state == "stopped"
    assert dock._may_close(can_stay=True)
    assert len(asked) == 2


def test_run_is_followed_while_another_dock_keeps_the_window_open(
    qtbot, stand_in, make_napari_viewer, choose_button, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2lora.qt.close_guard._CLOSING", 20)
    viewer = make_napari_viewer(show=True)
    add_eye(viewer, "a", "disc")
    keeper = KeepsOpen()
    viewer.window.add_dock_widget(keeper).window().installEventFilter(keeper)
    dock = open_dock(viewer)
    dock.setup_tab.options.choose(target="disc", preset="standard")
    dock.settings_tab.edit(("steps",), 3000)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "running")
    run, asked = dock.session.run, choose_button("Keep running")
    dock.window().close()
    qtbot.wait(50)
    assert (dock.session.run, dock.session.alive, len(asked)) == (run, True, 1)
    dock.window().close()
    assert len(asked) == 2  # it asks again when the window is closed again
    dock.session.stop()
    wait_for_state(qtbot, dock.session.watcher, "stopped")
    dock.window().removeEventFilter(keeper)


def test_stopped_run_can_be_resumed_in_a_new_dock(qtbot, stand_in, opened) -> None:
    viewer, dock = opened
    dock.settings_tab.edit(("steps",), 300)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "running")
    press(dock, "Stop, keep best")
    wait_for_state(qtbot, dock.session.watcher, "stopped")
    viewer.window.remove_dock_widget(dock)
    again = open_dock(viewer)
    assert again.session.run == runs_folder() / "disc-standard-1"
    press(again, "Resume")
    wait_for_state(qtbot, again.session.watcher, "running")
    again.session.stop()
    wait_for_state(qtbot, again.session.watcher, "stopped")


def test_shown_run_can_be_renamed_and_deleted(qtbot, stand_in, opened) -> None:
    _, dock = opened
    dock.settings_tab.edit(("steps",), 20)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "finished")
    dock.runs_tab.refresh()
    dock.runs_tab.list.select("disc-standard-1")
    (entry,) = dock.runs_tab.list.selected()
    dock.runs_tab.rename(entry, "mine")
    assert dock.session.run == runs_folder() / "mine"
    dock.runs_tab.list.select("mine")
    dock.runs_tab.delete(dock.runs_tab.list.selected()[0])
    qtbot.waitUntil(lambda: dock.session.run is None)
    assert "No training yet" in dock.progress_tab.progress._state.text()


def test_running_training_stays_shown(qtbot, stand_in, opened, notices) -> None:
    _, dock = opened
    dock.settings_tab.edit(("steps",), 3000)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "running")
    dock.show_run(Path("another"))
    assert "is in progress here" in notices[-1]
    assert dock.session.run.name == "disc-standard-1"


class SegmentDock(QWidget):
    """A stand-in for a dock that segments, as `dock_protocol` sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def use_adapter(self, name: str) -> None:
        self.calls.append(f"use {name}")

    def free_gpu(self, device: str) -> None:
        self.calls.append(f"free {device}")


def test_other_docks_free_memory_and_get_the_adapter(
    qtbot, stand_in, opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, dock = opened
    other = SegmentDock()
    viewer.window.add_dock_widget(other, name="Segment")
    dock.settings_tab.edit(("steps",), 5)
    press(dock, "Train")
    wait_for_state(qtbot, dock.session.watcher, "finished")
    monkeypatch.setattr(dock.setup_tab, "refresh", lambda: other.calls.append("folders"))
    dock.session.installed.emit("mine")
    assert other.calls == ["free auto", "use mine"]


def test_closing_the_dock_while_images_are_copied_cancels_the_start(
    qtbot, stand_in, opened, choose_button, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, dock = opened
    asked = choose_button("Cancel")
    started = Event()
    save = training_data.save_mask

    def slow(*arguments: object) -> None:
        started.wait(10)
        save(*arguments)

    monkeypatch.setattr(training_data, "save_mask", slow)
    press(dock, "Train")
    assert not dock._may_close(can_stay=True)
    assert "is starting" in asked[-1]
    assert dock.session.busy
    viewer.window.remove_dock_widget(dock)
    started.set()
    qtbot.waitUntil(lambda: list(runs_folder().iterdir()) == [], timeout=20_000)
    qtbot.wait(500)
    assert list_runs(runs_folder()) == []
    assert len(asked) == 1


def test_closed_dock_ignores_the_viewer(opened, qtbot) -> None:
    viewer, dock = opened
    tab = dock.setup_tab
    viewer.window.remove_dock_widget(dock)
    viewer.layers[0].name = "renamed"
    viewer.layers["b disc"].events.paint(value=[])
    add_eye(viewer, "d", "disc")
    assert not tab._timer.isActive()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nano_is_trained_stopped_resumed_and_installed(
    qtbot, make_napari_viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "_NICENESS", 0)  # so that the test is not slow
    viewer = make_napari_viewer()
    for number in range(3):
        drawn = draw_fundus(number, SyntheticSettings(size=128))
        image = viewer.add_image(drawn.image, rgb=True, name=f"eye{number}")
        viewer.add_labels(drawn.masks["disc"].astype("uint8"), name=f"{image.name} disc")
    dock = open_dock(viewer)
    dock.setup_tab.options.choose(target="disc", preset="standard")
    changes = {
        **{("steps",): 60, ("batch",): 1, ("workers",): 0, ("checkpoint_every",): 2},
        **{("validation", "every"): 2, ("geometry", "detail"): "whole", ("device",): "cpu"},
    }
    for path, value in changes.items():
        dock.settings_tab.edit(path, value)
    with qtbot.waitSignal(dock.installed, timeout=400_000) as installed:
        press(dock, "Train")
    assert installed.args == ["disc-standard-1"]
    assert "disc-standard-1" in [adapter.name for adapter in list_adapters()]
    press(dock, "Stop, keep best")
    wait_for_state(qtbot, dock.session.watcher, "stopped", 200)
    done = dock.session.watcher.history.step.step
    press(dock, "Resume")
    wait_for_state(qtbot, dock.session.watcher, "running", 200)
    dock.session.watcher._process.kill()
    wait_for_state(qtbot, dock.session.watcher, "interrupted")
    assert "SIGKILL" in dock.progress_tab.progress._state.text()
    events, skipped = read_events(dock.session.watcher.run.events)
    assert skipped == 0
    assert max(event.step for event in events) > done
    assert dock.session.watcher.history.previews

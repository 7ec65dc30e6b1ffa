"""The tab in which a training is put together."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.run.session import settings_of
from napari_sam2lora.training.setup_tab import tab as train_tab
from napari_sam2lora.training.setup_tab.tab import SetupTab
from sam2lora.adapters import install_adapter
from sam2lora.cli import main
from sam2lora.errors import OutputError
from sam2lora.runs import list_runs, runs_folder
from sam2lora.targets import TARGETS
from sam2lora.training.data_split import plan_data

from ..conftest import add_eye

pytestmark = pytest.mark.viewer


@pytest.fixture
def viewer() -> ViewerModel:
    model = ViewerModel()
    add_eye(model, "a", "disc", "vessel")
    return model


@pytest.fixture
def tab(qtbot, viewer: ViewerModel) -> SetupTab:
    made = SetupTab(viewer)
    qtbot.addWidget(made)
    made.choices.choose(target="disc", preset="standard")
    made.show()
    yield made
    made.estimator.cancel()


def names(tab: SetupTab) -> list[str]:
    return [pair.labels for pair in tab.draft().pairs]


def press(tab: SetupTab, text: str) -> None:
    (button,) = (one for one in tab.findChildren(QPushButton) if one.text() == text)
    button.click()


def test_the_target_decides_which_labels(tab: SetupTab) -> None:
    assert names(tab) == ["a disc"]
    tab.choices.choose(target="vessel")
    assert names(tab) == ["a vessel"]


def test_it_begins_with_the_target_that_was_corrected_last(qtbot, viewer) -> None:
    for name, target in (("a disc", "disc"), ("a vessel", "vessel"), ("a", "vessel")):
        viewer.layers.selection.active = viewer.layers[name]
        made = SetupTab(viewer)
        qtbot.addWidget(made)
        assert made.choices.target == target
        made.close_down()


def test_layers_that_come_go_and_change_are_noticed(qtbot, tab: SetupTab, viewer) -> None:
    add_eye(viewer, "b", "disc")
    qtbot.waitUntil(lambda: names(tab) == ["a disc", "b disc"])
    viewer.layers.remove("a disc")
    qtbot.waitUntil(lambda: names(tab) == ["b disc"])
    viewer.layers["b disc"].name = "b something"  # the plugin noted what it shows
    qtbot.waitUntil(lambda: names(tab) == ["b something"])
    tab.hide()
    add_eye(viewer, "c", "disc")
    qtbot.waitUntil(lambda: not tab._timer.isActive())
    assert names(tab) == ["b something"]  # nobody sees it
    tab.show()
    qtbot.waitUntil(lambda: names(tab) == ["b something", "c disc"])


def test_a_folder_is_added_and_loaded_images_come_from_their_layers(
    qtbot, tab: SetupTab, viewer, folder: Path, notices
) -> None:
    add_eye(viewer, "ben_left", "disc", path=folder / "images/ben_left.png")
    tab.add_folder(folder)
    expected = ["a disc", "ben_left disc", "mine", "mine"]
    qtbot.waitUntil(lambda: names(tab) == expected)
    tab.add_folder(folder / "gone")
    assert "no such folder" in notices[-1]


def test_an_image_without_labels_here_has_those_of_its_list(
    qtbot, tab: SetupTab, viewer, folder: Path
) -> None:
    image, *_ = add_eye(viewer, "ben_left", path=folder / "images/ben_left.png")
    tab.add_folder(folder)
    qtbot.waitUntil(lambda: len(names(tab)) == 4)
    image.metadata["sam2lora"]["listed_in"] = str(folder)
    tab.refresh()
    assert len(names(tab)) == 4


def test_what_was_unticked_stays_so_when_the_image_list_goes_on(
    qtbot, tab: SetupTab, viewer, folder: Path
) -> None:
    images = ImageList(viewer, folder)
    images.go(0)
    expected = ["a disc", "anna_left disc", "mine", "mine"]
    qtbot.waitUntil(lambda: names(tab) == expected)
    tab.pairs.tree.topLevelItem(1).setCheckState(0, Qt.CheckState.Unchecked)
    images.go(1)
    qtbot.waitUntil(lambda: names(tab) == ["a disc", "anna_right disc", "mine"])
    assert [one.name for one in tab.draft().pairs] == ["a", "anna_right", "ben_left"]


def test_adapters_are_looked_at_without_the_folders(
    tab: SetupTab, make_adapter: Callable, folder: Path, monkeypatch
) -> None:
    tab.add_folder(folder)
    listed: list[Path] = []
    monkeypatch.setattr(train_tab, "pairs_in_folder", lambda one, *_: listed.append(one) or [])
    install_adapter(make_adapter("mine", TARGETS["disc"]))
    tab.refresh_adapters()
    assert listed == []
    assert tab.choices._start.findText("mine") >= 0


def test_all_and_none(tab: SetupTab) -> None:
    press(tab, "None")
    assert names(tab) == []
    press(tab, "All")
    assert names(tab) == ["a disc"]


def test_the_command_is_shown(tab: SetupTab) -> None:
    tab.set_changes({"steps": 12})
    assert tab._command.text().endswith("validation.within_images=true --steps 12")
    tab.set_changes({"steps": 0})
    assert "steps" in tab._command.text()


def test_the_copied_command_works(qtbot, tab: SetupTab, monkeypatch, capsys) -> None:
    tab.set_changes({"steps": 12, "batch": 1, "geometry": {"detail": "whole"}})
    shown = tab._command.text()
    press(tab, "Copy")
    assert not tab._copy.isEnabled()
    qtbot.waitUntil(tab._copy.isEnabled, timeout=20_000)
    command = QGuiApplication.clipboard().text()
    assert command == shown == tab._command.text()
    assert tab.draft().run_name() == "disc-standard-2"
    _, *words = shlex.split(command)

    def run(*words: str) -> None:
        monkeypatch.setattr("sys.argv", ["sam2lora", *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code

    run(*words, "--dry-run")
    told = capsys.readouterr().out
    assert "learns from    1 images of data disc" in told
    assert "12 steps of 1 samples" in told
    module, followed = sys.modules["sam2lora.cli.train"], []
    monkeypatch.setattr(module, "_print_plan", lambda *_: None)
    monkeypatch.setattr(module, "_follow", lambda folder, *_: followed.append(folder.path))
    run(*words)
    assert followed == [runs_folder() / "disc-standard-1"]
    assert plan_data(settings_of(followed[0]).counted_from(followed[0])).validation


def test_copy_writes_the_same_only_once(qtbot, tab: SetupTab, viewer) -> None:
    def copied() -> str:
        QGuiApplication.clipboard().clear()
        press(tab, "Copy")
        qtbot.waitUntil(tab._copy.isEnabled, timeout=20_000)
        return QGuiApplication.clipboard().text()

    def runs() -> int:
        return len(list(runs_folder().iterdir()))

    first = copied()
    assert copied() == first == tab._command.text()
    assert runs() == 1
    viewer.layers["a disc"].data_setitem((np.array([0]), np.array([0])), 1)
    second = copied()
    assert (second != first, runs()) == (True, 2)  # other masks
    tab.set_changes({"steps": 12})
    assert (copied().endswith("--steps 12"), runs()) == (True, 3)
    folder = max(runs_folder().iterdir())
    (folder / "events.jsonl").write_text("")
    copied()
    assert runs() == 4  # that one has begun


def test_what_cannot_be_written_is_not_copied(qtbot, tab: SetupTab, monkeypatch, notices) -> None:
    QGuiApplication.clipboard().setText("before")

    def full(*_: object) -> None:
        raise OutputError("No space left on device.")

    monkeypatch.setattr("napari_sam2lora.training.data.snapshot.save_training_data", full)
    press(tab, "Copy")
    qtbot.waitUntil(tab._copy.isEnabled, timeout=20_000)
    assert "No space left" in notices[-1]
    press(tab, "None")
    press(tab, "Copy")
    assert "Tick at least one" in notices[-1]
    assert QGuiApplication.clipboard().text() == "before"
    assert list_runs(runs_folder()) == []


def test_quick_goes_on_from_an_adapter(tab: SetupTab, make_adapter: Callable) -> None:
    for name, dice in (("mine", {"dice": 0.84, "start_dice": 0.71}), ("theirs", {"dice": 0.8})):
        install_adapter(make_adapter(name, TARGETS["vessel"], validation=dice))
    tab.refresh()
    tab.choices.choose(target="vessel", preset="quick")
    assert tab.draft().start_from is not None
    box = tab.choices._start
    shown = {box.itemText(number) for number in range(box.count())}
    assert shown >= {"mine, Dice 0.840 (before 0.710)", "theirs, Dice 0.800"}


def test_train_gives_the_draft_away(qtbot, tab: SetupTab) -> None:
    with qtbot.waitSignal(tab.train) as asked:
        press(tab, "Train")
    assert asked.args[0].target == "disc"
    tab.set_busy(True, "Copying the images…")
    assert not tab._start.isEnabled()


def test_an_estimate_holds_until_something_else_is_chosen(qtbot, tab, monkeypatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(tab.estimator, "ask", lambda settings, loads: asked.append(settings))
    press(tab, "Estimate")
    tab.estimator.answered.emit("5 % in 3 s")
    tab.refresh()
    assert (len(asked), tab._estimate.text()) == (1, "5 % in 3 s")
    tab.choices.choose(target="vessel")
    assert tab._estimate.text() == ""


def test_an_area_is_added_to_the_chosen_image(tab: SetupTab, viewer: ViewerModel) -> None:
    press(tab, "Area…")
    assert "a annotated area" in viewer.layers


def test_it_lets_go_of_the_viewer(qtbot, tab: SetupTab, viewer: ViewerModel) -> None:
    tab.close_down()
    add_eye(viewer, "b", "disc")
    qtbot.wait(600)
    assert names(tab) == ["a disc"]

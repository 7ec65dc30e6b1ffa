"""The Setup tab, with the session that writes its runs."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.data import viewer_pairs
from napari_sam2lora.training.run.session import TrainingSession, settings_of
from napari_sam2lora.training.setup_tab import tab as tab_module
from napari_sam2lora.training.setup_tab.tab import SetupTab
from sam2lora.adapters import install_adapter
from sam2lora.cli import main
from sam2lora.runs import list_runs, runs_folder
from sam2lora.targets import TARGETS
from sam2lora.training.data_split import plan_data

from ...helpers import press
from ..conftest import add_eye

pytestmark = pytest.mark.viewer


@pytest.fixture
def viewer(viewer: ViewerModel) -> ViewerModel:
    """Return a viewer with an image that has masks of two targets."""
    add_eye(viewer, "a", "disc", "vessel")
    return viewer


@pytest.fixture
def tab(qtbot, viewer: ViewerModel, session: TrainingSession) -> Iterator[SetupTab]:
    """Return a tab whose run folders are written by a session, as in the dock."""
    made = SetupTab(viewer)
    qtbot.addWidget(made)
    made.command.prepare.connect(session.prepare)
    session.prepared.connect(made.show_prepared)
    made.options.choose(target="disc", preset="standard")
    made.show()
    yield made
    made.estimator.cancel()


def names(tab: SetupTab) -> list[str]:
    return [pair.labels for pair in tab.plan().pairs]


def test_pairs_are_those_of_the_target(tab: SetupTab) -> None:
    assert names(tab) == ["a disc"]
    tab.options.choose(target="vessel")
    assert names(tab) == ["a vessel"]


def test_initial_target_is_that_of_the_active_layer(qtbot, viewer) -> None:
    for name, target in (("a disc", "disc"), ("a vessel", "vessel"), ("a", "vessel")):
        viewer.layers.selection.active = viewer.layers[name]
        made = SetupTab(viewer)
        qtbot.addWidget(made)
        assert made.options.target == target
        made.close_down()


def test_table_follows_the_layers_while_it_is_visible(qtbot, tab: SetupTab, viewer) -> None:
    add_eye(viewer, "b", "disc")
    qtbot.waitUntil(lambda: names(tab) == ["a disc", "b disc"])
    viewer.layers.remove("a disc")
    qtbot.waitUntil(lambda: names(tab) == ["b disc"])
    viewer.layers["b disc"].name = "b something"  # its metadata has the target
    qtbot.waitUntil(lambda: names(tab) == ["b something"])
    tab.hide()
    add_eye(viewer, "c", "disc")
    qtbot.waitUntil(lambda: not tab._timer.isActive())
    assert names(tab) == ["b something"]  # the tab is hidden
    tab.show()
    qtbot.waitUntil(lambda: names(tab) == ["b something", "c disc"])


def test_added_folder_is_listed_but_for_open_images(
    qtbot, tab: SetupTab, viewer, folder: Path, notices
) -> None:
    add_eye(viewer, "ben_left", "disc", path=folder / "images/ben_left.png")
    tab.add_folder(folder)
    expected = ["a disc", "ben_left disc", "mine", "mine"]
    qtbot.waitUntil(lambda: names(tab) == expected)
    tab.add_folder(folder / "gone")
    assert "no such folder" in notices[-1]


def test_open_image_without_labels_has_those_of_its_folder(
    qtbot, tab: SetupTab, viewer, folder: Path
) -> None:
    image, *_ = add_eye(viewer, "ben_left", path=folder / "images/ben_left.png")
    tab.add_folder(folder)
    qtbot.waitUntil(lambda: len(names(tab)) == 4)
    image.metadata["sam2lora"]["listed_in"] = str(folder)
    tab.refresh()
    assert len(names(tab)) == 4


def test_deselected_pair_stays_so_when_the_image_list_steps_on(
    qtbot, tab: SetupTab, viewer, folder: Path
) -> None:
    images = ImageList(viewer, folder)
    images.go(0)
    expected = ["a disc", "anna_left disc", "mine", "mine"]
    qtbot.waitUntil(lambda: names(tab) == expected)
    tab.pairs.tree.topLevelItem(1).setCheckState(0, Qt.CheckState.Unchecked)
    images.go(1)
    qtbot.waitUntil(lambda: names(tab) == ["a disc", "anna_right disc", "mine"])
    assert [pair.name for pair in tab.plan().pairs] == ["a", "anna_right", "ben_left"]


def test_refreshing_adapters_lists_no_folder(
    tab: SetupTab, make_adapter: Callable, folder: Path, monkeypatch
) -> None:
    tab.add_folder(folder)
    listed: list[Path] = []
    monkeypatch.setattr(
        tab_module, "pairs_in_folder", lambda folder, *_: listed.append(folder) or []
    )
    install_adapter(make_adapter("mine", TARGETS["disc"]))
    tab.refresh_adapters()
    assert listed == []
    assert tab.options._adapter.findText("mine") >= 0


def test_all_and_none_buttons_select(tab: SetupTab) -> None:
    press(tab, "None")
    assert names(tab) == []
    press(tab, "All")
    assert names(tab) == ["a disc"]


def test_command_of_the_plan_is_shown(tab: SetupTab) -> None:
    tab.set_changes({"steps": 12})
    assert tab.command.text.text().endswith("validation.within_images=true --steps 12")
    tab.set_changes({"steps": 0})
    assert "steps" in tab.command.text.text()


def copy(qtbot, tab: SetupTab, session: TrainingSession) -> str:
    """Press “Copy as command”, and return the text of the clipboard once the run is written."""
    QGuiApplication.clipboard().clear()
    press(tab, "Copy as command")
    qtbot.waitUntil(lambda: not session.busy, timeout=20_000)
    return QGuiApplication.clipboard().text()


def test_copied_command_trains_in_the_written_run(
    qtbot, tab: SetupTab, session: TrainingSession, monkeypatch, capsys
) -> None:
    tab.set_changes({"steps": 12, "batch": 1, "geometry": {"detail": "whole"}})
    shown = tab.command.text.text()
    command = copy(qtbot, tab, session)
    assert command == shown == tab.command.text.text()
    assert tab.plan().run_name() == "disc-standard-2"
    _, *args = shlex.split(command)

    def run(*args: str) -> None:
        monkeypatch.setattr("sys.argv", ["sam2lora", *args])
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code

    run(*args, "--dry-run")
    printed = capsys.readouterr().out
    assert "1 images of data disc" in printed
    assert "12 steps of 1 samples" in printed
    module, followed = sys.modules["sam2lora.cli.train"], []
    monkeypatch.setattr(module, "_print_plan", lambda *_: None)
    monkeypatch.setattr(module, "_follow", lambda folder, *_: followed.append(folder.path))
    run(*args)
    assert followed == [runs_folder() / "disc-standard-1"]
    assert plan_data(settings_of(followed[0]).counted_from(followed[0])).validation


def test_copy_writes_an_unchanged_plan_only_once(qtbot, tab, session, viewer) -> None:
    first = copy(qtbot, tab, session)
    assert copy(qtbot, tab, session) == first == tab.command.text.text()
    assert len(list_runs(runs_folder())) == 1
    viewer.layers["a disc"].paint((32, 32), 0)
    assert "disc-standard-2" in copy(qtbot, tab, session)
    viewer.layers["a disc"].undo()
    assert "disc-standard-3" in copy(qtbot, tab, session)


def test_layer_painted_while_it_is_copied_is_copied_again(qtbot, tab, session, viewer) -> None:
    press(tab, "Copy as command")
    viewer.layers["a disc"].data_setitem((np.array([0]), np.array([0])), 1)
    qtbot.waitUntil(lambda: not session.busy, timeout=20_000)
    assert "disc-standard-1" in QGuiApplication.clipboard().text()
    assert "disc-standard-2" in copy(qtbot, tab, session)


@pytest.mark.parametrize(
    ("busy", "training", "enabled"),
    [(False, False, (True, True)), (True, False, (False, False)), (False, True, (False, True))],
    ids=["idle", "copying", "training"],
)
def test_buttons_follow_the_session(
    tab: SetupTab, busy: bool, training: bool, enabled: tuple[bool, bool]
) -> None:
    tab.show_state(busy=busy, training=training)
    assert (tab._start.isEnabled(), tab.command._copy.isEnabled()) == enabled
    assert tab._start.text() == ("Copying the images…" if busy else "Train")


def test_stroke_reads_only_the_painted_mask(qtbot, tab: SetupTab, viewer, monkeypatch) -> None:
    add_eye(viewer, "b", "disc")
    qtbot.waitUntil(lambda: names(tab) == ["a disc", "b disc"])
    read, mask_of = [], viewer_pairs.mask_of
    monkeypatch.setattr(
        viewer_pairs, "mask_of", lambda data: read.append(data[1]["name"]) or mask_of(data)
    )
    for change in (
        lambda layer: layer.paint((32, 32), 0),
        lambda layer: layer.undo(),
        lambda layer: setattr(layer, "data", layer.data.copy()),
    ):
        read.clear()
        change(viewer.layers["b disc"])
        assert tab._timer.isActive()
        qtbot.waitUntil(lambda: not tab._timer.isActive())
        assert read == ["b disc"]


def test_quick_adapt_starts_from_an_adapter(tab: SetupTab, make_adapter: Callable) -> None:
    for name, dice in (("mine", {"dice": 0.84, "start_dice": 0.71}), ("theirs", {"dice": 0.8})):
        install_adapter(make_adapter(name, TARGETS["vessel"], validation=dice))
    tab.refresh()
    tab.options.choose(target="vessel", preset="quick")
    assert tab.plan().start_from is not None
    box = tab.options._adapter
    shown = {box.itemText(number) for number in range(box.count())}
    assert shown >= {"mine, Dice 0.840 (before 0.710)", "theirs, Dice 0.800"}


def test_train_emits_the_plan(qtbot, tab: SetupTab) -> None:
    with qtbot.waitSignal(tab.train) as emitted:
        press(tab, "Train")
    assert emitted.args[0].target == "disc"


def test_estimate_is_cleared_when_the_plan_changes(qtbot, tab, monkeypatch) -> None:
    requests: list[object] = []
    monkeypatch.setattr(tab.estimator, "request", lambda settings, images: requests.append(images))
    press(tab, "Estimate")
    assert tab._estimate.text() == "Estimating…"
    tab.estimator.estimated.emit("5 % in 3 s")
    tab.refresh()
    assert (len(requests), tab._estimate.text()) == (1, "5 % in 3 s")
    tab.options.choose(target="vessel")
    assert tab._estimate.text() == ""


def test_annotated_region_is_added_to_the_image(tab: SetupTab, viewer: ViewerModel) -> None:
    press(tab, "Annotated region…")
    assert "a annotated area" in viewer.layers


def test_closed_tab_ignores_the_viewer(qtbot, tab: SetupTab, viewer: ViewerModel) -> None:
    tab.close_down()
    add_eye(viewer, "b", "disc")
    qtbot.wait(600)
    assert names(tab) == ["a disc"]

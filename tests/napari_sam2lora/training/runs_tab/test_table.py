"""The table of runs and adapters."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from qtpy.QtWidgets import QPushButton

from napari_sam2lora.training.runs_tab.table import RunsTable, entry_of_adapter, entry_of_run
from sam2lora.runs import RunStatus, RunSummary

pytestmark = pytest.mark.viewer


def run(name: str) -> RunSummary:
    return RunSummary(
        Path("runs") / name,
        RunStatus("stopped", "It was asked to."),
        target="disc",
        step=20,
        steps=150,
        base="nano",
        images=5,
        start=0.75,
        best=0.8125,
        date=datetime(2024, 5, 17, 12, tzinfo=UTC),
    )


@pytest.fixture
def shown(qtbot, make_adapter: Callable) -> RunsTable:
    made = RunsTable()
    qtbot.addWidget(made)
    adapter = entry_of_adapter(make_adapter("kept"))
    made.show_entries([entry_of_run(run("first")), entry_of_run(run("second")), adapter])
    return made


def offered(shown: RunsTable) -> set[str]:
    return {each.text() for each in shown.findChildren(QPushButton) if each.isEnabled()}


def test_row_of_a_run_has_its_figures() -> None:
    entry = entry_of_run(run("first"))
    assert entry.cells == ("first", "disc", "0.812", "stopped", "24-05-17", "5", "nano")
    assert entry.summary.startswith("On nano, trained on 5 images. 20 of 150 steps. Initial")


def test_run_that_had_nothing_to_learn_has_no_figure() -> None:
    entry = entry_of_run(replace(run("first"), start=1.0, best=1.0))
    assert entry.cells[2] == "—"
    assert "there was nothing to learn" in entry.summary


def test_run_of_a_point_has_no_dice() -> None:
    entry = entry_of_run(replace(run("first"), target="fovea"))
    assert entry.cells[1:3] == ("fovea", "—")
    assert "Dice" not in entry.summary


def test_row_of_an_adapter_has_its_initial_dice(make_adapter: Callable) -> None:
    entry = entry_of_adapter(make_adapter("new", validation={"dice": 0.84, "start_dice": 0.71}))
    assert entry.cells[2] == "0.840"
    assert entry.summary == "Initial Dice 0.710."


def test_buttons_follow_the_selection(shown: RunsTable) -> None:
    assert offered(shown) == {"Refresh"}
    shown.select("first")
    assert offered(shown) == {
        *("Show", "Previews as layers", "Rename…", "Export as zip…", "Delete…", "Refresh")
    }
    shown.select("first", "second")
    assert offered(shown) == {"Compare curves", "Refresh"}
    shown.select("kept")
    assert offered(shown) == {"Rename…", "Export as zip…", "Delete…", "Refresh"}


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("Show", "show_run"),
        ("Previews as layers", "open_previews"),
        ("Rename…", "rename"),
        ("Export as zip…", "export"),
        ("Delete…", "delete"),
    ],
)
def test_each_button_emits_the_selected_row(qtbot, shown, text: str, signal: str) -> None:
    shown.select("second")
    (button,) = (each for each in shown.findChildren(QPushButton) if each.text() == text)
    with qtbot.waitSignal(getattr(shown, signal)) as asked:
        button.click()
    assert asked.args[0].name == "second"


def test_selection_is_kept_by_a_refresh(shown: RunsTable) -> None:
    shown.select("second")
    shown.show_entries([entry_of_run(run("second")), entry_of_run(run("third"))])
    assert [row.name for row in shown.selected()] == ["second"]

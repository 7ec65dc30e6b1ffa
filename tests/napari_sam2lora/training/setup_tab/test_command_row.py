"""The command of a plan, and the button that asks for its run folder."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from qtpy.QtGui import QGuiApplication

from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.setup_tab.command_row import CommandRow
from sam2lora.errors import SettingsError

pytestmark = pytest.mark.viewer

PLAN = TrainingPlan("disc", preset="standard")


@pytest.fixture
def requests() -> list[TrainingPlan]:
    return []


@pytest.fixture
def row(qtbot, requests: list[TrainingPlan]) -> Iterator[CommandRow]:
    made = CommandRow()
    qtbot.addWidget(made)
    made.prepare.connect(requests.append)
    made.show_plan(PLAN)
    return made


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


def test_prepared_command_is_shown_and_copied(row: CommandRow, tmp_path: Path, notices) -> None:
    row._copy.click()
    row.show_prepared(PLAN, tmp_path)
    assert str(tmp_path) in clipboard()
    assert row.text.text() == clipboard()
    assert f"{tmp_path.name} is written" in notices[-1]


def test_unchanged_plan_is_requested_once(row: CommandRow, requests, tmp_path: Path) -> None:
    row._copy.click()
    row.show_prepared(PLAN, tmp_path)
    QGuiApplication.clipboard().clear()
    row.show_plan(replace(PLAN))
    row._copy.click()
    assert requests == [PLAN]
    assert str(tmp_path) in clipboard()


@pytest.mark.parametrize(
    "change", [{"name": "mine"}, {"changes": {"steps": 12}}, {"target": "cup"}]
)
def test_changed_plan_is_requested_again(
    row: CommandRow, requests, tmp_path: Path, change: dict
) -> None:
    row._copy.click()
    row.show_prepared(PLAN, tmp_path)
    changed = replace(PLAN, **change)
    row.show_plan(changed)
    assert str(tmp_path) not in row.text.text()
    row._copy.click()
    assert requests == [PLAN, changed]


def test_plan_is_requested_again_when_a_layer_has_changed(
    row: CommandRow, requests, tmp_path: Path
) -> None:
    row._copy.click()
    row.show_prepared(PLAN, tmp_path)
    row.mark_changed()
    row._copy.click()
    assert requests == [PLAN, PLAN]


def test_plan_is_requested_again_when_its_run_was_deleted(
    row: CommandRow, requests, tmp_path: Path
) -> None:
    row._copy.click()
    row.show_prepared(PLAN, tmp_path / "deleted")
    row._copy.click()
    assert requests == [PLAN, PLAN]


def test_failed_request_is_repeated(row: CommandRow, requests) -> None:
    row._copy.click()
    row._copy.click()
    assert requests == [PLAN, PLAN]


def test_plan_without_a_command_can_still_be_requested(row: CommandRow, requests) -> None:
    invalid = replace(PLAN, changes={"steps": 0})
    with pytest.raises(SettingsError, match="steps"):
        row.show_plan(invalid)
    row._copy.click()
    assert requests == [invalid]  # the session reports what is wrong

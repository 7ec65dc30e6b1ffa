"""The form of all settings."""

import pytest
from pydantic import BaseModel
from qtpy.QtWidgets import QGroupBox

from napari_sam2lora.training.settings_tab.tab import IN_SETUP_TAB, SettingsTab
from sam2lora.settings import DetailHeadSettings
from sam2lora.training.settings import TrainSettings, make_settings

pytestmark = pytest.mark.viewer


def settings(preset: str = "standard") -> TrainSettings:
    return make_settings(preset, {"target": "vessel", "data": [{"root": "x"}]})


@pytest.fixture
def form(qtbot) -> SettingsTab:
    made = SettingsTab()
    qtbot.addWidget(made)
    made.show_settings(settings())
    return made


def leaves(content: dict, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, value in content.items():
        place = (*path, name)
        found |= leaves(value, place) if isinstance(value, dict) else {place}
    return found


def test_every_setting_has_a_field(form: SettingsTab) -> None:
    shown = settings()
    content = shown.model_dump(mode="json")
    content["geometry"] = shown.geometry_for("vessel").model_dump(mode="json")
    content["detail_head"] = DetailHeadSettings().model_dump(mode="json")
    expected = {path for path in leaves(content) if path[0] not in IN_SETUP_TAB}
    assert set(form._fields) == expected
    assert issubclass(TrainSettings, BaseModel)


def test_every_group_has_a_tip_and_an_optional_one_says_how_it_is_set(form: SettingsTab) -> None:
    tips = {group.title(): group.toolTip() for group in form.findChildren(QGroupBox)}
    assert all(tip for title, tip in tips.items() if title)
    assert tips["detail_head"].startswith("a small network beside LoRA")
    assert tips["detail_head"].endswith("A change below sets it")
    assert tips["lora"].startswith("Placement and size of LoRA")


def test_changes_are_nested_and_make_settings(qtbot, form: SettingsTab) -> None:
    with qtbot.waitSignal(form.changed) as changed:
        form.edit(("optimizer", "learning_rate"), 5e-4)
    assert changed.args == [{"optimizer": {"learning_rate": 5e-4}}]
    form.edit(("steps",), 12)
    made = make_settings("standard", {"data": [{"root": "x"}]}, form.changes)
    assert (made.steps, made.optimizer.learning_rate) == (12, 5e-4)
    assert "steps" in form._state.text()


def test_optional_group_is_emitted_whole(form: SettingsTab) -> None:
    form.edit(("geometry", "margin"), 0.1)
    made = make_settings("standard", {"data": [{"root": "x"}]}, form.changes)
    assert made.geometry.detail == "tiles"  # the vessel's, not the default of the model
    assert made.geometry.margin == 0.1


def test_invalid_value_is_reported_and_not_emitted(qtbot, form: SettingsTab) -> None:
    path = ("optimizer", "learning_rate")
    with qtbot.assertNotEmitted(form.changed):
        form.edit(path, 5)
    assert "less than or equal to 1" in form.field(path)._error.text()
    assert "Invalid value" in form._state.text()
    form.edit(path, 0.5)
    assert form.field(path)._error.text() == ""


def test_error_of_a_group_stands_at_its_changed_field(form: SettingsTab) -> None:
    form.edit(("prompts", "positive"), [5, 1])
    message = form.field(("prompts", "positive"))._error.text()
    assert message.startswith("positive is the fewest and the most points")


def test_changes_are_kept_when_the_preset_changes(form: SettingsTab) -> None:
    form.edit(("steps",), 12)
    form.show_settings(settings("low-memory"))
    assert form.field(("gradient_checkpointing",)).value is True
    assert form.field(("steps",)).value == 12
    form.reset()
    assert form.field(("steps",)).value == 600
    assert form.changes == {}


def test_value_set_back_is_no_change(form: SettingsTab) -> None:
    form.edit(("steps",), 12)
    form.edit(("steps",), 600)
    assert form.changes == {}

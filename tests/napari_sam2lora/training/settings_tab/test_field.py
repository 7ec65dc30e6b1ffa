"""One field of the form."""

from typing import Literal

import pytest
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit

from napari_sam2lora.training.settings_tab.field import (
    SettingField,
    choices_of,
    help_of,
    read_value,
    write_value,
)
from sam2lora.training.settings import OptimizerSettings, TrainSettings

pytestmark = pytest.mark.viewer


@pytest.mark.parametrize("value", [None, 3, 1e-3, "auto", "12", "null", [1, 2], True])
def test_value_is_read_as_it_was_written(value: object) -> None:
    assert read_value(write_value(value)) == value


def test_choices_are_those_of_a_literal() -> None:
    assert choices_of(Literal["a", "b"]) == ["a", "b"]
    assert choices_of(Literal["a"] | None) == [None, "a"]
    assert choices_of(int) == choices_of(str | None) == choices_of(Literal["a"] | int) == []


def test_help_has_description_and_range() -> None:
    about = OptimizerSettings.model_fields["learning_rate"]
    assert help_of("lr", about) == "lr: highest learning rate (above 0, at most 1)"


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("freeze_encoder", QCheckBox, True),
        ("train", QComboBox, "base"),
        ("steps", QLineEdit, 12),
        ("also", QLineEdit, ["disc"]),
    ],
)
def test_each_type_has_its_widget(qtbot, name: str, kind: type, value: object) -> None:
    about: FieldInfo = TrainSettings.model_fields[name]
    field = SettingField(name, about)
    qtbot.addWidget(field)
    assert field.findChild(kind) is not None
    field.show_value(value)
    assert field.value == value


def test_typed_value_is_emitted(qtbot) -> None:
    field = SettingField("steps", TrainSettings.model_fields["steps"])
    qtbot.addWidget(field)
    line = field.findChild(QLineEdit)
    with qtbot.waitSignal(field.edited) as edited:
        line.setText("40")
        line.editingFinished.emit()
    assert edited.args == [40]


def test_error_is_shown_below_the_field(qtbot) -> None:
    field = SettingField("steps", TrainSettings.model_fields["steps"])
    qtbot.addWidget(field)
    field.show_error("too many")
    assert field._error.isVisibleTo(field)
    field.show_error("")
    assert not field._error.isVisibleTo(field)

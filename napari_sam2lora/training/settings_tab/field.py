"""One field of the Advanced tab: a widget for a setting, made from the model's description."""

import json
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import WARNING, Paragraph

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class SettingField(QWidget):
    """The value of one setting, with its error below.

    Parameters
    ----------
    name
        Name of the setting.
    about
        Type, range and description of the setting.

    Signals
    -------
    edited(value)
        The user entered another value, of a JSON type.
    """

    edited = Signal(object)

    def __init__(self, name: str, about: FieldInfo) -> None:
        super().__init__()
        self._choices = choices_of(about.annotation)
        self._widget = self._make(about)
        self._widget.setToolTip(help_of(name, about))
        self._widget.setAccessibleName(name)
        self._error = Paragraph()
        self._error.setStyleSheet(WARNING)
        self._error.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._widget)
        layout.addWidget(self._error)

    @property
    def value(self) -> Any:
        """The value in the field, of a JSON type."""
        if isinstance(self._widget, QCheckBox):
            return self._widget.isChecked()
        if isinstance(self._widget, QComboBox):
            return self._widget.currentData()
        return read_value(self._widget.text())

    def show_value(self, value: Any) -> None:
        """Show a value, which does not count as edited."""
        if isinstance(self._widget, QCheckBox):
            self._widget.setChecked(bool(value))
        elif isinstance(self._widget, QComboBox):
            self._widget.setCurrentIndex(self._choices.index(value))
        else:
            self._widget.setText(write_value(value))

    def show_error(self, message: str) -> None:
        """Show what is wrong with the value; nothing for an empty message."""
        self._error.setText(message)
        self._error.setVisible(bool(message))

    def _make(self, about: FieldInfo) -> "QCheckBox | QComboBox | QLineEdit":
        if about.annotation is bool:
            box = QCheckBox()
            box.clicked.connect(self._on_edited)
            return box
        if self._choices:
            choices = QComboBox()
            for choice in self._choices:
                choices.addItem("none" if choice is None else str(choice), choice)
            choices.activated.connect(self._on_edited)
            return choices
        line = QLineEdit()
        line.setPlaceholderText("none")
        line.editingFinished.connect(self._on_edited)
        return line

    def _on_edited(self) -> None:
        self.edited.emit(self.value)


def choices_of(annotation: Any) -> list[Any]:
    """Return the values of a Literal, which may be optional; none for another type."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    parts = get_args(annotation)
    literals = [part for part in parts if get_origin(part) is Literal]
    if len(literals) == 1 and set(parts) <= {literals[0], type(None)}:
        return [None, *get_args(literals[0])]
    return []


def help_of(name: str, about: FieldInfo) -> str:
    """Return the description of a setting, with its range."""
    limits = [
        f"{bound} {getattr(constraint, key):g}"
        for constraint in about.metadata
        for key, bound in _BOUNDS.items()
        if getattr(constraint, key, None) is not None
    ]
    text = f"{name}: {about.description or ''}"
    return text + (f" ({', '.join(limits)})" if limits else "")


def read_value(text: str) -> Any:
    """Read a value as `--set` does: JSON, or else a string; an empty text is None."""
    text = text.strip()
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def write_value(value: Any) -> str:
    """Write a value as `read_value` reads it."""
    if value is None:
        return ""
    if isinstance(value, str) and read_value(value) == value:
        return value
    return json.dumps(value)

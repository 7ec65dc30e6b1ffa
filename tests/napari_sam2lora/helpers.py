"""Operate widgets as a user does."""

from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QWidget


def press(widget: QWidget, text: str) -> None:
    """Click the button with this label; if there are several, the only one that is enabled."""
    buttons = [b for b in widget.findChildren(QAbstractButton) if b.text() == text]
    (button,) = buttons if len(buttons) == 1 else [b for b in buttons if b.isEnabled()]
    button.click()


def pick(box: QComboBox, value: object) -> None:
    """Select an entry of a combo box as a user does."""
    number = box.findData(value)
    assert number >= 0, f"{value!r} is not in the list"
    box.setCurrentIndex(number)
    box.activated.emit(number)


def label_text(widget: QWidget) -> str:
    """Return the text of all labels of a widget."""
    return " ".join(label.text() for label in widget.findChildren(QLabel))

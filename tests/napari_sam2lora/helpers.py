"""Operate widgets as a user does."""

from qtpy.QtWidgets import QAbstractButton, QLabel, QWidget


def press(widget: QWidget, text: str) -> None:
    """Click the only button with this label."""
    (button,) = (b for b in widget.findChildren(QAbstractButton) if b.text() == text)
    button.click()


def label_text(widget: QWidget) -> str:
    """Return the text of all labels of a widget."""
    return " ".join(label.text() for label in widget.findChildren(QLabel))

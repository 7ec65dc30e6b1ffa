"""Small things docks are made of."""

from collections.abc import Callable

from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget


def button(text: str, clicked: Callable[[], None], *, keys: str = "", tip: str = "") -> QPushButton:
    """Make a button.

    Parameters
    ----------
    text
        What stands on it.
    clicked
        A method of the dock, called without arguments.
    keys
        Keys that press it, as Qt spells them; they are shown as its tip.
    tip
        What is shown when the pointer rests on it.
    """
    made = QPushButton(text)
    made.clicked.connect(clicked)
    made.setToolTip(tip)
    if keys:
        made.setShortcut(QKeySequence(keys))
        made.setToolTip(QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText))
    return made


def paragraph(text: str = "") -> QLabel:
    """Make a text that is as wide as its dock, and as high as it needs to be."""
    label = QLabel(text)
    label.setWordWrap(True)
    return label


def row(*widgets: QWidget) -> QHBoxLayout:
    """Put widgets side by side."""
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    return layout

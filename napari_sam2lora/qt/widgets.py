"""Small things docks are made of."""

import re
from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_LONG_WORD = re.compile(r"\S{25,}")
_BREAK = "\u200b"  # where a line may end, with nothing to be seen


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


class Paragraph(QLabel):
    """A plain text that is as wide as its dock, and as high as it needs to be.

    Words that are too long for a dock, such as names of files, are broken anywhere: else the whole
    dock would become as wide as they are.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        """Show a text."""
        self._text = text or ""
        super().setText(_LONG_WORD.sub(lambda word: _BREAK.join(word.group()), self._text))

    def text(self) -> str:
        """Give the text as it was set."""
        return self._text


def two_columns(first: str, second: str) -> QTableWidget:
    """Make a table of names and values, as wide as its dock."""
    table = QTableWidget(0, 2)
    table.setHorizontalHeaderLabels([first, second])
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.verticalHeader().hide()
    return table


def row(*widgets: QWidget) -> QHBoxLayout:
    """Put widgets side by side."""
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    return layout


class Section(QWidget):
    """A part of a dock that is folded away until its title is pressed.

    Parameters
    ----------
    title
        What is always to be seen.
    content
        What is folded away.

    Signals
    -------
    toggled(shown)
        The content was shown or folded away.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.title = QToolButton()
        self.title.setText(title)
        self.title.setCheckable(True)
        self.title.setAutoRaise(True)
        self.title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.title.setArrowType(Qt.ArrowType.RightArrow)
        self.title.toggled.connect(self._show)
        content.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addWidget(content)

    def _show(self, shown: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow
        self.title.setArrowType(arrow)
        self._content.setVisible(shown)
        self.toggled.emit(shown)

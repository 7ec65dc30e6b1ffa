"""Small widgets that the docks share."""

import re
from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

WARNING = "font-weight: bold;"
"""Style of warnings: hardly a color has enough contrast in both the light and the dark theme."""

_LONG_WORD = re.compile(r"\S{25,}")
_FRAME = 6  # pixels around the text of a message area
_BREAK = "\u200b"  # zero-width space: an invisible line-break opportunity


def button(text: str, clicked: Callable[[], None], *, keys: str = "", tip: str = "") -> QPushButton:
    """Create a push button.

    Parameters
    ----------
    text
        Label of the button.
    clicked
        A method of the dock, called without arguments.
    keys
        Keys that do the same, as Qt spells them; they are shown in the tooltip.
    tip
        Tooltip.
    """
    widget = QPushButton(text)
    widget.clicked.connect(clicked)
    shown = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
    widget.setToolTip(f"{tip} ({shown})" if tip and keys else tip or shown)
    return widget


class Paragraph(QLabel):
    """A label of plain text that wraps at the width of its dock.

    Long words, such as file names, may break anywhere; otherwise the whole dock would become as
    wide as they are.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        """Set the text."""
        self._text = text or ""
        super().setText(_LONG_WORD.sub(lambda word: _BREAK.join(word.group()), self._text))

    def text(self) -> str:
        """Return the text as it was set."""
        return self._text


def two_columns(first: str, second: str) -> QTableWidget:
    """Create an empty table of two columns, as wide as its dock.

    Parameters
    ----------
    first, second
        Headings of the columns.
    """
    table = QTableWidget(0, 2)
    table.setHorizontalHeaderLabels([first, second])
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.verticalHeader().hide()
    return table


def row(*widgets: QWidget) -> QHBoxLayout:
    """Create a layout of widgets side by side."""
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def column(*parts: QWidget | QLayout, stretch: QWidget | None = None) -> QWidget:
    """Create a widget of parts one below the other.

    Parameters
    ----------
    *parts
        Widgets and layouts, from the top.
    stretch
        The part that takes the height that is left; without one, it stays empty at the bottom.
    """
    widget = QWidget()
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(6, 4, 6, 4)
    for part in parts:
        if isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part, stretch=int(part is stretch))
    if stretch is None:
        layout.addStretch()
    return widget


class MessageArea(QScrollArea):
    """Messages in an area of constant height, so that no button moves; long ones scroll.

    Parameters
    ----------
    message, *others
        What is shown.
    lines
        Height, in lines of the message's text.
    """

    def __init__(self, message: "Paragraph", *others: "Paragraph", lines: int = 4) -> None:
        super().__init__()
        self._message, self._lines = message, lines
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content = column(message, *others)
        layout = content.layout()
        if layout is not None:
            layout.setContentsMargins(0, 0, 0, 0)
        self.setWidget(content)
        message.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep its height in lines when the font of the message changes."""
        changes = event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange)
        if watched is self._message and changes:
            self._fit()
        return bool(super().eventFilter(watched, event))

    def _fit(self) -> None:
        text = "\n".join("x" * self._lines)
        self.setFixedHeight(self._message.fontMetrics().size(0, text).height() + _FRAME)


class Section(QWidget):
    """A collapsible part of a dock, collapsed at first.

    Parameters
    ----------
    title
        Text of the button that expands and collapses it.
    content
        The collapsible widget.

    Signals
    -------
    toggled(shown)
        The content was expanded or collapsed.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.title = QToolButton()
        self.title.setText(title)
        self.title.setToolTip(f"Show or hide: {title}")
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

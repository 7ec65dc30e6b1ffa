"""Choose a session, and who grades: the part of the dock that is there before grading starts."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph, button, row

_ABOUT = (
    "A session is a folder in which several people grade the same images, each with masks of "
    "their own. Create one, or open one that is there."
)


class StartPanel(QWidget):
    """Buttons to create and open a session, and the name of the grader.

    Signals
    -------
    new_requested(table)
        A session is to be created, from a CSV file if `table`, else from a folder.
    open_requested(), locate_requested()
        A session is to be opened, or its missing images looked for.
    start_requested(name), review_requested(name)
        Grading, or looking at what graders did, starts under this name.
    """

    new_requested = Signal(bool)
    open_requested = Signal()
    locate_requested = Signal()
    start_requested = Signal(str)
    review_requested = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.about = Paragraph(_ABOUT)
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.setToolTip("Your name: letters, digits, - and _; one for each person")
        line = self.name.lineEdit()
        if line is not None:
            line.setPlaceholderText("Your name")
        self._choose = (
            button(
                "New from folder…",
                self._on_folder,
                tip="Create a session of the images in a folder or data set",
            ),
            button(
                "New from table…",
                self._on_table,
                tip="Create a session of the images in a CSV file: image, patient, eye, dataset",
            ),
            button("Open…", self._on_open, tip="Open the folder of a session"),
        )
        self._start = button("Start", self._on_start, tip="Start grading under this name")
        self._review = button(
            "Review",
            self._on_review,
            tip="Compare the graders; an adjudicator, who is none of them, decides between them",
        )
        self._locate = button(
            "Locate images…",
            self._on_locate,
            tip="Look for images that are missing in a folder, by their content",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(*self._choose))
        layout.addWidget(self.about)
        layout.addWidget(self._locate)
        layout.addLayout(row(self.name, self._start, self._review))
        layout.addStretch()
        self._locate.hide()
        self.name.setEnabled(False)
        self._start.setEnabled(False)
        self._review.setEnabled(False)

    def show_session(self, text: str, names: Sequence[str], *, missing: bool) -> None:
        """Show a session that was opened.

        Parameters
        ----------
        text
            What there is to say of it.
        names
            Who has graded in it.
        missing
            Whether images are missing.
        """
        self.about.setText(text)
        typed = self.name.currentText()
        self.name.clear()
        self.name.addItems(list(names))
        self.name.setCurrentText(typed)
        self._locate.setVisible(missing)
        self.name.setEnabled(True)
        self._start.setEnabled(True)
        self._review.setEnabled(bool(names))

    def show_busy(self, text: str) -> None:
        """Show what is going on; an empty text: it has ended."""
        for one in (*self._choose, self._locate):
            one.setEnabled(not text)
        if text:
            self.about.setText(text)

    def _on_folder(self) -> None:
        self.new_requested.emit(False)

    def _on_table(self) -> None:
        self.new_requested.emit(True)

    def _on_open(self) -> None:
        self.open_requested.emit()

    def _on_locate(self) -> None:
        self.locate_requested.emit()

    def _on_review(self) -> None:
        self.review_requested.emit(self.name.currentText().strip())

    def _on_start(self) -> None:
        self.start_requested.emit(self.name.currentText().strip())

"""What a grader says of the image that is shown, as buttons with keys: state, quality, comment."""

from collections.abc import Callable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QInputDialog, QLineEdit, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import button, row
from sam2lora.grading import ImageGrade, Quality

KEYS = {
    "back": "Alt+Left",
    "next": "Alt+Right",
    "done": "Alt+D",
    "skip": "Alt+K",
    "flag": "Alt+G",
    "reopen": "Alt+R",
    "gradable": "Alt+1",
    "partly": "Alt+2",
    "no": "Alt+3",
    "comment": "Alt+M",
}
"""Keys by what they do; napari's menus and screenshots have the other letters with Alt."""

_QUALITIES: tuple[tuple[Quality, str, str], ...] = (
    ("gradable", "Gradable", "The image can be graded"),
    ("partly", "Partly", "The image can be graded in part"),
    ("no", "Ungradable", "The image cannot be graded"),
)


class ImagePanel(QWidget):
    """Buttons and a line for the image that is shown.

    Signals
    -------
    back_requested(), next_requested()
        Another image is wanted.
    state_chosen(state, reason)
        How far the grader is with the image.
    quality_chosen(quality)
        How well it can be graded; None takes it back.
    comment_typed(text), comment_entered(text)
        A comment is being typed, or is complete.
    """

    back_requested = Signal()
    next_requested = Signal()
    state_chosen = Signal(str, str)
    quality_chosen = Signal(object)
    comment_typed = Signal(str)
    comment_entered = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("Comment on this image")
        self.comment.setToolTip(f"Comment on this image ({KEYS['comment']}); Return ends it")
        self.comment.textEdited.connect(self.comment_typed)
        self.comment.editingFinished.connect(self._on_comment)
        back = button("Back", self._on_back, keys=KEYS["back"], tip="Show the image before")
        following = button(
            "Next",
            self._on_next,
            keys=KEYS["next"],
            tip="Show the next image that is to be graded",
        )
        self._states = (
            button(
                "Done",
                self.finish,
                keys=KEYS["done"],
                tip="Save all masks, set the image to done, and show the next one",
            ),
            button(
                "Skip",
                self.skip,
                keys=KEYS["skip"],
                tip="Skip this image, and show the next one",
            ),
            button(
                "Flag…",
                self.flag,
                keys=KEYS["flag"],
                tip="Flag the image with a reason, and show the next one",
            ),
            button(
                "Reopen",
                self.reopen,
                keys=KEYS["reopen"],
                tip="Set this image back to started",
            ),
        )
        self._qualities = {
            quality: button(text, self._chooser(quality), keys=KEYS[quality], tip=tip)
            for quality, text, tip in _QUALITIES
        }
        for one in self._qualities.values():
            one.setCheckable(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row(back, following, *self._states))
        quality = QHBoxLayout()
        for one in self._qualities.values():
            quality.addWidget(one)
        quality.addWidget(self.comment, stretch=1)
        layout.addLayout(quality)
        self._grade = ImageGrade()
        self._writable = True
        self.setEnabled(False)

    def show_grade(self, grade: ImageGrade, *, writable: bool) -> None:
        """Show what was said of an image; nothing can be changed if it is not `writable`."""
        self._grade, self._writable = grade, writable
        self.setEnabled(True)
        for quality, one in self._qualities.items():
            one.setChecked(grade.quality == quality)
        if not self.comment.hasFocus():
            self.comment.setText(grade.comment)
        for widget in (*self._states, *self._qualities.values(), self.comment):
            widget.setEnabled(writable)
        self._states[-1].setEnabled(writable and grade.state not in ("to do", "started"))

    def end_typing(self) -> None:
        """Enter a comment that is being typed, as another image is about to be shown."""
        self.comment.clearFocus()
        if self._writable and self.comment.text().strip() != self._grade.comment:
            self._on_comment()

    def finish(self) -> None:
        """Ask to set the image to done."""
        self._choose("done")

    def skip(self) -> None:
        """Ask to leave the image out."""
        self._choose("skipped")

    def reopen(self) -> None:
        """Ask to set the image back to started, if anything else was said of it."""
        if self._grade.state not in ("to do", "started"):
            self._choose("started")

    def flag(self) -> None:
        """Ask for a reason, and to flag the image for it."""
        if self._writable and self.isEnabled():
            reason, agreed = QInputDialog.getText(
                self, "Flag the image", "Why?", text=self._grade.reason
            )
            if agreed and reason.strip():
                self._choose("flagged", reason.strip())

    def toggle_quality(self, quality: Quality) -> None:
        """Ask to set a quality, or to take it back if it is set."""
        if self._writable and self.isEnabled():
            self.quality_chosen.emit(None if self._grade.quality == quality else quality)

    def type_comment(self) -> None:
        """Put the cursor into the comment."""
        self.comment.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _choose(self, state: str, reason: str = "") -> None:
        if self._writable and self.isEnabled():
            self.end_typing()
            self.state_chosen.emit(state, reason)

    def _chooser(self, quality: Quality) -> Callable[[], None]:
        def choose() -> None:
            self.toggle_quality(quality)

        return choose

    def _on_back(self) -> None:
        self.end_typing()
        self.back_requested.emit()

    def _on_next(self) -> None:
        self.end_typing()
        self.next_requested.emit()

    def _on_comment(self) -> None:
        self.comment_entered.emit(self.comment.text().strip())

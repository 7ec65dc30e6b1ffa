"""What one grader does in a viewer: images one after another, states, comments, time worked."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from napari.layers import Labels
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.grading.autosave import Autosave
from napari_sam2lora.grading.image_order import ImageOrder
from napari_sam2lora.grading.rows import ImageRow, row_of
from napari_sam2lora.grading.session_images import image_file
from napari_sam2lora.layers.loading import as_next_image
from napari_sam2lora.layers.shown_image import ShownImage
from napari_sam2lora.qt.dock_protocol import AcceptedPrediction, NextImage
from sam2lora.errors import Sam2LoraError
from sam2lora.grading import (
    Doubt,
    GradingSession,
    GradingState,
    ImageGrade,
    PredictionEntry,
    Quality,
    RecoveryFile,
    SessionGrader,
    Suggestion,
    WorkClock,
)
from sam2lora.grading.participants import read_grades


class GraderWork(QObject):
    """One grader's part of a session, shown in a viewer.

    Parameters
    ----------
    viewer
        The viewer.
    grader
        The grader's part; `close` closes it.
    doubts
        What is known of predictions, by stem.

    Signals
    -------
    row_changed(stem)
        What is listed of an image has changed.
    shown_changed()
        Another image is shown.
    reopened(stem)
        An image that was done was edited, so that it is not done any longer.
    failed(message)
        What is not saved cannot be written.

    Attributes
    ----------
    grader
        As given.
    shown
        The image that is shown.
    order
        In which order the images come.
    reason
        Why the image that is shown was chosen.
    """

    row_changed = Signal(str)
    shown_changed = Signal()
    reopened = Signal(str)
    failed = Signal(str)

    def __init__(
        self,
        viewer: Viewer,
        grader: SessionGrader,
        *,
        doubts: Mapping[str, Doubt] | None = None,
    ) -> None:
        super().__init__()
        self.grader = grader
        self.shown = ShownImage(viewer, grader.corrections, saves=not grader.read_only)
        self.order = ImageOrder(grader, doubts or {})
        self.reason = ""
        self._others = _done_by_others(grader)
        self._clock = WorkClock()
        self._closed = False
        self._autosave: Autosave | None = None
        if not grader.read_only:
            self._autosave = Autosave(viewer, self.shown, grader.recovery)
            self._autosave.edited.connect(self._on_edited)
            self._autosave.acted.connect(self._on_acted)
            self._autosave.failed.connect(self.failed)

    @property
    def session(self) -> GradingSession:
        """The session."""
        return self.grader.session

    @property
    def stem(self) -> str | None:
        """The image that is shown; None while none is."""
        return None if self.shown.file is None else self.shown.file.stem

    @property
    def stems(self) -> list[str]:
        """All images, in the order of the session."""
        return [image.stem for image in self.session.images]

    @property
    def start(self) -> str:
        """The image that was left last, or else the first that is to be graded."""
        left = self.grader.corrections.position()
        first = next((one.stem for one in self.suggestions()), self.stems[0])
        return left if left in self.stems else first

    def row(self, stem: str) -> ImageRow:
        """Return what is listed of an image."""
        others = [name for name, grades in self._others.items() if stem in grades]
        return row_of(
            self.session.image(stem), self.grader.grade(stem), self.order.doubt(stem), others
        )

    def suggestions(self) -> list[Suggestion]:
        """Return the images that are still to be graded, the next one first."""
        return self.order.suggestions(self.stem)

    def go(self, stem: str, *, reason: str = "") -> None:
        """Show an image with the grader's masks once those of the one before are saved.

        Parameters
        ----------
        stem
            The image.
        reason
            Why it was chosen.

        Raises
        ------
        Sam2LoraError
            If masks cannot be saved, or the image cannot be read; nothing changes then.
        """
        file = image_file(self.session, stem)
        if self._autosave is None:
            self.shown.show(file)
            self._lock_masks()
        else:
            self._autosave.show(file)
        self.reason = reason
        self.act()
        self.shown_changed.emit()

    def save(self) -> Sequence[str]:
        """Save what was painted, and return the names of its targets.

        Raises
        ------
        Sam2LoraError
            If it cannot be saved; what is not saved stays in the recovery file.
        """
        return [] if self._autosave is None else self._autosave.save()

    def set_state(self, state: GradingState, *, reason: str = "") -> None:
        """Save the image that is shown, and set how far the grader is with it.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved.
        """
        if self.stem is None:
            return
        if state == "done" and self._autosave is not None:
            self.shown.save_all()
        self.save()
        self.act()
        self.grader.set_state(self.stem, state, reason=reason)
        self.row_changed.emit(self.stem)

    def flag_unreadable(self, stem: str, reason: str) -> None:
        """Flag an image that cannot be shown.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self.grader.set_state(stem, "flagged", reason=reason)
        self.row_changed.emit(stem)

    def adopt(self, aside: RecoveryFile) -> None:
        """Take over a recovery file that was set aside: what is in it is shown again.

        Raises
        ------
        OutputError
            If it cannot be renamed.
        """
        if self._autosave is not None:
            self._autosave.adopt(aside)

    def set_quality(self, quality: Quality | None) -> None:
        """Set how well the image that is shown can be graded; None takes it back.

        Raises
        ------
        Sam2LoraError
            If it cannot be written.
        """
        if self.stem is not None and quality != self.grade.quality:
            self._begin()
            self.grader.set_quality(self.stem, quality)
            self.row_changed.emit(self.stem)

    def set_comment(self, text: str) -> None:
        """Set the comment on the image that is shown.

        Raises
        ------
        Sam2LoraError
            If it cannot be written.
        """
        if self.stem is None or text == self.grade.comment:
            return
        self._begin()
        self.grader.set_comment(self.stem, text)
        if self._autosave is not None:
            self._autosave.set_comment(None)
        self.row_changed.emit(self.stem)

    def note_typing(self, text: str) -> None:
        """Keep a comment that is being typed."""
        if self._autosave is not None:
            self._autosave.set_comment(text)

    @property
    def grade(self) -> ImageGrade:
        """What the grader has said of the image that is shown."""
        return self.grader.grade(self.stem or "")

    def act(self) -> None:
        """Count the time since the last action as work on the image, unless it was long."""
        if self._autosave is None:
            return
        for entry in self._clock.act(self.stem, datetime.now(UTC)):
            self.grader.write(entry)
            self.row_changed.emit(entry.image)

    def note_confidence(self, path: str, target: str, confidence: float | None) -> None:
        """Remember how sure a prediction is; of a file that is no image of the session, nothing."""
        stem = self.order.note_confidence(path, target, confidence)
        if stem is not None:
            self.row_changed.emit(stem)

    def note_accepted(self, accepted: AcceptedPrediction) -> None:
        """Write down what predicted a mask of the image that is shown.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if self._autosave is None or accepted.image != self.shown.path or self.stem is None:
            return
        entry = PredictionEntry(
            image=self.stem,
            target=accepted.target,
            model=accepted.model,
            adapter=accepted.adapter,
            adapter_sha256=accepted.adapter_sha256,
            confidence=accepted.confidence,
        )
        self.grader.write(entry)

    def next_image(self) -> NextImage | None:
        """Return the image that is next; None at the end, or if its file is missing."""
        following = next(iter(self.suggestions()), None)
        path = None if following is None else self.session.path(following.stem)
        if following is None or path is None or not path.is_file():
            return None
        return as_next_image(image_file(self.session, following.stem), self.grader.corrections)

    def close(self, *, save: bool = True) -> None:
        """Save, and close the grader's part; calling it again does nothing.

        Parameters
        ----------
        save
            Whether masks are saved; otherwise they stay in the recovery file.

        Raises
        ------
        Sam2LoraError
            If masks cannot be saved; nothing is closed then.
        """
        if self._closed:
            return
        if save:
            self.save()
        if self._autosave is not None:
            for entry in self._clock.act(None, datetime.now(UTC)):
                self.grader.write(entry)
            self._autosave.close()
        self._closed = True
        self.grader.close()

    def _on_edited(self) -> None:
        if self.stem is None or self.grade.state not in ("to do", "done"):
            return
        done = self.grade.state == "done"
        try:
            self.grader.set_state(self.stem, "started")
        except Sam2LoraError as error:
            self.failed.emit(str(error))
            return
        self.row_changed.emit(self.stem)
        if done:
            self.reopened.emit(self.stem)

    def _on_acted(self) -> None:
        try:
            self.act()
        except Sam2LoraError as error:
            self.failed.emit(str(error))

    def _begin(self) -> None:
        """Set an image to started that nothing was done with before."""
        if self.stem is not None and self.grade.state == "to do":
            self.grader.set_state(self.stem, "started")

    def _lock_masks(self) -> None:
        """Lock the masks of the image, since what is painted will not be kept."""
        for layer in self.shown.mask_layers():
            if isinstance(layer, Labels):
                layer.editable = False


def _done_by_others(grader: SessionGrader) -> dict[str, set[str]]:
    """Return which images other graders are done with, by their names."""
    session = grader.session
    return {
        name: {stem for stem, grade in read_grades(session, name)[0].items() if grade.done}
        for name in session.graders()
        if name != grader.name
    }

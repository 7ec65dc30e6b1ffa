"""Joins the list of images and the image panel with a grader's work."""

from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_sam2lora.grading.image_panel import ImagePanel
from napari_sam2lora.grading.recovering import bring_back, comment_of, lost_text
from napari_sam2lora.grading.starting import find_unsaved, known_doubts, open_grader, wants_back
from napari_sam2lora.grading.table import ImageTable
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.qt.dialogs import confirm
from napari_sam2lora.qt.notifications import notify, show_user_errors
from sam2lora.errors import ImageError, Sam2LoraError
from sam2lora.grading import (
    GradingSession,
    GradingState,
    Quality,
    Recovery,
    RecoveryFile,
)

_UNREADABLE = "Unreadable image"  # title of the question


class GradingController(QObject):
    """Lets a person grade the images of a session.

    Parameters
    ----------
    viewer
        The viewer.
    table, panel
        The images, and what is said of the one that is shown.
    owner
        The dock; parent of dialogs.

    Signals
    -------
    said(text)
        A message for the user.
    counted(text)
        How far the grader is.
    finished(stem)
        An image was set to done.

    Attributes
    ----------
    work
        What the grader does; None before grading starts.
    """

    said = Signal(str)
    counted = Signal(str)
    finished = Signal(str)

    def __init__(
        self, viewer: Viewer, table: ImageTable, panel: ImagePanel, owner: QWidget
    ) -> None:
        super().__init__()
        self._viewer, self._table, self._panel, self._owner = viewer, table, panel, owner
        self.work: GraderWork | None = None
        self._before: list[str] = []  # images that were shown, the last one last
        table.chosen.connect(self.go)
        panel.back_requested.connect(self.go_back)
        panel.next_requested.connect(self.go_on)
        panel.state_chosen.connect(self._on_state)
        panel.quality_chosen.connect(self._on_quality)
        panel.comment_typed.connect(self._on_typing)
        panel.comment_entered.connect(self._on_comment)

    def begin(self, session: GradingSession, name: str, title: str) -> bool:
        """Start grading; what was not saved before a crash is offered, or to read only.

        Returns
        -------
        Whether it has started.

        Raises
        ------
        Sam2LoraError
            If the name cannot be used, or the first image cannot be shown.
        """
        grader = open_grader(self._owner, title, session, name)
        if grader is None:
            return False
        try:
            found = find_unsaved(grader)
        except Sam2LoraError:
            grader.close()
            raise
        work = GraderWork(self._viewer, grader, doubts=known_doubts(session))
        self._follow(work)
        with show_user_errors(self._owner):  # another image can be chosen in the list
            if found is not None:
                file, unsaved = found
                if wants_back(self._owner, title, unsaved):
                    self._bring_back(file, unsaved)
                else:
                    file.discard()
        if work.stem is None:
            with show_user_errors(self._owner):
                try:
                    work.go(work.start)
                except ImageError:
                    self._go_on(work, end="No image is left to be graded.")
        return True

    def end(self, *, save: bool = True) -> None:
        """Save, and grade no more.

        Parameters
        ----------
        save
            Whether masks are saved; otherwise they stay in the recovery file.

        Raises
        ------
        Sam2LoraError
            If masks cannot be saved; nothing is closed then.
        """
        if self.work is not None:
            self._panel.end_typing()
            self.work.close(save=save)
            if save:
                self.work.shown.leave()
            self.work = None
            self._before.clear()
            self._panel.setEnabled(False)

    def release(self) -> None:
        """Release the part for other windows; the dock is gone, and its masks were saved before."""
        if self.work is not None:
            self.work.close(save=False)

    def go(self, stem: str) -> None:
        """Show an image once the masks of the one before are saved.

        One that cannot be read can be flagged.
        """
        work = self.work
        if work is None or stem == work.stem:
            return
        with show_user_errors(self._owner):
            try:
                self._go(work, stem)
            except ImageError as error:
                state = work.grader.grade(stem).state
                if work.grader.read_only or state == "flagged":
                    raise
                if confirm(self._owner, _UNREADABLE, f"{error} Flag it?", action="Flag"):
                    work.flag_unreadable(stem, str(error))

    def go_on(self) -> None:
        """Show the next image that is to be graded; those that cannot be read are passed over."""
        if self.work is not None:
            self._go_on(self.work, end="No other image is left to be graded.")

    def _go_on(self, work: GraderWork, *, end: str) -> None:
        unreadable: list[str] = []
        with show_user_errors(self._owner):
            for following in work.suggestions():
                try:
                    self._go(work, following.stem, reason=following.reason)
                    end = ""
                    break
                except ImageError as error:
                    unreadable.append(f"{following.stem}: {error}")
        if unreadable:
            notify("\n".join(["Passed over, as they cannot be read:", *unreadable]), self._owner)
        if end:
            self.said.emit(end)

    def _go(self, work: GraderWork, stem: str, *, reason: str = "") -> None:
        self._panel.end_typing()
        before = work.stem
        work.go(stem, reason=reason)
        if before is not None:
            self._before.append(before)

    def go_back(self) -> None:
        """Show the image that was shown before."""
        if self.work is not None and self._before:
            stem = self._before.pop()
            self.go(stem)
            if self.work.stem == stem:
                self._before.pop()  # the image that was just left

    def save(self) -> None:
        """Save the image that is shown."""
        if self.work is not None:
            self._panel.end_typing()
            with show_user_errors(self._owner):
                saved = self.work.save()
                text = f"Saved: {', '.join(saved)}." if saved else "Everything is saved."
                self.said.emit(text)

    def set_order(self, *, doubtful: bool) -> None:
        """Set whether the most doubtful image is next."""
        if self.work is not None:
            self.work.order.by = "doubt" if doubtful else "list"

    def act(self) -> None:
        """Count time as worked."""
        if self.work is not None:
            with show_user_errors(self._owner):
                self.work.act()

    def _follow(self, work: GraderWork) -> None:
        self.work = work
        work.row_changed.connect(self._on_row)
        work.shown_changed.connect(self._on_shown)
        work.reopened.connect(self._on_reopened)
        work.failed.connect(self._on_failed)
        self._panel.setEnabled(False)
        self._table.show_rows([work.row(stem) for stem in work.stems])
        self._count()

    def _bring_back(self, file: RecoveryFile, found: Recovery) -> None:
        """Show an image with what was not saved; the file stays if some of it does not fit."""
        work = self.work
        if work is None:
            return
        work.go(found.image, reason="It was not saved when napari ended.")
        lost = bring_back(self._viewer, work.shown, found)
        comment = comment_of(found)
        if comment is not None:
            work.set_comment(comment.strip())
        if lost:
            notify(lost_text(lost, file), self._owner)
        else:
            work.adopt(file)

    def _count(self) -> None:
        work = self.work
        if work is None:
            return
        grades = [work.grader.grade(stem) for stem in work.stems]
        done = sum(grade.state == "done" for grade in grades)
        minutes = sum(grade.seconds for grade in grades) / 60
        only = " Read only: nothing that you change is kept." if work.grader.read_only else ""
        self.counted.emit(
            f"{work.session.folder.name}, {work.grader.name}: {done} of {len(grades)} done, "
            f"{minutes:.0f} min.{only}"
        )

    def _on_row(self, stem: str) -> None:
        if self.work is not None:
            self._table.show_row(self.work.row(stem))
            if stem == self.work.stem:
                self._show_grade()
            self._count()

    def _on_shown(self) -> None:
        work = self.work
        if work is not None and work.stem is not None:
            self._table.select(work.stem)
            self._show_grade()
            self.said.emit(" ".join(filter(None, [f"{work.stem}.", work.reason])))

    def _show_grade(self) -> None:
        work = self.work
        if work is not None:
            self._panel.show_grade(work.grade, writable=not work.grader.read_only)

    def _on_reopened(self, stem: str) -> None:
        self.said.emit(f"{stem} was done, and is reopened, as you changed a mask.")

    def _on_failed(self, text: str) -> None:
        self.said.emit(f"Not kept: {text}")

    def _on_state(self, state: GradingState, reason: str) -> None:
        work = self.work
        if work is None or work.stem is None:
            return
        stem = work.stem
        with show_user_errors(self._owner):
            work.set_state(state, reason=reason)
            if state == "done":
                self.finished.emit(stem)
            if state == "started":
                self.said.emit(f"{stem} is reopened.")
            else:
                self._go_on(work, end="That was the last image.")

    def _on_quality(self, quality: Quality | None) -> None:
        if self.work is not None:
            with show_user_errors(self._owner):
                self.work.set_quality(quality)
            self._show_grade()

    def _on_typing(self, text: str) -> None:
        if self.work is not None:
            self.work.note_typing(text)

    def _on_comment(self, text: str) -> None:
        if self.work is not None and not self.work.grader.read_only:
            with show_user_errors(self._owner):
                self.work.set_comment(text)

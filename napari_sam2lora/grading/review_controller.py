"""Joins the review panel with what it is about: a reviewer's part of a session."""

from collections.abc import Callable
from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sam2lora.grading.review_panel import ReviewPanel
from napari_sam2lora.grading.review_work import ReviewWork
from napari_sam2lora.grading.starting import joins_as_adjudicator, wants_back
from napari_sam2lora.qt.dialogs import confirm
from napari_sam2lora.qt.notifications import notify, show_user_errors
from sam2lora.errors import OutputError, Sam2LoraError
from sam2lora.grading import GradingSession
from sam2lora.grading.agreement import Agreement


class ReviewController(QObject):
    """Lets a person look at what graders did.

    Parameters
    ----------
    viewer
        The viewer.
    panel
        The panel.
    owner
        The dock; parent of dialogs.

    Signals
    -------
    said(text)
        A message for the user.

    Attributes
    ----------
    work
        What is looked at; None while nothing is.
    """

    said = Signal(str)

    def __init__(self, viewer: Viewer, panel: ReviewPanel, owner: QWidget) -> None:
        super().__init__()
        self._viewer, self._panel, self._owner = viewer, panel, owner
        self.work: ReviewWork | None = None
        panel.compare_requested.connect(self._on_compare)
        panel.chosen.connect(self.show)
        panel.choice_made.connect(self.choose)
        panel.paint_requested.connect(self.start_painting)
        panel.report_requested.connect(self._on_report)
        panel.consensus_requested.connect(self._on_consensus)

    def begin(self, session: GradingSession, name: str, title: str) -> None:
        """Start looking under a name; what an adjudicator has not saved is offered.

        Raises
        ------
        Sam2LoraError
            As for `ReviewWork`.
        """
        if not joins_as_adjudicator(self._owner, title, session, name):
            return
        try:
            work = ReviewWork(self._viewer, session, name)
        except OutputError as error:  # another window has the adjudicator's part
            if not confirm(self._owner, title, str(error), action="Open read-only"):
                return
            work = ReviewWork(self._viewer, session, name, read_only=True)
        try:
            found = work.find_unsaved()
        except Sam2LoraError:
            work.close(save=False)
            raise
        self.work = work
        work.compared.connect(self._on_compared)
        work.written.connect(self.said)
        work.failed.connect(self._on_failed)
        self._panel.show_graders(work.graders, decides=work.adjudicator is not None)
        if found is not None:
            file, unsaved = found
            with show_user_errors(self._owner):
                if wants_back(self._owner, title, unsaved):
                    work.bring_back(file, unsaved)
                else:
                    file.discard()
        if len(work.graders) > 1:
            self._on_compare(*self._panel.graders)

    def end(self, *, save: bool = True) -> None:
        """Save, and look no more.

        Raises
        ------
        Sam2LoraError
            If what was painted cannot be saved; nothing is closed then.
        """
        if self.work is not None:
            self.work.close(save=save)
            if save:
                self.work.shown.leave()
            self.work = None

    def release(self) -> None:
        """Release the part for other windows; the dock is gone, and its masks were saved before."""
        if self.work is not None:
            self.work.close(save=False)

    def show(self, stem: str, target: str) -> None:
        """Show both graders' outlines of a target."""
        work = self.work
        if work is not None and work.pair is not None:
            first, second = work.pair
            with show_user_errors(self._owner):
                work.show(stem, target, work.pair)
                self.said.emit(
                    f"{stem}, {target}: {first} in cyan, {second} in magenta; differences in red."
                )

    def choose(self, choice: str | None) -> None:
        """Take a mask for the consensus of what is shown; None takes it back."""
        work = self.work
        if work is not None and work.stem:
            with show_user_errors(self._owner):
                work.choose(choice)
                self._panel.show_choices(work.stem, work.choices)
                taken = f"{choice} is taken" if choice else "the decision is withdrawn"
                self.said.emit(f"{work.stem}, {work.target}: {taken}.")

    def start_painting(self, choice: str) -> None:
        """Start to paint the adjudicator's own mask from that of a choice."""
        if self.work is not None:
            with show_user_errors(self._owner):
                self.work.start_painting(choice)
                self.said.emit("Paint in the mask, then take what is painted.")

    def _on_compare(self, first: str, second: str) -> None:
        if self.work is not None:
            self.said.emit("Comparing…")
            with show_user_errors(self._owner):
                self.work.compare(first, second)

    def _on_compared(self, agreement: Agreement) -> None:
        work = self.work
        if work is None:
            return
        self._panel.show_agreement(agreement)
        self.said.emit("Click a row to see both outlines.")
        adjudicator = work.adjudicator
        if adjudicator is not None:
            with show_user_errors(self._owner):
                stems = [one.stem for one in agreement.lone]
                stems += [one.stem for one in agreement.masks]
                for stem in dict.fromkeys(stems):
                    self._panel.show_choices(stem, adjudicator.choices(stem))

    def _on_report(self) -> None:
        self._ask(
            "Choose an empty folder, or that of an earlier agreement",
            lambda work, out: work.write_report(out),
        )

    def _on_consensus(self, otherwise: str | None) -> None:
        self._ask(
            "Choose where the folder of the consensus is created",
            lambda work, out: work.write_consensus(
                out / f"{work.session.folder.name} consensus", otherwise=otherwise
            ),
        )

    def _ask(self, title: str, write: Callable[[ReviewWork, Path], None]) -> None:
        folder = QFileDialog.getExistingDirectory(self._owner, title)
        if folder and self.work is not None:
            with show_user_errors(self._owner):
                self.work.save()
                write(self.work, Path(folder))

    def _on_failed(self, text: str) -> None:
        self.said.emit(text)
        notify(text, self._owner)

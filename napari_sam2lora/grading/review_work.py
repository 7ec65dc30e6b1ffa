"""What a person does who looks at the work of several graders, and may decide between them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.grading.autosave import Autosave
from napari_sam2lora.grading.difference import show_difference
from napari_sam2lora.grading.recovering import bring_back, lost_text
from napari_sam2lora.grading.session_images import image_file
from napari_sam2lora.grading.starting import find_unsaved
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.masks import accept_mask, find_mask_layer
from napari_sam2lora.layers.shown_image import ShownImage
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.canvas import look_at
from sam2lora.errors import Sam2LoraError, SessionError
from sam2lora.grading import (
    Adjudicator,
    GradingSession,
    Recovery,
    RecoveryFile,
    Review,
    SessionGrader,
)
from sam2lora.grading.agreement import Agreement, compare_graders
from sam2lora.grading.agreement_report import write_agreement
from sam2lora.grading.consensus import PAINTED
from sam2lora.grading.consensus_dataset import ConsensusResult, write_consensus
from sam2lora.grading.entries import SeenMask
from sam2lora.targets import get_target
from sam2lora.utils.names import plain_name

T = TypeVar("T")


class ReviewWork(QObject):
    """The graders' work in a session, as far as it may be seen, shown in a viewer.

    Parameters
    ----------
    viewer
        The viewer.
    session
        The session.
    name
        Who looks at it. A grader only looks, and must be done with an image, too; anybody else
        adjudicates.

    Signals
    -------
    compared(agreement)
        Two graders were compared.
    written(text)
        Something was written to disk.
    failed(message)
        An error that a user can cause.

    Attributes
    ----------
    adjudicator
        Who decides; None for a grader, who only looks.
    review
        The graders' work when it was read last.
    stem, target
        What is shown; empty while nothing is.
    pair
        The two graders who were compared last; None before.
    shown
        The image, with the adjudicator's masks or the grader's.

    Raises
    ------
    Sam2LoraError
        If nobody has graded anything, the name cannot be used, or another window has it and it is
        not opened read-only.
    """

    compared = Signal(object)
    written = Signal(str)
    failed = Signal(str)

    def __init__(
        self, viewer: Viewer, session: GradingSession, name: str, *, read_only: bool = False
    ) -> None:
        super().__init__()
        self._viewer, self.session, self._name = viewer, session, name
        self.stem = self.target = ""
        self._agreement: Agreement | None = None
        self._autosave: Autosave | None = None
        self.adjudicator: Adjudicator | None = None
        self._seen: Mapping[str, SeenMask] = {}  # what is shown, as it was read
        self.pair: tuple[str, str] | None = None
        if plain_name(name) in map(plain_name, session.graders()):
            self._person: Adjudicator | SessionGrader = SessionGrader(session, name, read_only=True)
            self.review = Review(session, viewer=name)
        else:
            self._person = Adjudicator(session, name, read_only=read_only)
            self.review = self._person.review
            self.adjudicator = None if read_only else self._person
        saves = not self._person.read_only
        self.shown = ShownImage(viewer, self._person.corrections, saves=saves)
        if self.adjudicator is not None:
            self._autosave = Autosave(viewer, self.shown, self._person.recovery)
            self._autosave.failed.connect(self.failed)

    @property
    def graders(self) -> tuple[str, ...]:
        """Who has graded."""
        return self.review.graders

    @property
    def choices(self) -> dict[str, str]:
        """What was taken for the consensus of the image that is shown, by target."""
        if self.adjudicator is None or not self.stem:
            return {}
        return self.adjudicator.choices(self.stem)

    def compare(self, first: str, second: str) -> None:
        """Compare two graders in the background."""
        self._refresh()

        def compared(agreement: Agreement) -> None:
            self._agreement = agreement
            self.pair = (agreement.first, agreement.second)
            self.compared.emit(agreement)

        self._in_background(lambda: compare_graders(self.review, first, second), compared)

    def show(self, stem: str, target: str, graders: tuple[str, str]) -> None:
        """Show an image with both graders' outlines of a target, and where they differ.

        Raises
        ------
        SealedError
            If a grader is not done with the image any more.
        Sam2LoraError
            If something cannot be read, or what was painted before cannot be saved.
        """
        self._seen = {} if self.adjudicator is None else self.adjudicator.seen(stem, target)
        drawn = self.review.masks(stem)
        first, second = graders
        if stem != self.stem:
            self._show_image(stem)
        self.stem, self.target = stem, target
        masks = drawn[first].get(target), drawn[second].get(target)
        image = self._image()
        show_difference(self._viewer, image, target, masks, (first, second))
        marked = [mask for mask in masks if mask is not None]
        if marked:
            look_at(self._viewer, image, np.logical_or.reduce(marked))

    def find_unsaved(self) -> tuple[RecoveryFile, Recovery] | None:
        """Return what the adjudicator painted and did not save before a crash, and its file.

        Raises
        ------
        OutputError
            As for `starting.find_unsaved`.
        """
        return find_unsaved(self._person)

    def bring_back(self, file: RecoveryFile, found: Recovery) -> None:
        """Show an image with what was not saved of it; the file stays if some of it does not fit.

        Raises
        ------
        Sam2LoraError
            If the image cannot be read, or the file cannot be renamed.
        """
        self._show_image(found.image)
        lost = bring_back(self._viewer, self.shown, found)
        if lost:
            self.failed.emit(lost_text(lost, file))
        elif self._autosave is not None:
            self._autosave.adopt(file)

    def choose(self, choice: str | None) -> None:
        """Take a mask for the consensus of what is shown; None takes it back.

        Parameters
        ----------
        choice
            A grader's name, `majority`, `staple` or `painted`: the mask that is in the viewer.

        Raises
        ------
        Sam2LoraError
            If there is no such mask, or it cannot be written.
        """
        if self.adjudicator is None or not self.stem:
            return
        if choice == PAINTED:
            layer = find_mask_layer(self._viewer, self._image(), get_target(self.target))
            if layer is None:
                raise SessionError(f"{self.stem}: there is no {self.target} painted. Paint one.")
            self.shown.save_all()
        self.save()
        self.adjudicator.choose(self.stem, self.target, choice, seen=self._seen)

    def start_painting(self, choice: str) -> None:
        """Put the mask of a choice into a layer of the adjudicator's own, to be painted in.

        Raises
        ------
        Sam2LoraError
            If there is no such mask.
        """
        if self.adjudicator is None or not self.stem:
            return
        mask = self.adjudicator.mask(self.stem, self.target, choice)
        target = get_target(self.target)
        layer = accept_mask(self._viewer, self._image(), target, mask, "replace")
        self._viewer.layers.selection.active = layer
        layer.mode = "paint"

    def save(self) -> None:
        """Save what the adjudicator painted.

        Raises
        ------
        Sam2LoraError
            If it cannot be saved; it stays in the recovery file.
        """
        if self._autosave is not None:
            self._autosave.save()

    def write_report(self, out: Path) -> None:
        """Write the agreement that was found last into a folder."""
        agreement = self._agreement
        if agreement is not None:
            self.session.check_outside(out)
            names = write_agreement(out, agreement)
            self.written.emit(f"Agreement: {out / names[0]}")

    def write_consensus(self, out: Path, *, otherwise: str | None) -> None:
        """Write the consensus as a data set, in the background.

        Parameters
        ----------
        out
            The folder to create.
        otherwise
            What is taken where nothing was chosen; None leaves it out.
        """
        self._refresh()

        def write() -> ConsensusResult:
            return write_consensus(
                out, self.review, adjudicator=self.adjudicator, otherwise=otherwise
            )

        def written(result: ConsensusResult) -> None:
            self.written.emit(f"Consensus: {out}. {_consensus_text(result)}")

        self._in_background(write, written)

    def close(self, *, save: bool = True) -> None:
        """Save, and release the adjudicator's part.

        Raises
        ------
        Sam2LoraError
            If it cannot be saved; nothing is closed then.
        """
        if save:
            self.save()
        if self._autosave is not None:
            self._autosave.close()
        self._person.close()

    def _show_image(self, stem: str) -> None:
        file = image_file(self.session, stem)
        if self._autosave is None:
            self.shown.show(file)
            for layer in self.shown.mask_layers():
                layer.visible = False  # the grader's own mask is among the outlines
        else:
            self._autosave.show(file)
        self.stem = stem

    def _refresh(self) -> None:
        if isinstance(self._person, Adjudicator):
            self._person.refresh()
            self.review = self._person.review
        else:
            self.review = Review(self.session, viewer=self._name)

    def _image(self) -> Image:
        image = ImageLayers(self._viewer).find(self.shown.path or "")
        if image is None:
            raise SessionError(f"{self.stem}: its image is not in the viewer. Show it again.")
        return image

    def _in_background(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        def failed(error: Sam2LoraError) -> None:
            self.failed.emit(str(error))

        in_background(self, work, done, failed)


def _consensus_text(result: ConsensusResult) -> str:
    """Return what was taken and what was left out, in a sentence each."""
    taken = ", ".join(f"{count} by {name}" for name, count in result.chosen.items())
    parts = [f"Masks: {taken}."]
    for name, stems in (
        ("Undecided", [f"{stem} ({', '.join(t)})" for stem, t in result.undecided.items()]),
        ("Decided, but changed since", [f"{s} ({', '.join(t)})" for s, t in result.void.items()]),
        ("Not all are done with", list(result.sealed)),
        ("Not written", [f"{stem}: {text}" for stem, text in result.problems.items()]),
    ):
        if stems:
            parts.append(f"{name}: {'; '.join(stems)}.")
    return " ".join(parts)

"""The consensus as a dataset of its own, which `train` reads, with all sources beside it.

```
OUT/dataset.csv                   one row an image; TARGET_chosen says which mask was taken, and
                                  TARGET_by_NAME is the path of that grader's mask
OUT/images/                       the images, if they are copied
OUT/masks/TARGET/                 the consensus
OUT/sources/NAME/TARGET/          each grader's mask; the adjudicator's as NAME, too
```
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sam2lora.annotations import LabelledImage, save_mask, save_training_data
from sam2lora.errors import OutputError, Sam2LoraError, SessionError
from sam2lora.grading.adjudication import Adjudicator
from sam2lora.grading.consensus import LEAST, MAJORITY, PAINTED, STAPLE, resolve
from sam2lora.grading.review import Review
from sam2lora.types import Mask
from sam2lora.utils.files import make_folder
from sam2lora.utils.folders import new_folder
from sam2lora.utils.progress import Progress, no_progress


@dataclass
class ConsensusResult:
    """What `write_consensus` wrote.

    Attributes
    ----------
    chosen
        How many masks were taken by each choice.
    undecided
        By stem, the targets that nothing was chosen for.
    void
        By stem, the targets whose choice does not count any longer (`Adjudicator.void_choices`);
        nothing is taken in its place.
    sealed
        Images that not every grader is done with.
    problems
        By stem, why an image could not be written, or which masks could not be read.
    """

    chosen: dict[str, int] = field(default_factory=dict)
    undecided: dict[str, tuple[str, ...]] = field(default_factory=dict)
    void: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sealed: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)


def write_consensus(
    out: Path,
    review: Review,
    *,
    adjudicator: Adjudicator | None = None,
    otherwise: str | None = None,
    copy: bool = True,
    progress: Progress = no_progress,
) -> ConsensusResult:
    """Write the consensus of all images that may be seen into a new folder.

    Parameters
    ----------
    out
        The folder to create, whole or not at all.
    review
        The graders' work.
    adjudicator
        Who has decided, opened with the same graders; None if nobody has.
    otherwise
        What is taken where nothing was decided: a grader's name, `majority` or `staple`; None
        leaves the target out.
    copy
        Whether image files are copied; otherwise the table refers to the original files.
    progress
        Called with the number of images.

    Raises
    ------
    SessionError
        If nothing at all was decided, or `otherwise` is none of these.
    OutputError
        If the folder exists, lies in the session, or cannot be written.
    """
    review.session.check_outside(out)
    if otherwise is not None and otherwise not in (*review.graders, MAJORITY, STAPLE):
        raise SessionError(
            f"{otherwise!r} cannot be taken where nothing was decided. Use one of: "
            f"{', '.join((*review.graders, MAJORITY, STAPLE))}."
        )
    result = ConsensusResult(problems=review.unknown_masks())
    stems = review.open_stems()
    seen = set(stems)
    result.sealed = tuple(one.stem for one in review.session.images if one.stem not in seen)
    with new_folder(out) as folder:
        writer = _Writer(folder, review, adjudicator, otherwise, result)
        save_training_data(folder, writer.images(stems, progress), copy=copy)
        if not result.chosen:
            why = next(iter(result.problems.values()), "none of them has a choice that counts.")
            raise SessionError(
                f"{review.session.folder}: there is no consensus to write. Images that all are "
                f"done with: {len(stems)}; {why} Choose, or say what is to be taken otherwise."
            )
    return result


@dataclass(frozen=True)
class _Writer:
    """Writes the sources of one image after another, and yields the image with its consensus."""

    folder: Path
    review: Review
    adjudicator: Adjudicator | None
    otherwise: str | None
    result: ConsensusResult

    def images(self, stems: list[str], progress: Progress) -> Iterator[LabelledImage]:
        for done, stem in enumerate(stems, start=1):
            try:
                image = self._image(stem)
            except OutputError:  # concerns the whole dataset
                raise
            except Sam2LoraError as error:
                self.result.problems[stem] = str(error)
                image = None
            if image is not None:
                yield image
            progress(done, len(stems))

    def _image(self, stem: str) -> LabelledImage | None:
        drawn = self.review.masks(stem)
        painted: dict[str, Mask] = {}
        choices, void = {}, {}
        if self.adjudicator is not None:
            choices = self.adjudicator.choices(stem)
            void = self.adjudicator.void_choices(stem)
        if self.adjudicator is not None and PAINTED in choices.values():
            painted = self.adjudicator.corrections.masks(stem, self.review.shape(stem))
        sources = dict(drawn)
        if self.adjudicator is not None and painted:
            sources[self.adjudicator.name] = painted
        targets = dict.fromkeys(target for masks in sources.values() for target in masks)
        taken: dict[str, Mask] = {}
        notes: dict[str, str] = {}
        for target in targets:
            if target in void:
                continue
            choice = choices.get(target, self.otherwise)
            by_grader = {name: masks[target] for name, masks in drawn.items() if target in masks}
            if choice is not None and (target in choices or self._fits(choice, by_grader)):
                taken[target] = resolve(choice, by_grader, painted=painted.get(target))
                notes[f"{target}_chosen"] = choice
        if void:
            self.result.void[stem] = tuple(void)
        left = tuple(target for target in targets if target not in taken and target not in void)
        if left:
            self.result.undecided[stem] = left
        if not taken:
            return None
        for choice in notes.values():
            self.result.chosen[choice] = self.result.chosen.get(choice, 0) + 1
        for name, masks in sources.items():
            for target, mask in masks.items():
                place = f"sources/{name}/{target}/{stem}.png"
                make_folder((self.folder / place).parent)
                save_mask(self.folder / place, mask)
                notes[f"{target}_by_{name}"] = place
        listed = self.review.session.image(stem)
        path = self.review.session.found_path(stem)
        return LabelledImage(stem, path, taken, listed.patient, notes=notes)

    def _fits(self, choice: str, masks: dict[str, Mask]) -> bool:
        """Check whether a choice nobody made for this very image can be taken in it."""
        return len(masks) >= LEAST[choice] if choice in LEAST else choice in masks

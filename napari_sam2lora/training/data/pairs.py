"""A pair of an image and its labels, to be trained on, and what is wrong with it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PairIssue:
    """What is wrong with a pair, in words.

    Attributes
    ----------
    message
        A sentence.
    blocking
        The pair cannot be trained on as it is.
    """

    message: str
    blocking: bool = False


@dataclass(frozen=True, eq=False)
class Pair:
    """One image with labels of one target.

    Attributes
    ----------
    key
        Names the image and the target among others, across refreshes, and whether the labels come
        from a layer or a file.
    name
        Of the image.
    labels
        Where its labels are from, in words.
    patient
        Identifies the person.
    proposed
        Whether it is ticked unless the user says otherwise.
    issue
        What is wrong with it; None if nothing is known to be.
    file
        The image's file without links, by which it is known however it was opened; empty if it has
        none.
    """

    key: str
    name: str
    labels: str
    patient: str
    proposed: bool
    issue: PairIssue | None
    file: str = field(default="", kw_only=True)

    @property
    def refused(self) -> bool:
        """Whether it cannot be trained on as it is."""
        return self.issue is not None and self.issue.blocking


def key_of_pair(image: str, target: str, layer: str = "") -> str:
    """Name a pair by its image and target, and by its layer where they have several.

    By the image alone a tick is remembered when the image list steps on, and the labels come from a
    file instead of a layer.
    """
    return "|".join((image, target, layer) if layer else (image, target))


def test_half_warning(split: object, dataset: object) -> list[str]:
    """Say what speaks against training on an image of a public data set's test half."""
    if split != "test":
        return []
    return [f"It is of the test half of {dataset}: figures on that half would no longer count."]


def real_path(path: object) -> str:
    """Give a file's path without links; empty for none."""
    return os.path.realpath(str(path)) if path else ""


def issues_of(pairs: Sequence[Pair]) -> list[str]:
    """Say what is to be known about pairs that are trained on together."""
    if not pairs:
        return ["Tick at least one image with labels."]
    people: dict[str, list[str]] = {}
    for pair in pairs:
        people.setdefault(pair.patient, []).append(pair.name)
    if len(pairs) == 1:
        return [
            "There is only one image, so it is judged by a part of itself that is not learned "
            "from. That says little about other images."
        ]
    if len(people) == 1:
        return [
            f"All {len(pairs)} images are of one person, so each is judged by a part of itself "
            "that is not learned from. That says little about other people."
        ]
    both = [names for names in people.values() if len(names) > 1]
    if both:
        return [
            f"{len(pairs)} images of {len(people)} people: {', '.join(both[0])} count as one "
            "person, and are learned from or held out together."
        ]
    return []


def is_single_patient(pairs: Sequence[Pair]) -> bool:
    """Tell whether nobody can be held out."""
    return len({pair.patient for pair in pairs}) < 2

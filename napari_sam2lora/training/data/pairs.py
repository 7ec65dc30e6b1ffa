"""A pair of an image and its mask, as the training table shows it, and what is wrong with it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PairIssue:
    """What is wrong with a pair.

    Attributes
    ----------
    message
        A sentence for the user.
    blocking
        Whether the pair cannot be trained on as it is.
    """

    message: str
    blocking: bool = False


@dataclass(frozen=True, eq=False)
class Pair:
    """One image with a mask of one target.

    Attributes
    ----------
    key
        Identifies the image and the target across refreshes, whether the mask comes from a layer or
        from a file.
    name
        Name of the image.
    labels
        Name of the Labels layer, or of the dataset the mask comes from.
    patient
        Identifies the patient.
    preselected
        Whether the pair is selected until the user decides otherwise.
    issue
        What is wrong with the pair; None if nothing is known to be.
    as_predicted
        Whether the mask was accepted as it was predicted: nothing can be learned from it.
    file
        Path of the image without links, which is the same however the image was opened; empty if
        the image has no file.
    """

    key: str
    name: str
    labels: str
    patient: str
    preselected: bool
    issue: PairIssue | None
    file: str = field(default="", kw_only=True)
    as_predicted: bool = field(default=False, kw_only=True)

    @property
    def usable(self) -> bool:
        """Whether the pair can be trained on as it is."""
        return self.issue is None or not self.issue.blocking


def pair_key(image: str, target: str, layer: str = "") -> str:
    """Return the key of a pair: image and target, and the layer where an image has several.

    Without the layer, a selection is kept when the image list shows another image and the mask
    comes from a file again.
    """
    return "|".join((image, target, layer) if layer else (image, target))


def test_half_warning(split: object, dataset: object) -> list[str]:
    """Return the warning against training on the test half of a public dataset, if it is one."""
    if split != "test":
        return []
    return [f"The image is in the test half of {dataset}: scores on that half would be invalid."]


def real_path(path: object) -> str:
    """Return the path of a file without links; empty for no file."""
    return os.path.realpath(str(path)) if path else ""


def is_single_patient(pairs: Sequence[Pair]) -> bool:
    """Check whether there are too few patients to keep one for validation."""
    return len({pair.patient for pair in pairs}) < 2


def issues_of(pairs: Sequence[Pair]) -> list[str]:
    """Return what the user should know about pairs that are trained on together."""
    if not pairs:
        return ["Select at least one image with labels."]
    return [*_nothing_to_learn(pairs), *_about_patients(pairs)]


def _nothing_to_learn(pairs: Sequence[Pair]) -> list[str]:
    same = sum(pair.as_predicted for pair in pairs)
    if not same:
        return []
    if same == len(pairs):
        return [
            "There is nothing to learn: the selected masks were accepted as they were predicted. "
            "Correct what is wrong in them first."
        ]
    return [f"{same} of {len(pairs)} masks were accepted as they were predicted, uncorrected."]


def _about_patients(pairs: Sequence[Pair]) -> list[str]:
    if len(pairs) == 1:
        return [
            "There is only one image, so a part of it is left out of the training for validation. "
            "That says little about other images."
        ]
    if is_single_patient(pairs):
        return [
            f"All {len(pairs)} images are of one patient, so a part of each is left out of the "
            "training for validation. That says little about other patients."
        ]
    by_patient: dict[str, list[str]] = {}
    for pair in pairs:
        by_patient.setdefault(pair.patient, []).append(pair.name)
    several = [names for names in by_patient.values() if len(names) > 1]
    if several:
        return [
            f"{len(pairs)} images of {len(by_patient)} patients: {', '.join(several[0])} count as "
            "one patient, and are used together, for training or for validation."
        ]
    return []

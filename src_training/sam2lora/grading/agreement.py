"""How well two graders agree: masks, cup/disc ratios, and what they said about the images.

Of masks, only those of images that both are done with count (`review`). Pixels outside the field of
view, which is found in the image, have no influence.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import Sam2LoraError, SessionError
from sam2lora.grading.entries import GradingState, Quality
from sam2lora.grading.review import Review
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.images.reading import read_image
from sam2lora.metrics.aggregate import MetricSummary, summarize
from sam2lora.metrics.rater_agreement import (
    LimitsOfAgreement,
    cohens_kappa,
    limits_of_agreement,
    pixel_kappa,
)
from sam2lora.metrics.segmentation import count, hd95, vertical_cdr
from sam2lora.targets import get_target
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

QUALITIES: tuple[Quality, ...] = get_args(Quality)
STATES: tuple[GradingState, ...] = get_args(GradingState)


@dataclass(frozen=True)
class MaskAgreement:
    """Agreement on one target of one image; NaN where undefined.

    Attributes
    ----------
    stem, patient
        The image, and its patient.
    target
        The target.
    dice
        Dice coefficient; 1 where both masks are empty.
    kappa
        Cohen's kappa over the pixels in the field of view.
    hd95
        95th percentile of the Hausdorff distance, in pixels.
    """

    stem: str
    patient: str
    target: str
    dice: float
    kappa: float
    hd95: float


@dataclass(frozen=True)
class LoneMask:
    """A target of an image that only one of two graders drew."""

    stem: str
    target: str
    grader: str


@dataclass(frozen=True)
class RatioAgreement:
    """The vertical cup/disc ratios of one image by both graders; NaN without a disc."""

    stem: str
    patient: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The first grader's ratio minus the second's."""
        return self.first - self.second


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well two graders agree.

    Attributes
    ----------
    first, second
        Their names.
    masks
        Each target of each image that both drew.
    ratios
        Each image in which both drew disc and cup.
    lone
        Each target of each image that only one of them drew.
    summaries
        By target, `dice`, `kappa` and `hd95` over the images.
    limits
        Limits of agreement of the ratios.
    qualities
        `(3, 3)` counts of the images that both gave a quality, in the order of `QUALITIES`; rows
        are the first grader's. Only images whose masks may be seen.
    quality_kappa
        Cohen's kappa of these with linear weights; NaN where undefined.
    states
        Number of images by (first's state, second's state), sealed images too.
    problems
        By stem, why an image could not be compared, or which masks could not be read.
    unreadable
        By grader, how many lines of the log cannot be read; an image that one of them may be about
        does not count as done.
    """

    first: str
    second: str
    masks: tuple[MaskAgreement, ...]
    ratios: tuple[RatioAgreement, ...]
    lone: tuple[LoneMask, ...]
    summaries: Mapping[str, Mapping[str, MetricSummary]]
    limits: LimitsOfAgreement
    qualities: NDArray[np.int64]
    quality_kappa: float
    states: Mapping[tuple[GradingState, GradingState], int]
    problems: Mapping[str, str]
    unreadable: Mapping[str, int]

    def worst(self) -> list[MaskAgreement]:
        """Return the targets of images from the lowest Dice coefficient to the highest."""
        return sorted(self.masks, key=lambda one: one.dice)


def compare_graders(
    review: Review,
    first: str,
    second: str,
    *,
    targets: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Agreement:
    """Compare two graders on all images that may be seen.

    Parameters
    ----------
    review
        Their work.
    first, second
        Two of its graders.
    targets
        What to compare; empty for every mask that both have.
    progress
        Called with the number of images.

    Raises
    ------
    SessionError
        If one of them is not in the review, or both are one.
    TargetError
        If a target is unknown.
    """
    for target in targets:
        get_target(target)
    for name in (first, second):
        if name not in review.graders:
            raise SessionError(
                f"{name} is not a grader of this session. Graders: {', '.join(review.graders)}."
            )
    if first == second:
        raise SessionError(f"{first} cannot be compared with {first}. Give two graders.")
    masks: list[MaskAgreement] = []
    ratios: list[RatioAgreement] = []
    lone: list[LoneMask] = []
    problems = review.unknown_masks()
    stems = review.open_stems()
    for done, stem in enumerate(stems, start=1):
        try:
            drawn = review.masks(stem)
            pair = [_only(drawn[name], targets) for name in (first, second)]
            lone += _lone(stem, {first: pair[0], second: pair[1]})
            if pair[0].keys() & pair[1].keys():
                field = find_field_of_view(read_image(review.session.found_path(stem)).pixels).mask
                masks += _of_masks(review, stem, pair[0], pair[1], field)
                ratios += _of_ratio(review, stem, drawn[first], drawn[second], field)
        except Sam2LoraError as error:
            problems[stem] = str(error)
        progress(done, len(stems))
    qualities = _qualities(review, first, second)
    known = [one for one in ratios if not np.isnan(one.difference)]
    return Agreement(
        first=first,
        second=second,
        masks=tuple(masks),
        ratios=tuple(ratios),
        lone=tuple(lone),
        summaries=_summaries(masks),
        limits=limits_of_agreement([one.first for one in known], [one.second for one in known]),
        qualities=qualities,
        quality_kappa=cohens_kappa(qualities, ordinal=True),
        states=_states(review, first, second),
        problems=problems,
        unreadable={name: review.unreadable[name] for name in (first, second)},
    )


def _only(masks: Mapping[str, Mask], targets: Sequence[str]) -> dict[str, Mask]:
    return {name: mask for name, mask in masks.items() if not targets or name in targets}


def _lone(stem: str, drawn: Mapping[str, Mapping[str, Mask]]) -> Iterator[LoneMask]:
    """Yield the targets that one of the graders drew, and the other one did not."""
    (first, mine), (second, other) = drawn.items()
    for target in dict.fromkeys((*mine, *other)):
        if target not in other:
            yield LoneMask(stem, target, first)
        elif target not in mine:
            yield LoneMask(stem, target, second)


def _of_masks(
    review: Review, stem: str, first: Mapping[str, Mask], second: Mapping[str, Mask], field: Mask
) -> Iterator[MaskAgreement]:
    for target in first:
        if target in second:
            counts = count(first[target], second[target], valid=field)
            distance = hd95(first[target], second[target], valid=field)
            yield MaskAgreement(
                stem,
                review.session.image(stem).patient,
                target,
                counts.dice,
                pixel_kappa(counts),
                distance,
            )


def _of_ratio(
    review: Review, stem: str, first: Mapping[str, Mask], second: Mapping[str, Mask], field: Mask
) -> Iterator[RatioAgreement]:
    if all(name in masks for name in ("disc", "cup") for masks in (first, second)):
        patient = review.session.image(stem).patient
        values = (vertical_cdr(masks, field) for masks in (first, second))
        yield RatioAgreement(stem, patient, *values)


def _summaries(masks: Sequence[MaskAgreement]) -> dict[str, dict[str, MetricSummary]]:
    names = ("dice", "kappa", "hd95")
    by_target: dict[str, list[dict[str, float]]] = {}
    for one in masks:
        scores = {name: asdict(one)[name] for name in names}
        by_target.setdefault(one.target, []).append(scores)
    return {target: summarize(scores) for target, scores in by_target.items()}


def _qualities(review: Review, first: str, second: str) -> NDArray[np.int64]:
    table = np.zeros((len(QUALITIES), len(QUALITIES)), np.int64)
    for stem in review.open_stems():
        given = [review.grade(name, stem).quality for name in (first, second)]
        if given[0] is not None and given[1] is not None:
            table[QUALITIES.index(given[0]), QUALITIES.index(given[1])] += 1
    return table


def _states(
    review: Review, first: str, second: str
) -> dict[tuple[GradingState, GradingState], int]:
    pairs = Counter(
        (review.grade(first, one.stem).state, review.grade(second, one.stem).state)
        for one in review.session.images
    )
    order = [(a, b) for a in STATES for b in STATES]
    return {pair: pairs[pair] for pair in order if pairs[pair]}

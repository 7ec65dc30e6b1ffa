"""Judge a network, or a second grader, image by image; an image that fails stops no other."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sam2lora.adapters import Adapter, check_base, check_target
from sam2lora.datasets import Record
from sam2lora.errors import DatasetError, DeviceError, GeometryError, Sam2LoraError, SettingsError
from sam2lora.evaluation.cases import Case, PreparedCase, check_records, prepare_case, read_case
from sam2lora.evaluation.scoring import Result, score_binary_mask, score_probabilities
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.prompts.sampling import REGIMES, Regime, sample_prompts
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.targets import get_target

if TYPE_CHECKING:
    from sam2lora.inference.predictor import Predictor

logger = logging.getLogger(__name__)

Progress = Callable[[float, int], None]


def no_progress(done: float, total: int) -> None:
    """Ignore progress."""


def evaluate(
    predictor: "Predictor",
    records: Sequence[Record | Case],
    settings: EvaluateSettings,
    *,
    adapter: Adapter | None = None,
    progress: Progress = no_progress,
) -> Iterator[Result]:
    """Judge what an adapter, or the bare base, answers in images whose truth is known.

    Each image is encoded once; every regime is answered from there, and judged on its own.

    Parameters
    ----------
    predictor
        The network.
    records
        Images of data sets, or cases as a viewer has them.
    settings
        Target, protocol, regimes and seed; `split` is for who lists the records.
    adapter
        What answers; its geometry and threshold are used. None: the bare base, with the target's.
    progress
        Called with (images done, images in all) between windows. An exception that it raises stops
        the work.

    Yields
    ------
    A result for each image and regime, in this order.

    Raises
    ------
    AdapterError
        If the adapter is for another base or target.
    DatasetError
        If a record has no mask of the target, or one of another size than its image.
    TargetError
        If the target is unknown.
    All of these before anything is computed, when the function is called.
    """
    target = get_target(settings.target)
    if adapter is not None:
        check_base(adapter, predictor.base.spec.name, predictor.base.weights_sha256)
        check_target(adapter, target)
    _check(records, settings)
    return _evaluate(predictor, records, settings, adapter, progress)


def evaluate_grader(
    records: Sequence[Record],
    settings: EvaluateSettings,
    *,
    grader: int = 2,
    progress: Progress = no_progress,
) -> Iterator[Result]:
    """Judge another grader's masks by grader 1's, as if a network had answered them.

    Parameters
    ----------
    records
        Images of data sets. Those without a mask by that grader are failures.
    settings
        Target and protocol, which has to have grader 1 for the truth.
    grader
        Who is judged.
    progress
        As for `evaluate`.

    Yields
    ------
    A result for each image, under the regime `none`; without AUC, since a mask has no ROC curve.

    Raises
    ------
    SettingsError
        If the protocol takes anything but grader 1 for the truth.
    DatasetError
        As for `evaluate`, and if none of the records has a mask by that grader.
    """
    if settings.conventions.grader != 1:
        raise SettingsError(
            f"A second grader is judged by grader 1, but the protocol {settings.protocol!r} takes "
            "the union of the graders for the truth. Use the protocol 'literature'."
        )
    _check(records, settings)
    if all(len(record.masks[settings.target]) < grader for record in records):
        raise DatasetError(
            f"{records[0].dataset}: none of the {len(records)} images has a mask of "
            f"{settings.target} by grader {grader}."
        )
    return _evaluate_grader(records, settings, grader, progress)


def sample_prompts_for(case: Case, view: PreparedCase, regime: Regime, seed: int) -> Prompts:
    """Draw the prompts of a regime for one image; nothing else that is judged changes them.

    Raises
    ------
    GeometryError
        If the image has no such prompts.
    """
    words = "\0".join([str(seed), case.dataset, case.name, regime.name])
    digest = hashlib.sha256(words.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16]))
    return sample_prompts(view.reference, regime, rng, valid=view.prepared.field.mask)


def _check(records: Sequence[Record | Case], settings: EvaluateSettings) -> None:
    get_target(settings.target)
    own = (record for record in records if isinstance(record, Record))
    check_records(own, settings.target, graders=[settings.conventions.grader])


def _evaluate(
    predictor: "Predictor",
    records: Sequence[Record | Case],
    settings: EvaluateSettings,
    adapter: Adapter | None,
    progress: Progress,
) -> Iterator[Result]:
    regimes = [REGIMES[name] for name in settings.regimes]
    for number, record in enumerate(records):
        progress(number, len(records))
        nothing = _nothing(record)
        try:
            case, view = _read(record, settings)
        except Sam2LoraError as error:
            logger.debug("%s cannot be read", nothing.image, exc_info=error)
            for regime in regimes:
                yield replace(nothing, regime=regime.name, status="failed", problem=str(error))
            continue
        width = 1 / len(regimes)
        for turn, regime in enumerate(regimes):
            show = _within(progress, number + turn * width, width, len(records))
            asked = replace(nothing, regime=regime.name)
            try:
                asked = replace(
                    asked, prompts=sample_prompts_for(case, view, regime, settings.seed)
                )
            except GeometryError as error:
                yield replace(asked, status="not drawn", problem=str(error))
                continue
            try:
                result = _answer(predictor, view, settings, adapter, asked, show)
            except Sam2LoraError as error:
                logger.debug("%s cannot be segmented", nothing.image, exc_info=error)
                result = replace(asked, status="failed", problem=str(error))
            yield result
    progress(len(records), len(records))


def _answer(
    predictor: "Predictor",
    view: PreparedCase,
    settings: EvaluateSettings,
    adapter: Adapter | None,
    asked: Result,
    show: Callable[[int, int], None],
) -> Result:
    """Answer the prompts of `asked`, and judge the answer."""
    from sam2lora.inference.tta import predict_with_flips  # with the predictor torch is loaded, too

    target = get_target(settings.target)
    if adapter is None:
        geometry, threshold = GeometrySettings.for_target(target), target.threshold
    else:
        geometry, threshold = adapter.card.geometry, adapter.card.threshold
    fixed = settings.conventions.threshold
    threshold = threshold if fixed is None else fixed
    started = time.perf_counter()
    predictor.set_adapter(adapter)
    if settings.flips:
        answer = predict_with_flips(
            predictor, view.prepared, geometry, asked.prompts, progress=show
        )
    else:
        answer = predictor.predict(view.prepared, geometry, asked.prompts, progress=show)
    if np.isnan(answer.probabilities).any():
        raise DeviceError(
            f"The network answered with numbers that are none, in {predictor.precision}. Use "
            "--precision float32."
        )
    judgement = score_probabilities(answer.probabilities, view, threshold)
    mask = answer.mask(threshold)
    return replace(
        asked,
        score=judgement,
        prediction=mask if view.valid is None else mask & view.valid,
        reference=view.scored_reference,
        expected_iou=answer.iou,
        seconds=time.perf_counter() - started,
    )


def _evaluate_grader(
    records: Sequence[Record], settings: EvaluateSettings, grader: int, progress: Progress
) -> Iterator[Result]:
    for number, record in enumerate(records):
        progress(number, len(records))
        nothing = replace(_nothing(record), regime="none")
        try:
            _, view = _read(record, settings)
            mask = record.read_mask(settings.target, grader=grader)
        except Sam2LoraError as error:
            yield replace(nothing, status="failed", problem=str(error))
            continue
        started = time.perf_counter()
        yield replace(
            nothing,
            score=score_binary_mask(mask, view),
            prediction=mask if view.valid is None else mask & view.valid,
            reference=view.scored_reference,
            seconds=time.perf_counter() - started,
        )
    progress(len(records), len(records))


def _read(record: Record | Case, settings: EvaluateSettings) -> tuple[Case, PreparedCase]:
    protocol = settings.conventions
    case = read_case(record, settings.target, protocol) if isinstance(record, Record) else record
    return case, prepare_case(case, get_target(settings.target), protocol)


def _nothing(record: Record | Case) -> Result:
    """Begin the result of an image of which nothing is known yet."""
    name = record.stem if isinstance(record, Record) else record.name
    return Result(record.dataset, name, record.patient, "")


def _within(
    progress: Progress, begin: float, width: float, images: int
) -> Callable[[int, int], None]:
    """Turn windows done into images done, of which this regime is a part."""

    def show(done: int, total: int) -> None:
        progress(begin + width * done / max(total, 1), images)

    return show

"""How doubtful predictions are: by their confidence, or by how two predictions differ.

The doubts of a session are a table in its folder, `doubts.csv`, with a row for each image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sam2lora.cohort.inputs import masks_in
from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.errors import DatasetError, SessionError
from sam2lora.grading.session import GradingSession
from sam2lora.grading.session_file import SessionImage
from sam2lora.images.decoding import read_shape
from sam2lora.images.reading import read_mask
from sam2lora.inference.confidence_file import FILE_NAME as CONFIDENCE_FILE
from sam2lora.inference.confidence_file import read_confidences
from sam2lora.metrics.segmentation import dice
from sam2lora.targets import get_target
from sam2lora.types import Mask
from sam2lora.utils.csv_files import write_csv
from sam2lora.utils.progress import Progress, no_progress

FILE_NAME = "doubts.csv"
_COLUMNS = ("image", "doubt", "reason")


@dataclass(frozen=True)
class Doubt:
    """How doubtful the predictions of an image are.

    Attributes
    ----------
    value
        0 for none, up to 1.
    reason
        Why, as a sentence.
    """

    value: float
    reason: str


@dataclass(frozen=True)
class FoundDoubts:
    """The doubts about the images of a session.

    Attributes
    ----------
    doubts
        By stem, of the images that have predictions.
    without
        Stems of the other images.
    """

    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    without: Sequence[str] = ()


def doubt_of_confidences(confidences: Mapping[str, float]) -> Doubt | None:
    """Return the doubt about the target with the lowest confidence.

    Parameters
    ----------
    confidences
        By target, 0…1: of `inference.confidence`, or the predicted IoU.

    Returns
    -------
    None if nothing is known.
    """
    if not confidences:
        return None
    target = min(confidences, key=lambda name: confidences[name])
    sure = min(max(confidences[target], 0.0), 1.0)
    return Doubt(1 - sure, f"Lowest confidence: {target}, {sure:.0%}.")


def doubt_of_predictions(
    first: Mapping[str, Mask],
    second: Mapping[str, Mask],
    *,
    names: tuple[str, str] = ("one prediction", "another"),
) -> Doubt | None:
    """Return the doubt about the target in which two predictions differ most: 1 − Dice.

    Parameters
    ----------
    first, second
        Masks by target.
    names
        What predicted them, for the reason.

    Returns
    -------
    None if they have no target in common.

    Raises
    ------
    GeometryError
        If two masks of a target differ in size.
    """
    overlaps = {name: dice(mask, second[name]) for name, mask in first.items() if name in second}
    if not overlaps:
        return None
    target = min(overlaps, key=lambda name: overlaps[name])
    value = overlaps[target]
    return Doubt(
        1 - value, f"{names[0]} and {names[1]} disagree most on the {target}: Dice {value:.2f}."
    )


def find_doubts(
    session: GradingSession,
    predictions: Path,
    other: Path | None = None,
    *,
    targets: Sequence[str] = (),
    progress: Progress = no_progress,
) -> FoundDoubts:
    """Find the doubts about a session's images in what `sam2lora predict` wrote.

    Parameters
    ----------
    session
        The session.
    predictions
        Folder of the predictions.
    other
        Folder of other predictions of the same images, as with another adapter: their masks are
        compared. Without it, the confidences of the predictions count.
    targets
        Names of the targets that count; by default all that were predicted.
    progress
        Called with the number of images.

    Raises
    ------
    SessionError
        If a folder is missing, or has no predictions of the session's images.
    TargetError
        If a target is unknown.
    ImageError
        If a mask cannot be read, or does not fit its image.
    """
    for name in targets:
        get_target(name)
    folders = [predictions] if other is None else [predictions, other]
    for folder in folders:
        if not folder.is_dir():
            raise SessionError(f"{folder}: there is no such folder of predictions.")
    confidences = read_confidences(predictions)
    doubts: dict[str, Doubt] = {}
    for done, image in enumerate(session.images, start=1):
        if other is None:
            known = confidences.get(Path(image.path).name, {})
            chosen = {name: value for name, value in known.items() if _counts(name, targets)}
            doubt = doubt_of_confidences(chosen)
        else:
            masks = [_masks(session, image, folder, targets) for folder in folders]
            doubt = doubt_of_predictions(*masks, names=(predictions.name, other.name))
        if doubt is not None:
            doubts[image.stem] = doubt
        progress(done, len(session.images))
    if not doubts:
        raise SessionError(_nothing(predictions, other))
    return FoundDoubts(doubts, [one.stem for one in session.images if one.stem not in doubts])


def write_doubts(session: GradingSession, doubts: Mapping[str, Doubt]) -> Path:
    """Write the doubts of a session in place of earlier ones, and return the file.

    Raises
    ------
    OutputError
        If it cannot be written; the earlier file stays.
    """
    path = session.folder / FILE_NAME
    rows = [
        {"image": stem, "doubt": f"{doubt.value:.3f}", "reason": doubt.reason}
        for stem, doubt in doubts.items()
    ]
    write_csv(path, _COLUMNS, rows)
    return path


def read_doubts(session: GradingSession) -> dict[str, Doubt]:
    """Read the doubts of a session by stem; none if there are none.

    Raises
    ------
    SessionError
        If the file cannot be read, or is no such table.
    """
    path = session.folder / FILE_NAME
    if not path.exists():
        return {}
    try:
        rows = [row for _, row in read_rows(path)]
        return {row["image"]: Doubt(float(row["doubt"]), row["reason"]) for row in rows}
    except (DatasetError, KeyError, ValueError) as error:
        raise SessionError(
            f"{path}: is damaged. Delete it, or write it again with: sam2lora session doubt"
        ) from error


def _masks(
    session: GradingSession, image: SessionImage, folder: Path, targets: Sequence[str]
) -> dict[str, Mask]:
    """Read the predicted masks of an image; targets that are points are left out."""
    path = session.path(image.stem)
    found = {
        name: file
        for name, (file, *_) in masks_in(folder, path, {}).items()
        if get_target(name).kind == "mask" and _counts(name, targets)
    }
    if not found:
        return {}
    shape = read_shape(session.found_path(image.stem))
    return {name: read_mask(file.path, shape=shape) for name, file in found.items()}


def _counts(target: str, targets: Sequence[str]) -> bool:
    return not targets or target in targets


def _nothing(predictions: Path, other: Path | None) -> str:
    if other is not None:
        return f"{predictions} and {other}: have no masks of the same image and target."
    return (
        f"{predictions}: has no {CONFIDENCE_FILE} with images of the session. Vessels and targets "
        "of your own have no confidence; compare with other predictions: sam2lora session doubt "
        f"SESSION {predictions} OTHER"
    )

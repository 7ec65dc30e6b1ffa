"""The row of one image: what it is, what its masks measure, and what they were predicted with."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sam2lora import __version__
from sam2lora.cohort.fovea import Fovea, fovea_of
from sam2lora.datasets import MaskFile, Record
from sam2lora.errors import Sam2LoraError
from sam2lora.images.field_of_view import FieldOfView, find_field_of_view
from sam2lora.inference.confidence_file import as_stored
from sam2lora.measurements import DEFINITIONS, EyeMeasurements, measure_eye
from sam2lora.targets import FOVEA, TARGETS
from sam2lora.utils.files import read_error, sha256_of

logger = logging.getLogger(__name__)

Cell = str | float | int | bool | None
Row = Mapping[str, Cell]

_IMAGE = ("file", "dataset", "patient", "eye", "width_px", "height_px")
_FIELD = ("field", "field_diameter_px", "mm_per_px", "scale_source")
_FOVEA = ("fovea_x_px", "fovea_y_px", "fovea_source", "fovea_confidence")
_MODEL = ("model", "model_sha256", "predict_options")
_ADAPTER = ("adapter", "adapter_sha256")
_RESULTS = ("confidence", "predicted_iou")
_END = ("warnings", "error", "inputs_sha256", "version")

PREDICTED = tuple(f"{target}_{name}" for target in TARGETS for name in _RESULTS)
"""Columns of what a prediction says about itself; empty for masks that were not predicted."""

PROVENANCE = (
    *_MODEL,
    *(f"{target}_{name}" for target in (*TARGETS, FOVEA.name) for name in _ADAPTER),
)
"""Columns of how masks were predicted; empty for masks that were not."""

COLUMNS = (*_IMAGE, *_FIELD, *_FOVEA, *DEFINITIONS, *PREDICTED, *PROVENANCE, *_END)
"""Columns of a table, in order."""

TEXT = frozenset(
    {
        *("file", "dataset", "patient", "eye", "field", "scale_source", "fovea_source"),
        *PROVENANCE,
        *_END,
    }
)
"""Columns that hold text; the others hold numbers, or yes or no."""


@dataclass(frozen=True)
class Provenance:
    """How the masks of an image were predicted.

    Attributes
    ----------
    model, model_sha256
        Name of the base model, and digest of its weights.
    adapters
        Name and digest of the adapter by target.
    options
        Options of `sam2lora predict` that differ from the defaults.
    iou, confidence
        Predicted IoU, and how sure the mask is, 0…1, by target.
    """

    model: str
    model_sha256: str
    adapters: Mapping[str, tuple[str, str]]
    options: str = ""
    iou: Mapping[str, float] = field(default_factory=dict)
    confidence: Mapping[str, float | None] = field(default_factory=dict)

    def cells(self) -> dict[str, Cell]:
        """Return the cells of `PROVENANCE`, and of `PREDICTED` what is known."""
        cells: dict[str, Cell] = {
            "model": self.model,
            "model_sha256": self.model_sha256,
            "predict_options": self.options,
        }
        for target, (name, digest) in self.adapters.items():
            cells |= {f"{target}_adapter": name, f"{target}_adapter_sha256": digest}
        for target, sure in self.confidence.items():
            cells[f"{target}_confidence"] = None if sure is None else as_stored(sure)
        return cells | {f"{target}_predicted_iou": value for target, value in self.iou.items()}


def digest_of(record: Record) -> str:
    """Return the SHA-256 of the files that a row is made of: image, masks, field of view.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    files = [("image", record.image)]
    files += [(name, mask.path) for name, mask in _masks(record).items()]
    files += [(FOVEA.name, file.path) for file in record.masks_by(FOVEA.name, 1)]
    files += [("fov", record.fov.path)] if record.fov else []
    lines = [f"{name} {sha256_of(path)}" for name, path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def row_of_record(record: Record, *, provenance: Provenance | None = None) -> Row:
    """Measure the masks of an image; a failure becomes a row with its reason.

    Parameters
    ----------
    record
        The image and its masks; of several graders, the first counts.
    provenance
        How the masks were predicted; None if they were not.

    Returns
    -------
    Cells by column; those of columns that are missing are empty.
    """
    row: dict[str, Cell] = identity_cells(record)
    try:
        row["inputs_sha256"] = digest_of(record)
        row |= _measured(record)
    except Exception as error:  # an image that causes it must not end the others
        logger.debug("%s failed", record.image, exc_info=error)
        return row | {"error": reason_of(record.image, error)}
    return row | (provenance.cells() if provenance else {})


def confidence_cells(record: Record) -> dict[str, Cell]:
    """Return how sure the masks are that were predicted, where the record says so."""
    return {f"{name}_confidence": mask.confidence for name, mask in _masks(record).items()}


def identity_cells(record: Record) -> dict[str, Cell]:
    """Return the cells that are known without opening a file."""
    return {
        "file": record.image.as_posix(),
        "dataset": record.dataset,
        "patient": record.patient,
        "eye": record.eye,
        "version": __version__,
    }


def reason_of(image: Path, error: Exception) -> str:
    """Return why an image could not be measured, without its path."""
    if isinstance(error, Sam2LoraError):
        return str(error).removeprefix(f"{image}: ")
    if isinstance(error, OSError):
        return str(read_error(Path(error.filename or image), error)).removeprefix(f"{image}: ")
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return f"failed by a defect of this program ({what}); the other images are not affected."


def _masks(record: Record) -> Mapping[str, MaskFile]:
    return {name: record.masks[name][0] for name in TARGETS if record.masks.get(name)}


def _measured(record: Record) -> dict[str, Cell]:
    image = record.read_image()
    masks = {name: record.read_mask(name) for name in _masks(record)}
    seen = record.read_field_of_view() if record.fov else find_field_of_view(image.pixels)
    fovea = fovea_of(record)
    place = None if fovea is None else fovea.place
    found = measure_eye(masks, seen, spacing=image.spacing, eye=image.eye, fovea=place)
    return measured_cells(found, seen, fovea) | confidence_cells(record)


def measured_cells(
    found: EyeMeasurements, seen: FieldOfView, fovea: Fovea | None
) -> dict[str, Cell]:
    """Return the cells of what was measured in an image.

    Parameters
    ----------
    found
        The measurements.
    seen
        The field of view of the image.
    fovea
        The fovea that they refer to.
    """
    height, width = seen.mask.shape
    cells: dict[str, Cell] = {
        "eye": found.eye,
        "width_px": width,
        "height_px": height,
        "field": seen.found,
        "field_diameter_px": seen.diameter,
        "mm_per_px": found.scale.mm_per_px if found.scale else None,
        "scale_source": found.scale.source if found.scale else None,
        **found.values,
        "warnings": " ".join(found.warnings),
    }
    if fovea is not None:
        values = (fovea.x, fovea.y, fovea.source, fovea.confidence)
        cells |= dict(zip(_FOVEA, values, strict=True))
    return cells

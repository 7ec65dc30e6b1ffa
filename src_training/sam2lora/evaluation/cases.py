"""Cases: images with their reference masks, from a dataset or a viewer, prepared by a protocol."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2lora.datasets.records import Record
from sam2lora.datasets.unturned import is_drawn_unturned
from sam2lora.errors import DatasetError, GeometryError, ImageError
from sam2lora.evaluation.protocols import Grader, Protocol
from sam2lora.images.decoding import IMAGE_SUFFIXES, image_suffix, read_shape
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.targets import Target, get_target
from sam2lora.transforms.windows import Window
from sam2lora.types import Mask, Pixels


@dataclass(frozen=True, eq=False)
class Case:
    """One image with its reference mask.

    Attributes
    ----------
    name
        Name of the image, unique within its dataset.
    pixels
        `(H, W, 3)` uint8 RGB.
    reference
        `(H, W)` bool: the reference mask.
    field
        Field of view of the image; None: detect it.
    dataset
        Name of the dataset.
    patient
        Patient, if known; otherwise every image counts as another patient.

    Raises
    ------
    GeometryError
        If image, reference or field of view has a wrong type, or their sizes differ.
    """

    name: str
    pixels: Pixels
    reference: Mask
    field: FieldOfView | None = None
    dataset: str = ""
    patient: str = ""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 3 or shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise GeometryError(
                f"{self.name}: the image must be (H, W, 3) uint8, not {self.pixels.dtype} of shape "
                f"{shape}."
            )
        masks = {"reference": self.reference} | (
            {"field of view": self.field.mask} if self.field else {}
        )
        for what, mask in masks.items():
            if mask.shape != shape[:2] or mask.dtype != np.bool_:
                raise GeometryError(
                    f"{self.name}: the {what} is {mask.dtype} of shape {mask.shape}, but the image "
                    f"needs bool of shape {shape[:2]}."
                )


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case, prepared as a protocol requires.

    Attributes
    ----------
    image
        The image at the protocol's size, with its field of view.
    reference
        `(H, W)` bool: the reference mask, of the same size.
    valid
        `(H, W)` bool: the pixels that are scored; None: all.
    """

    image: PreparedImage
    reference: Mask
    valid: Mask | None

    @property
    def scored_reference(self) -> Mask:
        """The reference mask within the pixels that are scored."""
        return self.reference if self.valid is None else self.reference & self.valid


def read_case(record: Record, target: str, protocol: Protocol) -> Case:
    """Read an image of a dataset with the reference mask of the protocol.

    Raises
    ------
    DatasetError
        If there is no mask of the target by the protocol's grader.
    ImageError
        If a file cannot be read, or has another size than the image.
    GeometryError
        If the field of view in the dataset is empty.
    """
    given = record.fov is not None and protocol.uses_field_of_view
    return Case(
        name=record.stem,
        pixels=record.read_image().pixels,
        reference=record.read_mask(target, grader=protocol.grader),
        field=record.read_field_of_view() if given else None,
        dataset=record.dataset,
        patient=record.patient,
    )


def read_prepared(
    record: Record | Case, target: str, protocol: Protocol
) -> tuple[Case, PreparedCase]:
    """Read an image of a dataset, or take a case, and prepare it for a protocol.

    Raises
    ------
    Sam2LoraError
        As for `read_case` and `prepare_case`.
    """
    case = read_case(record, target, protocol) if isinstance(record, Record) else record
    return case, prepare_case(case, get_target(target), protocol)


def prepare_case(case: Case, target: Target, protocol: Protocol) -> PreparedCase:
    """Prepare a case for a protocol; the field of view is detected if it is not given."""
    if protocol.size is None:
        image = PreparedImage.of(case.pixels, field=case.field)
        valid = image.field.mask if protocol.scores_field_only(target) else None
        return PreparedCase(image, case.reference, valid)
    pixels = stretch_to_square(case.pixels, protocol.size)
    return PreparedCase(
        PreparedImage.of(pixels, field=_full_field(protocol.size)),
        stretch_mask(case.reference, protocol.size),
        None,
    )


def stretch_to_square(pixels: Pixels, size: int) -> Pixels:
    """Resample an image to a square, with antialiasing and without keeping the aspect ratio."""
    return Window.stretched(pixels.shape[:2], size).cut(pixels)


def stretch_mask(mask: Mask, size: int) -> Mask:
    """Resample a mask to a square by nearest neighbor, as the paper's code does."""
    # Not as bool: Pillow returns those as bytes 0 and 255, which are invalid booleans.
    image = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.NEAREST)) > 0


def check_records(records: Iterable[Record], target: str, *, graders: Iterable[Grader]) -> None:
    """Check whether records can be scored, reading no more than the headers of their files.

    Unreadable files are ignored here; each becomes a failed result when it is scored.

    Parameters
    ----------
    records
        Records to score.
    target
        Name of the target.
    graders
        Graders whose masks are needed.

    Raises
    ------
    DatasetError
        If a mask is missing, or a mask or field of view has another size than its image.
    """
    required = tuple(graders)
    for record in records:
        files = record.masks.get(target, ())
        for grader in required:
            if len(files) < (1 if grader == "union" else grader):
                raise DatasetError(
                    f"{record.image}: has no mask of {target}"
                    + (f" by grader {grader}." if files else ".")
                )
        shape = _shape(record.image)
        fov = [record.fov] if record.fov else []
        for file in (*files, *fov):
            mask_shape = _shape(file.path)
            if not shape or not mask_shape or mask_shape == shape:
                continue
            if not is_drawn_unturned(mask_shape, shape, record.image):
                raise DatasetError(
                    f"{file.path}: is {mask_shape[1]} × {mask_shape[0]}, but its image "
                    f"{record.image} is {shape[1]} × {shape[0]} (width × height). "
                    "`sam2lora datasets check` lists every such file."
                )


def _shape(path: Path) -> tuple[int, int] | None:
    """Return the `(H, W)` of an image file; None if it is not an image, or cannot be read."""
    if image_suffix(path) not in IMAGE_SUFFIXES:
        return None
    try:
        return read_shape(path)
    except ImageError:
        return None


def _full_field(size: int) -> FieldOfView:
    center = ((size - 1) / 2, (size - 1) / 2)
    return FieldOfView(np.ones((size, size), np.bool_), center, float(size), found="whole image")

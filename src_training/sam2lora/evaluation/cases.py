"""Cases: an image with its truth, of a data set or of a viewer, as a protocol looks at it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2lora.datasets.records import Record, read_shape
from sam2lora.errors import DatasetError, GeometryError, ImageError
from sam2lora.evaluation.protocols import Grader, Protocol
from sam2lora.images.decoding import IMAGE_SUFFIXES, image_suffix
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.targets import Target
from sam2lora.transforms.windows import Window
from sam2lora.types import Mask, Pixels


@dataclass(frozen=True, eq=False)
class Case:
    """One image with its truth.

    Attributes
    ----------
    name
        Identifies the image within its data set.
    pixels
        `(H, W, 3)` uint8 RGB.
    reference
        `(H, W)` bool.
    field
        Its field of view; None: to be found.
    dataset
        What it belongs to.
    patient
        Whose eye it is, if that is known; otherwise every image is taken for another person's.

    Raises
    ------
    GeometryError
        If the image or the truth has another type, or their sizes differ.
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
                f"{self.name}: an image is (H, W, 3) uint8, not {self.pixels.dtype} of shape "
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
    """A case as a protocol looks at it.

    Attributes
    ----------
    prepared
        The image at the protocol's size, with its field of view.
    reference
        `(H, W)` bool, of the same size.
    valid
        `(H, W)` bool: the pixels that are judged; None: all.
    """

    prepared: PreparedImage
    reference: Mask
    valid: Mask | None

    @property
    def scored_reference(self) -> Mask:
        """The truth without what is not judged."""
        return self.reference if self.valid is None else self.reference & self.valid


def read_case(record: Record, target: str, protocol: Protocol) -> Case:
    """Read an image of a data set with what the protocol takes for the truth.

    Raises
    ------
    DatasetError
        If there is no mask of the target, or not of the protocol's grader.
    ImageError
        If a file cannot be read, or has another size than the image.
    GeometryError
        If the data set's field of view is empty.
    """
    given = record.fov is not None and protocol.knows_field
    return Case(
        name=record.stem,
        pixels=record.read_image().pixels,
        reference=record.read_mask(target, grader=protocol.grader),
        field=record.read_field_of_view() if given else None,
        dataset=record.dataset,
        patient=record.patient,
    )


def prepare_case(case: Case, target: Target, protocol: Protocol) -> PreparedCase:
    """Look at a case as a protocol does; the field of view is found where it is not given."""
    if protocol.size is None:
        prepared = PreparedImage.of(case.pixels, field=case.field)
        valid = prepared.field.mask if protocol.judges_only_field(target) else None
        return PreparedCase(prepared, case.reference, valid)
    pixels = stretch_to_square(case.pixels, protocol.size)
    return PreparedCase(
        PreparedImage.of(pixels, field=_whole(protocol.size)),
        stretch_mask(case.reference, protocol.size),
        None,
    )


def stretch_to_square(pixels: Pixels, size: int) -> Pixels:
    """Resample an image to a square, with antialiasing and without keeping its aspect."""
    return Window.stretched(pixels.shape[:2], size).cut(pixels)


def stretch_mask(mask: Mask, size: int) -> Mask:
    """Resample a mask to a square by nearest neighbour, as the paper's code does."""
    # Not as a bool: Pillow gives those back with the bytes 0 and 255, which are no booleans.
    image = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.NEAREST)) > 0


def check_records(records: Iterable[Record], target: str, *, graders: Iterable[Grader]) -> None:
    """Prove, without opening more than headers, that records can be judged.

    Files that cannot be read are left for later, when each is one failure among many.

    Parameters
    ----------
    records
        To be judged.
    target
        What is to be found in them.
    graders
        Whose masks are needed.

    Raises
    ------
    DatasetError
        If a mask is missing, or a mask or field of view has another size than its image.
    """
    wanted = tuple(graders)
    for record in records:
        files = record.masks.get(target, ())
        for grader in wanted:
            if len(files) < (1 if grader == "union" else grader):
                raise DatasetError(
                    f"{record.image}: has no mask of {target}"
                    + (f" by grader {grader}." if files else ".")
                )
        shape = _shape(record.image)
        fov = [record.fov] if record.fov else []
        for file in (*files, *fov):
            found = _shape(file.path)
            if shape and found and found != shape:
                raise DatasetError(
                    f"{file.path}: is {found[1]} × {found[0]}, but its image {record.image} is "
                    f"{shape[1]} × {shape[0]} (width × height). `sam2lora datasets check` names "
                    "every such file."
                )


def _shape(path: Path) -> tuple[int, int] | None:
    """Give the `(H, W)` of an image file; None where it is no image, or cannot be read."""
    if image_suffix(path) not in IMAGE_SUFFIXES:
        return None
    try:
        return read_shape(path)
    except ImageError:
        return None


def _whole(size: int) -> FieldOfView:
    center = ((size - 1) / 2, (size - 1) / 2)
    return FieldOfView(np.ones((size, size), np.bool_), center, float(size), found="whole image")

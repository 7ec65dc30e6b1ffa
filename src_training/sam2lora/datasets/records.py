"""A record: one image of a data set with its masks, its patient and its side of the split.

Records hold paths only; nothing is opened before one of the `read_…` methods is called.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from sam2lora.datasets.mask_encodings import MaskFile, Shape
from sam2lora.errors import DatasetError, ImageError
from sam2lora.images.decoding import Eye
from sam2lora.images.field_of_view import FieldOfView, field_of_view_from_mask, find_field_of_view
from sam2lora.images.reading import FundusImage, eye_from_name, read_image
from sam2lora.types import Mask

Split = Literal["train", "val", "test"]

_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Record:
    """One image of a data set.

    Attributes
    ----------
    dataset
        Name of the data set.
    stem
        Identifies the image within the set; fit for file names.
    image
        The image's file.
    masks
        Target name to its files, one for each grader, grader 1 first.
    fov
        The field of view, where the set gives it.
    patient
        Identifies the person within the set. Where a set does not say who is who, every image is a
        person of its own.
    eye
        "left" or "right", where the set or the file's name says.
    split
        The side of the official split; None where there is none.
    ignored
        What is neither learned from nor judged, such as a part that nobody annotated.
    """

    dataset: str
    stem: str
    image: Path
    masks: Mapping[str, tuple[MaskFile, ...]]
    fov: MaskFile | None
    patient: str
    eye: Eye | None
    split: Split | None
    ignored: MaskFile | None = None

    def files(self) -> list[Path]:
        """Give every file of the record: the image, the masks, and what is known of its field."""
        masks = [file.path for graders in self.masks.values() for file in graders]
        others = [file.path for file in (self.fov, self.ignored) if file]
        return [self.image, *masks, *others]

    def read_image(self) -> FundusImage:
        """Read the image; the data set's word on the eye goes before the file's.

        Raises
        ------
        ImageError
            If it cannot be read.
        """
        image = read_image(self.image)
        return FundusImage(
            image.pixels, image.path, image.spacing, self.eye or image.eye, image.note
        )

    def read_mask(self, target: str, *, grader: int | Literal["union"] = 1) -> Mask:
        """Read the mask of one target.

        Parameters
        ----------
        target
            Name of the target.
        grader
            Whose mask, counted from 1; "union" gives what any of them marked.

        Returns
        -------
        `(H, W)` bool, of the image's size.

        Raises
        ------
        DatasetError
            If the image has no mask of the target, or not of that grader.
        ImageError
            If a file cannot be read, or its size is not the image's.
        """
        files = self.masks.get(target, ())
        wanted = files if grader == "union" else files[grader - 1 : grader] if grader >= 1 else ()
        if not wanted:
            has = ", ".join(f"{name} by {len(them)}" for name, them in self.masks.items()) or "none"
            whose = "" if grader == "union" else f" by grader {grader}"
            raise DatasetError(
                f"{self.image}: there is no mask of {target}{whose}. Masks and graders: {has}."
            )
        shape = read_shape(self.image)
        masks = [_read_of_size(file, shape, self.image) for file in wanted]
        union: Mask = np.logical_or.reduce(masks)
        return union

    def read_field_of_view(self) -> FieldOfView:
        """Read the field of view from the set's file, or find it in the image where there is none.

        Raises
        ------
        ImageError
            If a file cannot be read, or its size is not the image's.
        """
        if self.fov is None:
            return find_field_of_view(self.read_image().pixels)
        mask = _read_of_size(self.fov, read_shape(self.image), self.image)
        return field_of_view_from_mask(mask)

    def read_ignored(self) -> Mask | None:
        """Read what is neither learned from nor judged: `(H, W)` bool; None where all counts.

        Raises
        ------
        ImageError
            If the file cannot be read, or its size is not the image's.
        """
        if self.ignored is None:
            return None
        return _read_of_size(self.ignored, read_shape(self.image), self.image)


@dataclass(frozen=True)
class Dataset:
    """The records of one data set.

    Attributes
    ----------
    name
        Name of the data set.
    root
        Its folder, or its CSV file.
    layout
        Key of its layout in `DATASETS`.
    records
        Sorted by stem.
    lone_masks
        Files that are named as masks of the set are, but belong to no image.
    odd_images
        Image files that lie among the set's images, but are not named as its images are.
    """

    name: str
    root: Path
    layout: str
    records: tuple[Record, ...]
    lone_masks: tuple[Path, ...] = ()
    odd_images: tuple[Path, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets any record has a mask of, in the order of the layout."""
        return tuple(dict.fromkeys(name for record in self.records for name in record.masks))

    def with_target(self, target: str) -> list[Record]:
        """Give the records that have a mask of `target`.

        Raises
        ------
        DatasetError
            If there are none; the message lists the targets there are.
        """
        records = [record for record in self.records if target in record.masks]
        if not records:
            raise DatasetError(
                f"{self.root}: {self.name} has no masks of {target}. "
                f"It has: {', '.join(self.targets) or 'none'}."
            )
        return records


def patient_from_name(stem: str) -> str:
    """Give a file's name without its word for the eye, so that both eyes are one patient.

    Two people whose names differ in nothing else are taken for one; that keeps them on the same
    side of a split, which does no harm.
    """
    if eye_from_name(stem) is None:
        return stem
    shorter = re.sub(
        r"(?i:(?<![a-z])(?:left|right|o[sd])(?=\d*(?![a-z0-9])))|(?<![A-Za-z])[LR](?![A-Za-z0-9])",
        "",
        stem,
    )
    return shorter.strip(" _-.") or stem


def read_shape(path: Path) -> Shape:
    """Give the `(H, W)` an image has once it is read upright, from its header where possible.

    Raises
    ------
    ImageError
        If the file cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Of a TIFF, Pillow gives the size as it is once turned.
            turned = image.format != "TIFF" and (
                image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
            )
    except Exception:  # not a header Pillow knows: the full reader knows more, and names the reason
        height, width = read_image(path).pixels.shape[:2]
        turned = False
    return (width, height) if turned else (height, width)


def _read_of_size(file: MaskFile, shape: Shape, image: Path) -> Mask:
    mask = file.read(shape)
    if mask.shape != shape:
        raise ImageError(
            f"{file.path}: the mask is {mask.shape[1]} × {mask.shape[0]}, but its image {image} is "
            f"{shape[1]} × {shape[0]} (width × height)."
        )
    return mask

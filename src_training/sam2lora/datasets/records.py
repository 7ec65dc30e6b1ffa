"""A record: one image of a dataset with its masks, its patient and its split.

Records hold paths only; nothing is opened before one of the `read_…` methods is called.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sam2lora.datasets.ellipses import Landmark
from sam2lora.datasets.mask_encodings import MaskFile, Shape
from sam2lora.datasets.unturned import turned_upright
from sam2lora.errors import DatasetError, ImageError
from sam2lora.images.decoding import read_shape
from sam2lora.images.field_of_view import FieldOfView, field_of_view_from_mask, find_field_of_view
from sam2lora.images.reading import FundusImage, eye_from_name, read_image
from sam2lora.types import Eye, Mask

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Record:
    """One image of a dataset.

    Attributes
    ----------
    dataset
        Name of the dataset.
    stem
        Identifies the image within the dataset; can be used in file names.
    image
        The image file.
    masks
        Mask files by target name, one for each grader, grader 1 first; for a target that is a
        point, of the disks around it.
    fov
        Mask of the field of view, if the dataset has one.
    patient
        Identifies the patient within the dataset. If patients are unknown, every image counts as
        its own patient.
    eye
        "left" or "right", if the dataset or the file name gives it.
    split
        The official split the image belongs to; None if there is none.
    ignored
        Mask of the pixels excluded from training and scoring, such as regions nobody annotated.
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
        """Return every file of the record: image, masks, field of view and ignored pixels."""
        masks = [file.path for graders in self.masks.values() for file in graders]
        others = [file.path for file in (self.fov, self.ignored) if file]
        return [self.image, *masks, *others]

    def read_image(self) -> FundusImage:
        """Read the image; the eye given by the dataset takes precedence over that in the file.

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

        A mask that was drawn before a camera's EXIF orientation was applied to the image is turned
        as the image is; such a mask is recognised by its size, or by what it shows (`unturned`).

        Parameters
        ----------
        target
            Name of the target.
        grader
            Number of the grader, from 1, or "union" for the union of all graders' masks.

        Returns
        -------
        `(H, W)` bool, in the size of the image.

        Raises
        ------
        DatasetError
            If the image has no mask of the target, or none by that grader.
        ImageError
            If a file cannot be read, its size is not the image's, or what it shows is unclear.
        """
        chosen = self.masks_by(target, grader)
        if not chosen:
            graders = ", ".join(f"{name}: {len(by)}" for name, by in self.masks.items()) or "none"
            whose = "" if grader == "union" else f" by grader {grader}"
            raise DatasetError(
                f"{self.image}: no mask of {target}{whose}. Number of graders: {graders}."
            )
        union: Mask = np.logical_or.reduce([self.read_mask_file(file) for file in chosen])
        return union

    def masks_by(self, target: str, grader: int | Literal["union"]) -> tuple[MaskFile, ...]:
        """Return the mask files of a target by one grader, or by all; none if there are none."""
        files = self.masks.get(target, ())
        if grader == "union":
            return files
        return files[grader - 1 : grader] if grader >= 1 else ()

    def point(self, target: str) -> Landmark:
        """Return the place of a target that is a point.

        Raises
        ------
        DatasetError
            If the image has none.
        """
        for file in self.masks_by(target, 1):
            if isinstance(file.drawn, Landmark):
                return file.drawn
        raise DatasetError(f"{self.image}: has no point for {target}.")

    def read_mask_file(self, file: MaskFile) -> Mask:
        """Read one of the mask files of the record, `(H, W)` bool.

        Raises
        ------
        ImageError
            As in `read_mask`.
        """
        return _read_of_size(file, read_shape(self.image), self.image)

    def read_field_of_view(self) -> FieldOfView:
        """Read the field of view from the dataset's mask, or find it in the image.

        Raises
        ------
        ImageError
            If a file cannot be read, or its size is not the image's.
        """
        if self.fov is None:
            return find_field_of_view(self.read_image().pixels)
        return field_of_view_from_mask(self.read_mask_file(self.fov))

    def read_ignored(self) -> Mask | None:
        """Read the mask of ignored pixels, `(H, W)` bool; None if no pixel is ignored.

        Raises
        ------
        ImageError
            If the file cannot be read, or its size is not the image's.
        """
        if self.ignored is None:
            return None
        return self.read_mask_file(self.ignored)


@dataclass(frozen=True)
class Dataset:
    """The records of one dataset.

    Attributes
    ----------
    name
        Name of the dataset.
    root
        Its folder, or its CSV file.
    layout
        Key of its layout in `DATASETS`.
    records
        The images, sorted by stem.
    unmatched_masks
        Files that are named like masks of the dataset but belong to no image.
    unmatched_images
        Image files among the dataset's images whose names do not fit the layout.
    """

    name: str
    root: Path
    layout: str
    records: tuple[Record, ...]
    unmatched_masks: tuple[Path, ...] = ()
    unmatched_images: tuple[Path, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that any record has a mask of, in the order of the layout."""
        return tuple(dict.fromkeys(name for record in self.records for name in record.masks))

    def with_target(self, target: str) -> list[Record]:
        """Return the records that have a mask of `target`.

        Raises
        ------
        DatasetError
            If there are none; the message lists the available targets.
        """
        records = [record for record in self.records if target in record.masks]
        if not records:
            raise DatasetError(
                f"{self.root}: {self.name} has no masks of {target}. "
                f"It has: {', '.join(self.targets) or 'none'}."
            )
        return records


def patient_from_name(stem: str) -> str:
    """Return a file name without its eye marker, so that both eyes belong to one patient.

    Two patients whose names differ in nothing else are taken for one; they then end up in the same
    split, which does no harm.
    """
    if eye_from_name(stem) is None:
        return stem
    shorter = re.sub(
        r"(?i:(?<![a-z])(?:left|right|o[sd])(?=\d*(?![a-z0-9])))|(?<![A-Za-z])[LR](?![A-Za-z0-9])",
        "",
        stem,
    )
    return shorter.strip(" _-.") or stem


def _read_of_size(file: MaskFile, shape: Shape, image: Path) -> Mask:
    mask = turned_upright(file.read(shape), shape, image, target=file.target)
    if mask.shape != shape:
        raise ImageError(
            f"{file.path}: the mask is {mask.shape[1]} × {mask.shape[0]}, but its image {image} is "
            f"{shape[1]} × {shape[0]} (width × height)."
        )
    return mask

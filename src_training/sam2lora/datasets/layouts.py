"""Describe the folder layout of a dataset: the paths of its images and masks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sam2lora.images.decoding import IMAGE_SUFFIXES

ANY_TARGET = "*"
"""Key of `Layout.masks` for a layout in which folder or file names give the target."""

IMAGE_ENDING = "(?:" + "|".join(sorted(re.escape(s[1:]) for s in IMAGE_SUFFIXES)) + ")"
"""Regular expression for the extension of any image file, without its dot."""


@dataclass(frozen=True)
class MaskLocation:
    """Where one grader's masks are.

    Attributes
    ----------
    encoding
        Key of `ENCODINGS`.
    paths
        Paths from the dataset's folder; the first that exists is used. `{id}`, `{split}` and so on
        stand for the groups of the image's pattern, `{target}` for the target's name, and a final
        `.*` for the extension of any image file.
    """

    encoding: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The folder layout of a dataset.

    Attributes
    ----------
    name
        Key in `DATASETS`.
    about
        Short description of the dataset.
    example
        The path of one image, to show to users.
    images
        Patterns of the images' paths from the dataset's folder: one regular expression for each
        part between slashes, ignoring case. The groups `split`, `patient` and `eye` are read from
        the name; `id` and others are for the masks' paths. An image matched by an earlier pattern
        is not matched again by a later one.
    masks
        Locations of the graders' masks by target name, or by `ANY_TARGET`.
    fov
        Location of the field-of-view masks, if the dataset has them.
    ignored
        Location of masks of the pixels to exclude from training and scoring, if there are any.
    stem
        Format string of the record's stem; by default the image's file name without extension.
    note
        What a user of the dataset should know, such as missing patient names.
    public
        Whether this is one public dataset, rather than a layout for the user's own data.
    """

    name: str
    about: str
    example: str
    images: tuple[str, ...]
    masks: Mapping[str, tuple[MaskLocation, ...]]
    fov: MaskLocation | None = None
    ignored: MaskLocation | None = None
    stem: str = ""
    note: str = ""
    public: bool = True

"""What the folder layout of a data set is: where its images and masks lie, by their names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sam2lora.images.decoding import IMAGE_SUFFIXES

ANY_TARGET = "*"
"""Key of `Layout.masks` for a layout whose folders or file names name the target."""

IMAGE_ENDING = "(?:" + "|".join(sorted(re.escape(s[1:]) for s in IMAGE_SUFFIXES)) + ")"
"""Matches the ending of any image file, without its dot."""


@dataclass(frozen=True)
class MaskLocation:
    """Where one grader's mask lies.

    Attributes
    ----------
    encoding
        Key of `ENCODINGS`.
    paths
        Paths from the set's folder, of which the first that exists counts. `{id}`, `{split}` and so
        on stand for the groups of the image's pattern, `{target}` for the target's name, and a
        final `.*` for any ending of an image file.
    """

    encoding: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The folder layout of a data set.

    Attributes
    ----------
    name
        Key in `DATASETS`.
    about
        What the set is, in words.
    example
        The path of one image, to show to people.
    images
        Patterns of the images' paths from the set's folder: one regular expression for each part
        between slashes, whatever the case. The groups `split`, `patient` and `eye` say what the
        name says; `id` and others are for the masks' paths. An image found by an earlier pattern is
        not taken again by a later one.
    masks
        Target name, or `ANY_TARGET`, to the places of the graders' masks.
    fov
        Place of the field of view, if the set gives it.
    ignored
        Place of what is neither learned from nor judged, if the set says so.
    stem
        What the record's stem is made of; by default the image's file name without its ending.
    note
        What a user of the set should know, such as patients it does not name.
    public
        Whether it is one data set known by this name, rather than a way of laying out one's own.
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

"""Photographs of a folder, or of the data set it is, with labels that could be trained on.

No image is opened here; `snapshot` does that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari.layers import Layer

from napari_sam2lora.layers.loading import ImageFile, ImageFolder, list_image_folder
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.training.data.annotated_area import area_of_file
from napari_sam2lora.training.data.pairs import (
    Pair,
    PairIssue,
    key_of_pair,
    real_path,
    test_half_warning,
)
from sam2lora.annotations.store import Corrections
from sam2lora.datasets.records import patient_from_name


@dataclass(frozen=True, eq=False)
class FilePair(Pair):
    """A photograph of a folder, with a mask of its data set or what it was corrected to."""

    photograph: ImageFile
    corrections: Corrections
    area: Layer | None = None


def pairs_in_folder(folder: Path, target: str, layers: Sequence[Layer] = ()) -> list[FilePair]:
    """List the photographs of a folder, or of the data set it is, that have labels of a target.

    Those that were corrected or marked as done in the image list are proposed; if none was, all. An
    image of a public data set's test half never is.

    Parameters
    ----------
    folder
        A folder of photographs, or a data set.
    target
        What the labels show.
    layers
        Where annotated areas of the photographs may be.

    Raises
    ------
    DatasetError
        If there is no image in the folder, or its corrections are damaged.
    """
    listing = list_image_folder(folder)
    corrections = Corrections(listing.source)
    done = corrections.done()
    labelled = [
        (one, corrections.has(one.stem, target))
        for one in listing.images
        if corrections.has(one.stem, target) or (one.record and target in one.record.masks)
    ]
    looked_at = {one.stem for one, corrected in labelled if corrected or one.stem in done}
    return [
        FilePair(
            key=key_of_pair(real_path(one.path), target),
            name=one.stem,
            labels="corrected" if corrected else _set_of(one, listing),
            patient=patient_of(one),
            proposed=doubt is None and (not looked_at or one.stem in looked_at),
            issue=doubt,
            file=real_path(one.path),
            photograph=one,
            corrections=corrections,
            area=area_of_file(layers, one.path),
        )
        for one, corrected in labelled
        for doubt in [_doubt_of_file(one)]
    ]


def listed_folders(layers: Iterable[Layer]) -> list[Path]:
    """Give the folders of which an image is in the viewer as one of several."""
    folders = (plugin_metadata(layer.metadata).get("listed_in") for layer in layers)
    return [Path(folder) for folder in dict.fromkeys(folders) if folder]


def patient_of(photograph: ImageFile) -> str:
    """Name the person of a photograph, apart from those of other data sets."""
    record = photograph.record
    if record is None:
        return patient_from_name(photograph.stem)
    return f"{record.dataset} {record.patient}"


def _doubt_of_file(photograph: ImageFile) -> PairIssue | None:
    record = photograph.record
    words = test_half_warning(record.split, record.dataset) if record else []
    return PairIssue(" ".join(words)) if words else None


def _set_of(photograph: ImageFile, listing: ImageFolder) -> str:
    return photograph.record.dataset if photograph.record else listing.source.stem

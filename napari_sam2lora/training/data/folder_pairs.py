"""Images of a folder or of a dataset, with masks that can be trained on.

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
    pair_key,
    real_path,
    test_half_warning,
)
from sam2lora.annotations.store import Corrections
from sam2lora.datasets.records import patient_from_name


@dataclass(frozen=True, eq=False)
class FilePair(Pair):
    """An image of a folder, with a mask of its dataset or a corrected one.

    Attributes
    ----------
    image
        The image file.
    corrections
        The corrected masks of the folder.
    area
        Layer of the annotated region; None for the whole image.
    """

    image: ImageFile
    corrections: Corrections
    area: Layer | None = None


def pairs_in_folder(folder: Path, target: str, layers: Sequence[Layer] = ()) -> list[FilePair]:
    """List the images of a folder, or of a dataset, that have a mask of a target.

    Those that were corrected or marked as done in the image list are preselected; if there are
    none, all are. An image in the test half of a public dataset never is.

    Parameters
    ----------
    folder
        A folder of images, or a dataset.
    target
        Name of the target.
    layers
        Layers among which the annotated regions of the images are looked for.

    Raises
    ------
    DatasetError
        If there is no image in the folder, or its corrections are damaged.
    """
    listing = list_image_folder(folder, target)
    corrections = Corrections(listing.source)
    done = corrections.done()
    labelled = [
        (image, corrected)
        for image in listing.images
        for corrected in [corrections.has(image.stem, target)]
        if corrected or (image.record and target in image.record.masks)
    ]
    predicted = {
        image.stem
        for image, corrected in labelled
        if corrected and corrections.as_predicted(image.stem, target)
    }
    reviewed = {image.stem for image, corrected in labelled if corrected or image.stem in done}
    return [
        FilePair(
            key=pair_key(real_path(image.path), target),
            name=image.stem,
            labels=_origin(image, listing, corrected, image.stem in predicted),
            patient=patient_of(image),
            preselected=issue is None and (not reviewed or image.stem in reviewed),
            issue=issue,
            file=real_path(image.path),
            as_predicted=image.stem in predicted,
            image=image,
            corrections=corrections,
            area=area_of_file(layers, image.path),
        )
        for image, corrected in labelled
        for issue in [_issue_of_file(image)]
    ]


def listed_folders(layers: Iterable[Layer]) -> list[Path]:
    """Return the folders from which an image in the viewer was opened as one of several."""
    folders = (plugin_metadata(layer.metadata).get("listed_in") for layer in layers)
    return [Path(folder) for folder in dict.fromkeys(folders) if folder]


def patient_of(image: ImageFile) -> str:
    """Return what identifies the patient of an image, unlike those of other datasets."""
    record = image.record
    if record is None:
        return patient_from_name(image.stem)
    return f"{record.dataset} {record.patient}"


def _issue_of_file(image: ImageFile) -> PairIssue | None:
    record = image.record
    warnings = test_half_warning(record.split, record.dataset) if record else []
    return PairIssue(" ".join(warnings)) if warnings else None


def _origin(image: ImageFile, listing: ImageFolder, corrected: bool, as_predicted: bool) -> str:
    """Return where the mask of an image comes from, in a word."""
    if as_predicted:
        return "as predicted"
    if corrected:
        return "corrected"
    return image.record.dataset if image.record else listing.source.stem

"""Find the images to measure, and their masks: a dataset's own, or those of a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sam2lora.datasets import MaskFile, Record, find_record, read_dataset
from sam2lora.datasets.image_search import dataset_in_folder, find_images
from sam2lora.datasets.records import patient_from_name
from sam2lora.errors import ImageError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import eye_from_name
from sam2lora.inference.confidence_file import Confidences, read_confidences
from sam2lora.targets import FOVEA, all_targets
from sam2lora.utils.names import existing_spelling


def find_records(inputs: Sequence[str | Path], *, masks: Path | None = None) -> list[Record]:
    """List the images given by files, folders, datasets and patterns, with the masks to measure.

    Parameters
    ----------
    inputs
        As for `find_images`; also the CSV file of a dataset.
    masks
        Folder of `<stem>_<target>.png`, as `sam2lora predict` writes them, and maybe
        `<stem>_fovea.json` and `confidence.csv`; None takes the masks of the datasets that the
        images are in.

    Returns
    -------
    The records, without those of images that have no mask. With a folder of masks they have no
    field of view, which is then found in the image, as on predicting.

    Raises
    ------
    ImageError
        If an input has no image, or no image has a mask.
    DatasetError
        If a folder is a dataset that cannot be used.
    TargetError
        If the user's targets cannot be read.
    """
    if masks is not None and not masks.is_dir():
        raise ImageError(f"{masks}: there is no such folder of masks.")
    found = list(records_by_image(inputs).values())
    if masks is not None:
        confidences = read_confidences(masks)
        found = [
            replace(record, masks=masks_in(masks, record.image, confidences), fov=None)
            for record in found
        ]
    found = [record for record in found if record.masks]
    if not found:
        raise ImageError(
            f"{', '.join(map(str, inputs))}: no image here has a mask to measure. Name the folder "
            "of the masks with --masks, or segment the images: sam2lora predict ... --measure."
        )
    return found


def records_by_image(inputs: Sequence[str | Path]) -> dict[Path, Record]:
    """List the images given as for `find_records`, whether they have masks or not.

    Raises
    ------
    ImageError
        If an input has no image.
    DatasetError
        If a folder is a dataset that cannot be used.
    """
    found: dict[Path, Record] = {}
    for given in inputs:
        for record in _records_of(given):
            found.setdefault(record.image, record)
    return found


def record_of(image: Path) -> Record:
    """Return the record of an image file in a dataset, or else one without masks.

    Raises
    ------
    DatasetError
        As for `find_record`.
    """
    found = find_record(image)
    if found is not None:
        return found
    stem = image_stem(image)
    return Record(
        dataset="",
        stem=stem,
        image=image,
        masks={},
        fov=None,
        patient=patient_from_name(stem),
        eye=eye_from_name(stem),
        split=None,
    )


def _records_of(given: str | Path) -> list[Record]:
    path = existing_spelling(Path(given).expanduser())
    is_table = path.is_file() and path.suffix.lower() == ".csv"
    if is_table or (path.is_dir() and dataset_in_folder(path) is not None):
        return list(read_dataset(path).records)
    return [record_of(image) for image in find_images([given])]


def masks_in(
    folder: Path, image: Path, confidences: Confidences
) -> Mapping[str, tuple[MaskFile, ...]]:
    """Return the masks of an image that `sam2lora predict` wrote to a folder, by target.

    Parameters
    ----------
    folder
        The folder; its file of the fovea, which is a point, counts as a mask.
    image
        The image file.
    confidences
        What `read_confidences` read in the folder.

    Raises
    ------
    TargetError
        If the user's targets cannot be read.
    """
    stem, sure = image_stem(image), confidences.get(image.name, {})
    paths = {FOVEA.name: folder / f"{stem}_{FOVEA.name}.json"}
    paths |= {name: folder / f"{stem}_{name}.png" for name in all_targets()}
    return {
        name: (MaskFile(path, "half", target=name, confidence=sure.get(name)),)
        for name, path in paths.items()
        if path.is_file()
    }

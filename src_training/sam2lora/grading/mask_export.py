"""One grader's masks in formats of other programs: COCO, label maps, a dataset that `train` reads.

Masks of images that are sealed (`review`) stay out. A grader who exports only their own masks is
not kept from them: the review then has that grader alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from sam2lora.annotations import LabelledImage, save_coco, save_label_map, save_training_data
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading.review import Review
from sam2lora.images.decoding import image_suffix
from sam2lora.types import Mask
from sam2lora.utils.files import make_folder
from sam2lora.utils.folders import new_folder
from sam2lora.utils.progress import Progress, no_progress

ExportFormat = Literal["coco", "label-maps", "dataset"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


_NAMES: Mapping[ExportFormat, str] = {
    "coco": "coco.json",
    "label-maps": "label_maps",
    "dataset": "dataset",
}


def check_free(out: Path, formats: Sequence[ExportFormat] = FORMATS) -> None:
    """Check that a folder has none of the files that are about to be exported into it.

    Raises
    ------
    OutputError
        If it has one.
    """
    there = [_NAMES[name] for name in formats if (out / _NAMES[name]).exists()]
    if there:
        raise OutputError(f"{out}: has {', '.join(there)} already. Choose another folder.")


def export_masks(
    out: Path,
    review: Review,
    grader: str,
    *,
    formats: Sequence[ExportFormat] = FORMATS,
    copy: bool = True,
    progress: Progress = no_progress,
) -> int:
    """Write a grader's masks into a folder, each format whole or not at all.

    Parameters
    ----------
    out
        The folder, created if missing. `coco` becomes `coco.json`, `label-maps` the folder
        `label_maps`, `dataset` the folder `dataset`.
    review
        The work of the grader, and of those whom the masks are kept from.
    grader
        One of the review's graders.
    formats
        What to write.
    copy
        Whether the dataset has copies of the images, or refers to the files.
    progress
        Called with the number of images, once for each format.

    Returns
    -------
    The number of images that have masks.

    Raises
    ------
    SessionError
        If the grader is not in the review, or has no masks that may be seen.
    ImageError
        If an image or a mask cannot be read.
    OutputError
        If the folder lies in the session, one in it exists, or something cannot be written.
    """
    review.session.check_outside(out)
    if grader not in review.graders:
        raise SessionError(
            f"{grader} is not a grader of this session. Graders: {', '.join(review.graders)}."
        )
    stems = [stem for stem in review.open_stems() if review.has_masks(grader, stem)]
    if not stems:
        raise SessionError(
            f"{review.session.folder}: {grader} has no masks that may be exported; they may once "
            f"all of {', '.join(review.graders)} are done with an image."
        )
    check_free(out, formats)
    make_folder(out)
    session = review.session

    def drawn() -> Iterator[tuple[str, Mapping[str, Mask]]]:
        for done, stem in enumerate(stems, start=1):
            yield stem, review.masks(stem)[grader]
            progress(done, len(stems))

    if "coco" in formats:
        # As the data set calls the images; the names of their files need not be unique.
        named = ((f"{stem}{image_suffix(session.path(stem))}", masks) for stem, masks in drawn())
        save_coco(out / _NAMES["coco"], named)
    if "label-maps" in formats:
        with new_folder(out / _NAMES["label-maps"]) as folder:
            for stem, masks in drawn():
                save_label_map(folder / f"{stem}.png", masks)
    if "dataset" in formats:
        with new_folder(out / _NAMES["dataset"]) as folder:
            labelled = (
                LabelledImage(stem, session.found_path(stem), masks, session.image(stem).patient)
                for stem, masks in drawn()
            )
            save_training_data(folder, labelled, copy=copy)
    return len(stems)

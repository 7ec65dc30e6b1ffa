"""The images that a grader is done with, as pairs for a training, and those that it leaves out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_sam2lora.grading.session_images import image_file
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.training.data.folder_pairs import FilePair
from napari_sam2lora.training.data.pairs import pair_key, real_path, test_half_warning
from sam2lora.errors import ImageError


@dataclass(frozen=True)
class FinishedImages:
    """The images with a mask of one target that a grader is done with.

    Attributes
    ----------
    pairs
        Those to train on.
    as_predicted
        Number of those whose mask was accepted as it was predicted, and never corrected.
    test_halves
        Number of those in the test half of a public dataset, by the dataset's name.
    """

    pairs: Sequence[FilePair]
    as_predicted: int
    test_halves: Mapping[str, int]

    def left_out(self) -> str:
        """Return how many images are not trained on, and why; empty if all are."""
        reasons = []
        if self.as_predicted:
            reasons.append(
                f"{self.as_predicted} with the mask as predicted (there is nothing to learn from)"
            )
        for dataset, number in self.test_halves.items():
            named = dataset or "a public dataset"
            reasons.append(
                f"{number} in the test half of {named} (scores on that half would be invalid)"
            )
        return f"Left out: {', '.join(reasons)}." if reasons else ""


def finished_images(work: GraderWork, target: str) -> FinishedImages:
    """List the images that a grader is done with and that have a mask of a target.

    Images whose file is missing are neither listed nor counted.
    """
    corrections = work.grader.corrections
    pairs: list[FilePair] = []
    predicted, test_halves = 0, Counter[str]()
    for image in work.session.images:
        if not (work.grader.grade(image.stem).done and corrections.has(image.stem, target)):
            continue
        try:
            file = image_file(work.session, image.stem)
        except ImageError:
            continue
        if test_half_warning(image.split, image.dataset):
            test_halves[image.dataset] += 1
        elif corrections.as_predicted(image.stem, target):
            predicted += 1
        else:
            path = real_path(file.path)
            pair = FilePair(
                key=pair_key(path, target),
                name=image.stem,
                labels=work.grader.name,
                patient=image.patient,
                preselected=True,
                issue=None,
                file=path,
                image=file,
                corrections=corrections,
            )
            pairs.append(pair)
    return FinishedImages(pairs, predicted, test_halves)

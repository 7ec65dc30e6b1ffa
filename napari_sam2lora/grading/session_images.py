"""The images of a session as image files that a viewer can show."""

from napari_sam2lora.layers.loading import ImageFile
from sam2lora.datasets import Record
from sam2lora.grading import GradingSession


def image_file(session: GradingSession, stem: str) -> ImageFile:
    """Return an image of a session; its patient, eye and split are those of the session.

    Masks of the dataset that it comes from are left out: every grader draws their own.

    Raises
    ------
    SessionError
        If the session has no such image.
    ImageError
        If its file is missing, or is another one.
    """
    image, path = session.image(stem), session.found_path(stem)
    record = Record(image.dataset, stem, path, {}, None, image.patient, image.eye, image.split)
    return ImageFile(stem, path, record)

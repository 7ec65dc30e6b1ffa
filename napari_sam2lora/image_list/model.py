"""The images of an opened folder, one of which a viewer shows at a time."""

from pathlib import Path

from napari.viewer import Viewer

from napari_sam2lora.layers.loading import (
    ImageFile,
    as_next_image,
    list_image_folder,
    start_of,
)
from napari_sam2lora.layers.shown_image import ShownImage
from napari_sam2lora.qt.dock_protocol import NextImage
from sam2lora.annotations.store import Corrections
from sam2lora.inference.confidence_file import read_confidences


class ImageList:
    """The images of one folder, of which a viewer shows one.

    Parameters
    ----------
    viewer
        The viewer that shows the current image.
    folder
        The folder as it was opened.

    Attributes
    ----------
    folder
        The folder as it was opened.
    source
        What the corrections are stored for: the dataset's folder or table, else the folder.
    images
        The image files.
    corrections
        The store of corrected masks.
    confidences
        How sure predictions are, 0…1, by path of the image and by target, as far as it is known:
        those of the folder's `confidence.csv`, and what was predicted since.

    Raises
    ------
    DatasetError
        If there is no image in the folder.
    """

    def __init__(self, viewer: Viewer, folder: Path) -> None:
        listing = list_image_folder(folder)
        self.folder = folder
        self.source = listing.source
        self.images = self._listed = listing.images
        self.corrections = Corrections(listing.source)
        self._shown = ShownImage(viewer, self.corrections, listed_in=folder)
        stored = read_confidences(folder)
        self.confidences = {
            str(one.path): dict(stored.get(one.path.name, {})) for one in listing.images
        }

    @property
    def current(self) -> int | None:
        """Index of the current image; None while none is shown."""
        return None if self._shown.file is None else self.images.index(self._shown.file)

    @property
    def path(self) -> str | None:
        """Path of the current image; None while none is shown."""
        return self._shown.path

    @property
    def start(self) -> int:
        """Index of the image that was left when the folder was open last, or else 0."""
        return start_of(self.images, self.corrections)

    def find(self, path: str) -> int | None:
        """Return the index of the image with this path, or None."""
        paths = [str(image_file.path) for image_file in self.images]
        return paths.index(path) if path in paths else None

    def confidence(self, image_file: ImageFile) -> float | None:
        """Return the lowest confidence of an image's predictions; None if none is known."""
        return min(self.confidences[str(image_file.path)].values(), default=None)

    def note_confidence(self, path: str, target: str, confidence: float | None) -> None:
        """Remember how sure a prediction is; of an image that is not listed, nothing."""
        known = self.confidences.get(path)
        if known is not None:
            known.pop(target, None)
            if confidence is not None:
                known[target] = confidence

    def sort(self, *, least_sure_first: bool) -> None:
        """Sort the images by confidence, those without one last; or as they were listed."""
        self.images = list(self._listed)
        if least_sure_first:
            self.images.sort(key=self._sorting_key)

    def _sorting_key(self, image_file: ImageFile) -> float:
        known = self.confidence(image_file)
        return 2.0 if known is None else known

    def after(self, number: int) -> int | None:
        """Return the index of the image after one; None at the end."""
        return number + 1 if number + 1 < len(self.images) else None

    def next_image(self) -> NextImage | None:
        """Return the image after the current one; None at the end."""
        number = None if self.current is None else self.after(self.current)
        if number is None:
            return None
        return as_next_image(self.images[number], self.corrections)

    def go(self, number: int, *, after: "ImageList | None" = None) -> None:
        """Show another image with its corrections instead of the current one, as `ShownImage`.

        Parameters
        ----------
        number
            Index of the image.
        after
            The list whose current image is replaced, if it is not this one.

        Raises
        ------
        Sam2LoraError
            If a mask cannot be saved, or the other image cannot be read; nothing changes then.
        """
        self._shown.show(self.images[number], after=None if after is None else after._shown)

    def adopt(self, number: int) -> None:
        """Make an image of the list that was added to the viewer the current one.

        Raises
        ------
        Sam2LoraError
            If the masks of the image before cannot be saved.
        """
        self._shown.adopt(self.images[number])

    def leave(self) -> None:
        """Save painted masks, and remove the current image from the viewer.

        Raises
        ------
        Sam2LoraError
            If a mask cannot be saved.
        """
        self._shown.leave()

    def save(self) -> list[str]:
        """Save the masks and points of the current image that changed.

        Returns
        -------
        The names of their targets.

        Raises
        ------
        Sam2LoraError
            If a mask or a point cannot be saved.
        """
        return self._shown.save()

    def set_done(self, number: int, done: bool) -> None:
        """Set whether an image is done; marking the current image as done saves all its masks.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved.
        """
        if done and number == self.current:
            self._shown.save_all()
        self.corrections.set_done(self.images[number].stem, done)

    def forget(self) -> None:
        """Delete the corrections of the current image, and show the dataset's masks.

        Raises
        ------
        Sam2LoraError
            If they cannot be deleted, or the image cannot be read again.
        """
        if self._shown.file is not None:
            self.corrections.forget(self._shown.file.stem)
            self._shown.show_stored()

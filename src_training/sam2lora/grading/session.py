"""A session: a folder with a list of images, and what each grader did with them.

A session is opened by anybody at any time; only `add` and `relocate` change its list, one process
at a time. What a grader does is in the grader's own folder (`participants`).
"""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sam2lora import __version__
from sam2lora.errors import ImageError, OutputError, SessionError
from sam2lora.grading.entries import says_anything
from sam2lora.grading.session_file import (
    FILE_NAME,
    SessionContent,
    SessionImage,
    describe_images,
    read_session_file,
    stored_path,
    write_session_file,
)
from sam2lora.grading.sources import SourceImage
from sam2lora.utils.files import is_file, make_folder, read_error, sha256_of
from sam2lora.utils.process_lock import process_lock
from sam2lora.utils.progress import Progress, no_progress

GRADERS, ADJUDICATORS = "graders", "adjudicators"
LOG = "log.jsonl"


class GradingSession:
    """A session folder; `create` and `open` check that it is one.

    Attributes
    ----------
    folder
        The folder, absolute.
    """

    def __init__(self, folder: Path, content: SessionContent) -> None:
        self.folder = folder.resolve()
        self._checked: dict[str, tuple[str, int, int]] = {}  # files whose content was compared
        self._set(content)

    def _set(self, content: SessionContent) -> None:
        self._content = content
        self._by_stem = {image.stem: image for image in content.images}

    @classmethod
    def create(
        cls, folder: Path, images: Iterable[SourceImage], *, progress: Progress = no_progress
    ) -> Self:
        """Create a session in a missing or empty folder.

        Parameters
        ----------
        folder
            The folder.
        images
            Its images, in the order in which they are graded; every file is read once.
        progress
            Called with the number of files that were read.

        Raises
        ------
        OutputError
            If the folder is not empty, or cannot be written.
        SessionError
            If there are no images.
        ImageError
            If a file cannot be read.
        """
        if (folder / FILE_NAME).exists():
            raise OutputError(
                f"{folder}: is a session already. Add images to it, or choose another folder."
            )
        try:
            is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
        except OSError as error:
            raise OutputError(str(read_error(folder, error))) from error
        if not is_free:
            raise OutputError(f"{folder}: is not an empty folder. Choose another one.")
        content = SessionContent(version=__version__, created=datetime.now(UTC))
        session = cls(folder, content)
        added = describe_images(session.folder, images, progress=progress)
        if not added:
            raise SessionError(f"{folder}: a session needs at least one image.")
        make_folder(session.folder)
        session._write(content.model_copy(update={"images": added}))
        return session

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a session.

        Raises
        ------
        SessionError
            As for `read_session_file`.
        """
        return cls(folder, read_session_file(folder))

    @property
    def images(self) -> tuple[SessionImage, ...]:
        """The images, in the order in which they were added."""
        return self._content.images

    @property
    def created(self) -> datetime:
        """When the session was created."""
        return self._content.created

    def image(self, stem: str) -> SessionImage:
        """Return one image.

        Raises
        ------
        SessionError
            If the session has none of that name.
        """
        if stem not in self._by_stem:
            raise SessionError(f"{self.folder}: has no image called {stem!r}.")
        return self._by_stem[stem]

    def path(self, stem: str) -> Path:
        """Return where the list says that an image lies; it may be missing."""
        return self.folder / self.image(stem).path

    def found_path(self, stem: str) -> Path:
        """Return the file of an image once it is known to have the same content as then.

        A file is read for this once, and again when its time or size has changed.

        Raises
        ------
        SessionError
            If the session has no such image.
        ImageError
            If the file is missing, cannot be read, or has other content.
        """
        path, advice = self.path(stem), f"Look for it with: sam2lora session locate {self.folder}"
        if not is_file(path):
            raise ImageError(f"{path}: the image is not there. {advice} FOLDER")
        try:
            status = path.stat()
            version = (str(path), status.st_size, status.st_mtime_ns)
            if self._checked.get(stem) != version:
                image = self.image(stem)
                if status.st_size != image.size or sha256_of(path) != image.sha256:
                    raise ImageError(f"{path}: is not the file that was added. {advice} FOLDER")
                self._checked[stem] = version
        except OSError as error:
            raise ImageError(str(read_error(path, error))) from error
        return path

    def missing(self) -> list[SessionImage]:
        """Return the images whose file is missing, or has another size; none is read."""
        return [image for image in self.images if _size(self.path(image.stem)) != image.size]

    def graders(self) -> tuple[str, ...]:
        """Return the names of all who have graded, sorted.

        Who only opened the session, or looked at images, has not: a name with a typing error would
        seal all images.

        Raises
        ------
        SessionError
            If a log cannot be read.
        """
        return self._who_wrote(GRADERS)

    def adjudicators(self) -> tuple[str, ...]:
        """Return the names of all who have adjudicated, sorted.

        Raises
        ------
        SessionError
            If a log cannot be read.
        """
        return self._who_wrote(ADJUDICATORS)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all who have a folder of a kind, `GRADERS` or `ADJUDICATORS`."""
        try:
            entries = list(os.scandir(self.folder / kind))
        except OSError:
            return ()
        return tuple(sorted(one.name for one in entries if one.is_dir() and one.name[0] != "."))

    def check_outside(self, out: Path) -> None:
        """Check that something may be written to a path: it is not the session, and not in it.

        Raises
        ------
        OutputError
            If it is.
        """
        if out.resolve().is_relative_to(self.folder):
            raise OutputError(f"{out}: lies in the session {self.folder}. Choose another path.")

    def reload(self) -> None:
        """Read the list again, as another process may have changed it.

        Raises
        ------
        SessionError
            As for `read_session_file`.
        """
        self._set(read_session_file(self.folder))

    def add(
        self, images: Iterable[SourceImage], *, progress: Progress = no_progress
    ) -> tuple[SessionImage, ...]:
        """Add images at the end of the list; those whose content it has already are left out.

        Parameters
        ----------
        images, progress
            As for `create`.

        Returns
        -------
        The images that were added.

        Raises
        ------
        ImageError
            If a file cannot be read; none is added then.
        OutputError
            If the list cannot be written, or another process is changing it.
        SessionError
            If the list can no longer be read.
        """
        with process_lock(self.folder, refusal=self._refusal):
            self.reload()
            added = describe_images(self.folder, images, known=self.images, progress=progress)
            if added:
                everything = (*self.images, *added)
                self._write(self._content.model_copy(update={"images": everything}))
        return added

    def relocate(self, found: Mapping[str, Path]) -> None:
        """Note where images lie now; that they are these images is the caller's business.

        Parameters
        ----------
        found
            Stem to file; `locating.locate` finds them.

        Raises
        ------
        OutputError, SessionError
            As for `add`.
        """
        with process_lock(self.folder, refusal=self._refusal):
            self.reload()
            images = tuple(
                image.model_copy(update={"path": stored_path(self.folder, found[image.stem])})
                if image.stem in found
                else image
                for image in self.images
            )
            if images != self.images:
                self._write(self._content.model_copy(update={"images": images}))

    def _write(self, content: SessionContent) -> None:
        write_session_file(self.folder, content)
        self._set(content)

    def _who_wrote(self, kind: str) -> tuple[str, ...]:
        return tuple(
            name for name in self.names(kind) if says_anything(self.folder / kind / name / LOG)
        )

    def _refusal(self, holder: str) -> str:
        return f"{self.folder}: its list is being changed by {holder}. Try again."


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError):
        return -1

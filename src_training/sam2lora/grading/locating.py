"""Find images that lie elsewhere now, by their content: a session that was moved or unpacked."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sam2lora.errors import ImageError, SessionError
from sam2lora.grading.session import GradingSession
from sam2lora.grading.session_file import SessionImage
from sam2lora.utils.files import sha256_of
from sam2lora.utils.progress import Progress, no_progress


@dataclass(frozen=True)
class Located:
    """Result of `locate`.

    Attributes
    ----------
    found
        Stem to the file, of the images that were missing and were found.
    missing
        The images that were not.
    """

    found: dict[str, Path]
    missing: tuple[SessionImage, ...]


def locate(
    session: GradingSession, folders: Sequence[Path], *, progress: Progress = no_progress
) -> Located:
    """Look for a session's missing images in folders, at any depth, and note where they are.

    An image counts as missing, too, if its file has the right size and other content.

    Files are compared by size first; only those of the right size are read, files of the same name
    first. What cannot be read is passed over.

    Parameters
    ----------
    session
        The session; its list is changed if anything was found.
    folders
        Where to look.
    progress
        Called with the number of images that were found or not.

    Raises
    ------
    SessionError
        If one of the folders is none.
    OutputError
        If the list cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            raise SessionError(f"{folder}: there is no such folder to look in.")
    wanted = _missing(session)
    by_size = _files_by_size(folders, {image.size for image in wanted}) if wanted else {}
    hashes: dict[Path, str] = {}
    found: dict[str, Path] = {}
    for number, image in enumerate(wanted, start=1):
        candidates = sorted(
            by_size.get(image.size, ()), key=lambda path: path.name != image.file_name
        )
        match = _match(image, candidates, hashes)
        if match is not None:
            found[image.stem] = match
        progress(number, len(wanted))
    if found:
        session.relocate(found)
    return Located(found, tuple(image for image in wanted if image.stem not in found))


def _missing(session: GradingSession) -> list[SessionImage]:
    missing = []
    for image in session.images:
        try:
            session.found_path(image.stem)
        except ImageError:
            missing.append(image)
    return missing


def _match(image: SessionImage, candidates: Iterable[Path], hashes: dict[Path, str]) -> Path | None:
    for path in candidates:
        if path not in hashes:
            try:
                hashes[path] = sha256_of(path)
            except OSError:
                hashes[path] = ""
        if hashes[path] == image.sha256:
            return path
    return None


def _files_by_size(folders: Iterable[Path], sizes: set[int]) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = defaultdict(list)
    for folder in folders:
        for path, size in _walk(folder):
            if size in sizes:
                found[size].append(path)
    return found


def _walk(folder: Path) -> Iterator[tuple[Path, int]]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(place) / name
            try:
                yield path, path.stat().st_size
            except OSError:  # a broken link, or gone meanwhile
                continue

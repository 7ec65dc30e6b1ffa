"""A session as one `.zip` file, to send and to open elsewhere; a file that comes is not trusted."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sam2lora.errors import ImageError, OutputError, SessionError
from sam2lora.grading.doubts import FILE_NAME as DOUBTS
from sam2lora.grading.session import ADJUDICATORS, GRADERS, GradingSession
from sam2lora.grading.session_file import FILE_NAME
from sam2lora.images.decoding import image_suffix
from sam2lora.utils.files import atomic_path, read_error
from sam2lora.utils.folders import new_folder
from sam2lora.utils.names import plain_name
from sam2lora.utils.progress import Progress, no_progress
from sam2lora.utils.zip_entries import MACOS_EXTRAS, check_entry, new_entry, unpacking

IMAGES = "images"
"""Folder of the images that are packed with a session."""

_LARGEST = 4 << 30  # bytes of one file
_BLOCK = 1 << 20  # bytes copied at once
_PLACES = re.compile(
    rf"{FILE_NAME}|{DOUBTS}|{IMAGES}/[^/]+|({GRADERS}|{ADJUDICATORS})/[^/]+/(masks/)?[^/]+"
)


def pack_session(
    session: GradingSession,
    path: Path,
    *,
    images: bool = False,
    replace: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write a session as a `.zip` file, whole or not at all.

    Masks, logs and what is not saved yet are in it; locks are not. A session that somebody grades
    meanwhile is packed as it is: every file of it is whole at any time.

    Parameters
    ----------
    session
        The session.
    path
        The file to write.
    images
        Whether the images are packed, too; otherwise they are found by their content
        (`locating.locate`).
    replace
        Whether an existing file may be replaced.
    progress
        Called with the number of files that were packed.

    Raises
    ------
    OutputError
        If the file exists, lies in the session, or cannot be written.
    ImageError
        If images are packed and one is missing or cannot be read.
    SessionError
        If another file cannot be read.
    """
    if path.exists() and not replace:
        raise OutputError(f"{path}: already exists. Choose another path, or use --replace.")
    session.check_outside(path)
    files = dict(_files_of(session))
    listed = json.loads((session.folder / FILE_NAME).read_text(encoding="utf-8"))
    if images:
        for entry in listed["images"]:
            source = session.found_path(entry["stem"])
            entry["path"] = f"{IMAGES}/{entry['stem']}{image_suffix(source)}"
            files[entry["path"]] = source
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", compression=zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(new_entry(FILE_NAME), json.dumps(listed, indent=1) + "\n")
        for done, (name, file) in enumerate(files.items(), start=1):
            _pack_file(archive, name, file)
            progress(done, len(files))
    return path


def _pack_file(archive: zipfile.ZipFile, name: str, file: Path) -> None:
    """Copy a file into an archive; one of a person that is gone meanwhile is left out."""
    is_image = name.startswith(f"{IMAGES}/")
    error_class = ImageError if is_image else SessionError
    try:
        source = file.open("rb")
    except FileNotFoundError:
        if not is_image:
            return
        raise ImageError(f"{file}: the image is not there any longer.") from None
    except OSError as error:
        raise error_class(str(read_error(file, error))) from error
    with source:
        entry = new_entry(name)
        entry.file_size = os.fstat(source.fileno()).st_size
        with archive.open(entry, "w") as copy:
            while True:
                try:
                    block = source.read(_BLOCK)
                except OSError as error:
                    raise error_class(str(read_error(file, error))) from error
                if not block:
                    return
                copy.write(block)


def unpack_session(path: Path, folder: Path) -> GradingSession:
    """Unpack a session into a missing folder, whole or not at all.

    Parameters
    ----------
    path
        A file that `pack_session` wrote.
    folder
        The folder to create.

    Returns
    -------
    The session; its images may be missing (`GradingSession.missing`).

    Raises
    ------
    SessionError
        If the file is missing or corrupt, is not a session, or holds anything besides one, such as
        an entry that would lie outside the folder, or one entry more than once.
    OutputError
        If the folder exists, or cannot be written.
    """
    if not path.is_file():
        raise SessionError(f"{path}: there is no such file.")
    with unpacking(path, error=SessionError) as archive:
        entries = [entry for entry in archive.infolist() if _is_wanted(entry, path)]
        if FILE_NAME not in {entry.filename for entry in entries}:
            raise SessionError(f"{path}: holds no {FILE_NAME}, so it is not a packed session.")
        _check_unique(entries, path)
        _check_space(entries, folder)
        with new_folder(folder) as partial:
            for entry in entries:
                target = partial / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                # zipfile reads no more bytes than the entry declares.
                with archive.open(entry) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
            GradingSession.open(partial)
    return GradingSession.open(folder)


def _files_of(session: GradingSession) -> Iterator[tuple[str, Path]]:
    if (session.folder / DOUBTS).is_file():
        yield DOUBTS, session.folder / DOUBTS
    for kind in (GRADERS, ADJUDICATORS):
        for path in sorted((session.folder / kind).rglob("*")):
            name = path.relative_to(session.folder).as_posix()
            if path.is_file() and not path.name.startswith(".") and _PLACES.fullmatch(name):
                yield name, path


def _is_wanted(entry: zipfile.ZipInfo, path: Path) -> bool:
    parts = PurePosixPath(entry.filename).parts
    check_entry(entry, path, largest=_LARGEST, error=SessionError)
    if entry.is_dir() or any(part in MACOS_EXTRAS for part in parts):
        return False
    if not _PLACES.fullmatch(entry.filename) or parts[-1].startswith("."):
        raise SessionError(
            f"{path}: holds {entry.filename!r}, which is no part of a session. Not unpacked."
        )
    return True


def _check_unique(entries: list[zipfile.ZipInfo], path: Path) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = plain_name(entry.filename)
        if name in seen:
            raise SessionError(f"{path}: holds {entry.filename!r} more than once. Not unpacked.")
        seen.add(name)


def _check_space(entries: list[zipfile.ZipInfo], folder: Path) -> None:
    there = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    needed, free = sum(entry.file_size for entry in entries), shutil.disk_usage(there).free
    if needed > free:
        raise OutputError(
            f"{folder}: the session needs {needed} bytes, and {free} are free there. Choose a "
            "folder on another disk."
        )

"""A session as one `.zip` file, to send and to open elsewhere; a file that comes is not trusted."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sam2lora.errors import OutputError, SessionError
from sam2lora.grading.session import ADJUDICATORS, GRADERS, GradingSession
from sam2lora.grading.session_file import FILE_NAME
from sam2lora.images.decoding import image_suffix
from sam2lora.utils.files import atomic_path
from sam2lora.utils.folders import new_folder
from sam2lora.utils.progress import Progress, no_progress
from sam2lora.utils.zip_entries import MACOS_EXTRAS, check_entry, new_entry, unpacking

IMAGES = "images"
"""Folder of the images that are packed with a session."""

_LARGEST = 4 << 30  # bytes of one file
_PLACES = re.compile(rf"{FILE_NAME}|{IMAGES}/[^/]+|({GRADERS}|{ADJUDICATORS})/[^/]+/(masks/)?[^/]+")


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
        If images are packed and one is missing.
    """
    if path.exists() and not replace:
        raise OutputError(f"{path}: already exists. Choose another path, or use --replace.")
    if path.resolve().is_relative_to(session.folder):
        raise OutputError(f"{path}: lies in the session that is packed. Choose another folder.")
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
            entry_info = new_entry(name)
            entry_info.file_size = file.stat().st_size
            with file.open("rb") as source_file, archive.open(entry_info, "w") as copy:
                shutil.copyfileobj(source_file, copy)
            progress(done, len(files))
    return path


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
        an entry that would lie outside the folder.
    OutputError
        If the folder exists, or cannot be written.
    """
    if not path.is_file():
        raise SessionError(f"{path}: there is no such file.")
    with unpacking(path, error=SessionError) as archive:
        entries = [entry for entry in archive.infolist() if _is_wanted(entry, path)]
        if FILE_NAME not in {entry.filename for entry in entries}:
            raise SessionError(f"{path}: holds no {FILE_NAME}, so it is not a packed session.")
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


def _check_space(entries: list[zipfile.ZipInfo], folder: Path) -> None:
    there = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    needed, free = sum(entry.file_size for entry in entries), shutil.disk_usage(there).free
    if needed > free:
        raise OutputError(
            f"{folder}: the session needs {needed} bytes, and {free} are free there. Choose a "
            "folder on another disk."
        )

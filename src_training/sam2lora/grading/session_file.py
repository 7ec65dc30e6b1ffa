"""`session.json`: the images of a session, each by the hash of its file."""

import json
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from sam2lora.datasets.records import Split
from sam2lora.errors import ImageError, SessionError
from sam2lora.grading.sources import SourceImage, safe_stem
from sam2lora.settings import Settings
from sam2lora.types import Eye
from sam2lora.utils.files import durable_path, is_file, read_error, sha256_of
from sam2lora.utils.json_files import read_json_object
from sam2lora.utils.progress import Progress, no_progress

FORMAT: Final = 1
FILE_NAME = "session.json"


def _usable(stem: str) -> str:
    if safe_stem(stem) != stem:
        raise ValueError(f"{stem!r} cannot be used in file names")
    return stem


class SessionImage(Settings):
    """One image of a session."""

    stem: Annotated[str, AfterValidator(_usable)] = Field(
        min_length=1, description="identifies it in the session and in file names"
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file's bytes")
    size: int = Field(ge=0, description="of the file, in bytes")
    path: str = Field(description="relative to the session if the file lies in it, else absolute")
    file_name: str = Field(description="of the file when it was added")
    patient: str = Field(description="identifies the patient")
    eye: Eye | None = Field(default=None, description="its side, where known")
    dataset: str = Field(default="", description="name of the dataset it comes from")
    split: Split | None = Field(default=None, description="its official split there, if any")


class SessionContent(Settings):
    """The content of `session.json`."""

    format: Literal[1] = FORMAT
    version: str = Field(description="of the program that created the session")
    created: AwareDatetime
    images: tuple[SessionImage, ...] = ()


def read_session_file(folder: Path) -> SessionContent:
    """Read the content of a session folder's `session.json`.

    Raises
    ------
    SessionError
        If there is no such file, it is damaged, or a newer version wrote it.
    """
    path = folder / FILE_NAME
    if not is_file(path):
        raise SessionError(
            f"{folder}: is not a session (it has no {FILE_NAME}). Create one with: "
            f"sam2lora session new {folder} IMAGES"
        )
    content = read_json_object(path, error=SessionError, any_text=True)
    version = content.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise SessionError(
            f"{path}: has format {version}, this version reads {FORMAT}. Update napari-sam2lora."
        )
    try:
        session = SessionContent.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "content"
        raise SessionError(
            f"{path}: is damaged ({field}: {first['msg']}). Restore it from a packed copy of the "
            "session; the graders' folders beside it are not affected."
        ) from error
    _check_unique(path, session.images)
    return session


def write_session_file(folder: Path, content: SessionContent) -> None:
    """Write `session.json`, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written; the earlier file stays.
    """
    with durable_path(folder / FILE_NAME) as temporary:
        text = json.dumps(content.model_dump(mode="json"), indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def describe_images(
    folder: Path,
    sources: Iterable[SourceImage],
    *,
    known: Sequence[SessionImage] = (),
    progress: Progress = no_progress,
) -> tuple[SessionImage, ...]:
    """Read files that are to be images of a session; those that it has already are left out.

    Parameters
    ----------
    folder
        Folder of the session.
    sources
        The files.
    known
        The images that the session has.
    progress
        Called with the number of files.

    Returns
    -------
    The new images; their stems differ from all others, ignoring case.

    Raises
    ------
    ImageError
        If a file cannot be read.
    """
    files = list(sources)
    hashes = {image.sha256 for image in known}
    stems = {image.stem.casefold() for image in known}
    described: list[SessionImage] = []
    for done, source in enumerate(files, start=1):
        path = source.path.resolve()
        try:
            digest, size = sha256_of(path), path.stat().st_size
        except OSError as error:
            raise ImageError(str(read_error(path, error))) from error
        if digest not in hashes:
            stem = _free(source.stem, stems)
            hashes.add(digest)
            stems.add(stem.casefold())
            image = SessionImage(
                stem=stem,
                sha256=digest,
                size=size,
                path=stored_path(folder, path),
                file_name=path.name,
                patient=source.patient,
                eye=source.eye,
                dataset=source.dataset,
                split=source.split,
            )
            described.append(image)
        progress(done, len(files))
    return tuple(described)


def stored_path(folder: Path, path: Path) -> str:
    """Return a path as the list of a session in `folder` has it."""
    path = path.resolve()
    inside = path.is_relative_to(folder)
    return path.relative_to(folder).as_posix() if inside else str(path)


def _free(stem: str, taken: Collection[str]) -> str:
    """Return a stem that differs from those taken, ignoring case."""
    numbered = (f"{stem}_{number}" for number in range(2, len(taken) + 3))
    return next(one for one in chain([stem], numbered) if one.casefold() not in taken)


def _check_unique(path: Path, images: Sequence[SessionImage]) -> None:
    stems = [image.stem.casefold() for image in images]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise SessionError(f"{path}: is damaged (two images are called {twice!r}).")

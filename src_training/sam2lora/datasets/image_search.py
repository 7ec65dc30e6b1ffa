"""Find the image files given by files, folders, datasets and patterns."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from sam2lora.datasets import RecognizedFolder, list_images, recognize
from sam2lora.datasets.image_masks import without_masks
from sam2lora.errors import DatasetError, ImageError, SeveralDatasetsError
from sam2lora.images.decoding import image_stem, is_image_file
from sam2lora.utils.names import existing_spelling, natural_key


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """List the images given by files, folders, datasets and patterns such as `*.tif`.

    A folder that is a recognised dataset stands for its images without its masks, including images
    whose names do not fit the layout. Any other folder stands for the image files directly in it,
    whether or not one of its folders is a dataset, and a pattern for the files it matches; masks
    among them are left out (`image_masks`). The order is that of `inputs`, sorted within each as
    people count; duplicates are listed once.

    Raises
    ------
    ImageError
        If an input has no image, or two images would get the same output name.
    DatasetError
        If a folder is a dataset that cannot be used.
    """
    found: dict[tuple[str, str], Path] = {}
    for given in inputs:
        try:
            files = _files_of(existing_spelling(Path(given).expanduser()))
        except OSError as error:
            raise ImageError(f"{given}: cannot be opened ({error.strerror or error}).") from error
        if not files:
            raise ImageError(
                f"{given}: there is no image here{_but_masks(Path(given))}. Give image files, a "
                "folder of images, or a pattern in quotes such as 'photos/**/*.jpg'."
            )
        for path in files:
            found.setdefault(directory_entry(path), path)
    by_stem: dict[str, Path] = {}
    for path in found.values():
        stem = image_stem(path)
        composed = unicodedata.normalize("NFC", stem)  # macOS has one file for both forms
        other = by_stem.setdefault(os.path.normcase(composed), path)
        if other != path:
            raise ImageError(
                f"{other} and {path} would both be written as {stem}_<target>.png. "
                "Segment them into different folders."
            )
    return list(found.values())


def dataset_in_folder(folder: Path) -> RecognizedFolder | None:
    """Recognise the dataset a folder stands for; return None for a plain folder.

    Images directly in a folder take precedence over a dataset in one of its folders.

    Raises
    ------
    SeveralDatasetsError
        If the folder holds several datasets, and no images of its own.
    OSError
        If the folder cannot be listed.
    """
    images = list_image_files(folder)
    try:
        found = recognize(folder)
    except SeveralDatasetsError:
        if not images:
            raise
        return None
    except DatasetError:
        return None
    home = found.root if found.root.is_dir() else found.root.parent
    return None if images and folder.resolve() in home.parents else found


def list_image_files(folder: Path) -> list[Path]:
    """List the image files directly in a folder without masks, sorted as people count.

    Raises
    ------
    OSError
        If the folder cannot be listed.
    """
    files = [path for path in folder.iterdir() if is_image_file(path)]
    return sorted(without_masks(files), key=natural_key)


def directory_entry(path: Path) -> tuple[str, str]:
    """Return (real folder, name) of a path; a link is a different entry than its target."""
    return os.path.realpath(path.parent), os.path.normcase(path.name)


def holds_only_masks(folder: Path) -> bool:
    """Check whether a folder has image files, and all of them are masks.

    Raises
    ------
    OSError
        If the folder cannot be listed.
    """
    files = [path for path in folder.iterdir() if is_image_file(path)]
    return bool(files) and not without_masks(files)


def _files_of(given: Path) -> list[Path]:
    if given.is_dir():
        found = dataset_in_folder(given)
        return list_image_files(given) if found is None else list_images(found)
    if given.exists() or not any(character in str(given) for character in "*?["):
        return [given]
    matches = _matches(given)
    files = [path for path in matches if is_image_file(path) and path.is_file()]
    return sorted(without_masks(files), key=natural_key)


def _matches(pattern: Path) -> list[Path]:
    """Return what matches a pattern; brackets in the name of an existing folder are no pattern."""
    folder = next(parent for parent in pattern.parents if parent.exists())
    rest = str(pattern.relative_to(folder))
    try:
        # A name with brackets further on, where nothing matches them as a pattern.
        return list(folder.glob(rest)) or list(folder.glob(rest.replace("[", "[[]")))
    except ValueError as error:
        raise ImageError(
            f"{pattern}: is not a valid pattern ({error}). A ** stands alone between two slashes, "
            "as in 'photos/**/*.jpg'."
        ) from error


def _but_masks(given: Path) -> str:
    folder = given.expanduser()
    return ", only masks" if folder.is_dir() and holds_only_masks(folder) else ""

"""Find the image files that a user means by files, folders, data sets and patterns."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sam2lora.datasets import RecognizedFolder, list_images, recognize
from sam2lora.errors import DatasetError, ImageError, SeveralDatasetsError
from sam2lora.images.decoding import image_stem, is_image_file


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """List the images meant by files, folders, data sets and patterns such as `*.tif`.

    A folder that is a recognized data set gives its images, without its masks, those included that
    are not named as the set's are; any other folder the image files directly in it, whether or not
    one of its folders is a data set; a pattern those it matches. The order is that of `inputs`,
    sorted within each; a file that is meant twice is listed once.

    Raises
    ------
    ImageError
        If an input gives no image, or two images would get the same output name.
    DatasetError
        If a folder is a data set that cannot be used.
    """
    found: dict[tuple[str, str], Path] = {}
    for given in inputs:
        try:
            images = list(_images_of(Path(given).expanduser()))
        except OSError as error:
            raise ImageError(f"{given}: cannot be opened ({error.strerror or error}).") from error
        if not images:
            raise ImageError(
                f"{given}: there is no image here. Give image files, a folder that has them "
                "directly in it, or a pattern in quotes such as 'photos/**/*.jpg'."
            )
        for path in images:
            found.setdefault(entry_of(path), path)
    by_stem: dict[str, Path] = {}
    for path in found.values():
        stem = image_stem(path)
        other = by_stem.setdefault(os.path.normcase(stem), path)
        if other != path:
            raise ImageError(
                f"{other} and {path} would both be written as {stem}_<target>.png. "
                "Segment them into different folders."
            )
    return list(found.values())


def data_set_meant(folder: Path) -> RecognizedFolder | None:
    """Recognize the data set a folder stands for; None where it is just a folder.

    Photographs directly in a folder count more than a data set in one of its folders.

    Raises
    ------
    SeveralDatasetsError
        If it holds several data sets, and no photographs beside them.
    OSError
        If it cannot be listed.
    """
    loose = images_directly_in(folder)
    try:
        found = recognize(folder)
    except SeveralDatasetsError:
        if not loose:
            raise
        return None
    except DatasetError:
        return None
    home = found.root if found.root.is_dir() else found.root.parent
    return None if loose and folder.resolve() in home.parents else found


def images_directly_in(folder: Path) -> list[Path]:
    """List the image files of a folder, sorted; not those of folders in it.

    Raises
    ------
    OSError
        If it cannot be listed.
    """
    return sorted(path for path in folder.iterdir() if is_image_file(path))


def entry_of(path: Path) -> tuple[str, str]:
    """Tell which entry of which folder a path means; a link is another than what it links to."""
    return os.path.realpath(path.parent), os.path.normcase(path.name)


def _images_of(given: Path) -> Iterable[Path]:
    if given.is_dir():
        found = data_set_meant(given)
        return images_directly_in(given) if found is None else list_images(found)
    if given.exists() or not any(sign in str(given) for sign in "*?["):
        return [given]
    try:
        matches = list(Path(given.anchor).glob(str(given.relative_to(given.anchor))))
    except ValueError as error:
        raise ImageError(
            f"{given}: is no pattern ({error}). A ** stands alone between two slashes, as in "
            "'photos/**/*.jpg'."
        ) from error
    return sorted(path for path in matches if is_image_file(path) and path.is_file())

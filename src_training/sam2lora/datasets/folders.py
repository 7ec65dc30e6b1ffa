"""Find files by name, listing each folder once and opening none."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sam2lora.datasets.layouts import IMAGE_ENDING, MaskLocation
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.errors import DatasetError
from sam2lora.images.decoding import IMAGE_SUFFIXES, image_stem
from sam2lora.utils.names import natural_key, plain_name


class Folders:
    """Finds files by name, ignoring case, and lists each folder once."""

    def __init__(self) -> None:
        self._listings: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: Path) -> list[str]:
        """Return the names in `folder`, sorted as people count; none if it is no folder."""
        names = (name for same in self._listing(str(folder)).values() for name in same)
        return sorted(names, key=natural_key)

    def find(self, root: Path, relative: str) -> Path | None:
        """Return the first of `find_all`, or None."""
        return next(iter(self.find_all(root, relative)), None)

    def find_all(self, root: Path, relative: str) -> list[Path]:
        """Return the files at a path relative to `root`; a final `.*` is any image extension.

        Case and the Unicode form are ignored, but names that are spelled like `relative` win.
        """
        *parts, name = relative.split("/")
        folder = str(root)
        for part in parts:
            found = self._matches(folder, part, [""])
            if not found:
                return []
            folder = f"{folder}/{found[0]}"
        extensions = sorted(IMAGE_SUFFIXES) if name.endswith(".*") else [""]
        names = self._matches(folder, name.removesuffix(".*"), extensions)
        return [Path(folder, found) for found in names]

    def walk(self, root: Path, pattern: str) -> Iterator[tuple[Path, dict[str, str]]]:
        """Yield every file whose path from `root` matches `pattern`, and the pattern's groups."""
        first, _, rest = pattern.partition("/")
        expression = re.compile(first, re.IGNORECASE)
        for name in self.names(root):
            match = expression.fullmatch(name)
            if match is None or name.startswith("."):
                continue
            groups = {key: value for key, value in match.groupdict().items() if value}
            if not rest:
                yield root / name, groups
                continue
            for path, more in self.walk(root / name, rest):
                yield path, groups | more

    def _matches(self, folder: str, stem: str, extensions: Iterable[str]) -> list[str]:
        """Return the names in `folder` of a stem with an extension, the best spelled ones."""
        listing = self._listing(folder)
        found = [
            (name, name[: len(name) - len(extension)])
            for extension in extensions
            for name in listing.get(plain_name(stem + extension), ())
        ]
        exact = [name for name, spelled in found if spelled == stem]
        composed = [name for name, spelled in found if _composed(spelled) == _composed(stem)]
        return exact or composed or [name for name, _ in found]

    def _listing(self, folder: str) -> dict[str, list[str]]:
        """Return names by what they have in common, whatever their case and Unicode form."""
        if folder not in self._listings:
            try:
                names = sorted(path.name for path in Path(folder).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                names = []
            except OSError as error:
                raise DatasetError(f"{folder}: cannot be listed ({error.strerror}).") from error
            listing: dict[str, list[str]] = {}
            for name in names:
                listing.setdefault(plain_name(name), []).append(name)
            self._listings[folder] = listing
        return self._listings[folder]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def find_mask(
    location: MaskLocation, root: Path, groups: Mapping[str, str], folders: Folders
) -> MaskFile | None:
    """Return the first existing file of a mask location with its rivals, or None.

    Of two paths in one folder, the first one wins without a rival.
    """
    found = [
        (pattern, path)
        for pattern in location.paths
        for path in folders.find_all(root, pattern.format_map(groups))
    ]
    if not found:
        return None
    first_pattern, first = found[0]
    rivals = tuple(
        path
        for pattern, path in found[1:]
        if path != first
        and (
            pattern == first_pattern
            or _differ_in_folder(pattern, first_pattern)
            or (path.parent == first.parent and image_stem(path) == image_stem(first))
        )
        and not _is_packed_copy(path, first)
    )
    return MaskFile(first, location.encoding, target=groups.get("target", ""), rivals=rivals)


def _differ_in_folder(pattern: str, other: str) -> bool:
    """Check whether two paths name their target, and do so in different folders."""
    named = all("{target}" in path for path in (pattern, other))
    return named and folder_of(pattern) != folder_of(other)


def folder_of(path: str) -> str:
    """Return the folder of a path of a layout."""
    return path.rpartition("/")[0]


def _is_packed_copy(path: Path, other: Path) -> bool:
    """Check whether two files differ in `.gz` alone, as the distributed and the unpacked one do."""
    return f"{path}".removesuffix(".gz") == f"{other}".removesuffix(".gz")


def mask_path_pattern(path: str, targets: Iterable[str]) -> str:
    """Return the pattern (see `Folders.walk`) of all files that a location's path can stand for."""
    names = "(?:" + "|".join(map(re.escape, targets)) + ")"
    parts = re.split(r"(\{\w+\}|\.\*$)", path)
    known = {"{target}": names, ".*": r"\." + IMAGE_ENDING}
    return "".join(
        known.get(part) or (".+" if part.startswith("{") else re.escape(part)) for part in parts
    )

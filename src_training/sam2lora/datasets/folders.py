"""Find files by name, listing each folder once and opening none."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sam2lora.datasets.layouts import IMAGE_ENDING, MaskLocation
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.errors import DatasetError
from sam2lora.images.decoding import IMAGE_SUFFIXES


class Folders:
    """Finds files by name, ignoring case, and lists each folder once."""

    def __init__(self) -> None:
        self._listings: dict[str, dict[str, str]] = {}

    def names(self, folder: Path) -> list[str]:
        """Return the sorted names in `folder`; an empty list if it does not exist or is a file."""
        return sorted(set(self._listing(str(folder)).values()))

    def find(self, root: Path, relative: str) -> Path | None:
        """Return the file at a path relative to `root`; a final `.*` is any image extension."""
        *parts, name = relative.split("/")
        folder = str(root)
        for part in parts:
            found = self._first(folder, [part])
            if found is None:
                return None
            folder = f"{folder}/{found}"
        extensions = sorted(IMAGE_SUFFIXES) if name.endswith(".*") else [""]
        found = self._first(
            folder, [name.removesuffix(".*") + extension for extension in extensions]
        )
        return None if found is None else Path(folder, found)

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

    def _first(self, folder: str, names: list[str]) -> str | None:
        """Return the first of `names` that is in `folder`, spelled as it is there."""
        listing = self._listing(folder)
        found = (listing.get(name) or listing.get(name.lower()) for name in names)
        return next((name for name in found if name is not None), None)

    def _listing(self, folder: str) -> dict[str, str]:
        """Return names by their own spelling and in lower case; the exact spelling wins."""
        if folder not in self._listings:
            try:
                names = sorted(path.name for path in Path(folder).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                names = []
            except OSError as error:
                raise DatasetError(f"{folder}: cannot be listed ({error.strerror}).") from error
            listing: dict[str, str] = {}
            for name in names:
                listing.setdefault(name.lower(), name)
            self._listings[folder] = listing | {name: name for name in names}
        return self._listings[folder]


def find_mask(
    location: MaskLocation, root: Path, groups: Mapping[str, str], folders: Folders
) -> MaskFile | None:
    """Return the first existing file of a mask location, or None."""
    found = (folders.find(root, path.format_map(groups)) for path in location.paths)
    return next((MaskFile(path, location.encoding) for path in found if path is not None), None)


def mask_path_pattern(path: str, targets: Iterable[str]) -> str:
    """Return the pattern (see `Folders.walk`) of all files that a location's path can stand for."""
    names = "(?:" + "|".join(map(re.escape, targets)) + ")"
    parts = re.split(r"(\{\w+\}|\.\*$)", path)
    known = {"{target}": names, ".*": r"\." + IMAGE_ENDING}
    return "".join(
        known.get(part) or (".+" if part.startswith("{") else re.escape(part)) for part in parts
    )

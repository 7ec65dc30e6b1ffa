"""Masks and points a user corrected in a folder of images, stored apart from the images.

The folder of the corrections is a dataset itself: masks as PNG files, and a `dataset.csv` that
names the image of each; points are JSON files beside the masks. Nothing is ever written next to the
images, which may be a public dataset, on a read-only disk, or shared by several users.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sam2lora.annotations.mask_files import save_mask
from sam2lora.annotations.points import PointAnnotation, read_point, save_point
from sam2lora.errors import DatasetError, ImageError, OutputError
from sam2lora.images.reading import read_mask
from sam2lora.targets import all_targets, point_targets
from sam2lora.types import Mask
from sam2lora.utils.csv_files import write_csv
from sam2lora.utils.files import atomic_path, make_folder, read_error, sha256_of
from sam2lora.utils.json_files import read_json_object

_STATE = "corrections.json"
_TABLE = "dataset.csv"
_PREDICTED = "as_predicted.txt"
_POSITION = "position.txt"


def corrections_folder() -> Path:
    """Return the folder of all corrections (`SAM2LORA_CORRECTIONS` overrides the default)."""
    override = os.environ.get("SAM2LORA_CORRECTIONS")
    if override:
        return Path(override)
    return platformdirs.user_data_path("napari-sam2lora") / "corrections"


class _State(BaseModel):
    """What is stored about the images besides their masks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="folder of the images")
    images: dict[str, str] = Field(default={}, description="stem to path, of corrected images")
    done: list[str] = Field(default=[], description="stems of the images marked as done")


class Corrections:
    """The corrections of one folder of images on disk; nothing is cached.

    Parameters
    ----------
    source
        The folder of the images, or the table that lists them. Its path identifies the corrections.
    folder
        Where they are stored; by default a folder of its own in `corrections_folder`.
    read_only
        Why nothing may be changed here: the message of the error then; empty if it may.
    """

    def __init__(self, source: Path, *, folder: Path | None = None, read_only: str = "") -> None:
        self.source = source.resolve()
        self._read_only = read_only
        self.folder = folder or self._default_folder()

    def _default_folder(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.source)).hexdigest()[:8]
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", self.source.stem).strip("-") or "images"
        return corrections_folder() / f"{stem}-{digest}"

    def refuse(self, reason: str) -> None:
        """Refuse every change from now on, as if opened with `read_only`."""
        self._read_only = reason

    def masks(self, stem: str, shape: tuple[int, int]) -> dict[str, Mask]:
        """Read the corrected masks of one image of `shape` (H, W): target name to `(H, W)` bool.

        Raises
        ------
        ImageError
            If a mask cannot be read or has another size.
        """
        paths = {name: self._mask(stem, name) for name in all_targets()}
        stored = {name: path for name, path in paths.items() if path.is_file()}
        return {name: read_mask(path, shape=shape) for name, path in stored.items()}

    def points(self, stem: str) -> dict[str, PointAnnotation]:
        """Read the points of one image: target name to point.

        Raises
        ------
        ImageError
            If a point cannot be read.
        """
        paths = {name: self._point(stem, name) for name in point_targets()}
        return {name: read_point(path) for name, path in paths.items() if path.is_file()}

    def corrected(self, stem: str) -> bool:
        """Check whether an image has a corrected mask or point."""
        return any(self.has(stem, name) for name in (*all_targets(), *point_targets()))

    def has(self, stem: str, target: str) -> bool:
        """Check whether an image has a corrected mask or point of one target."""
        return self._mask(stem, target).is_file() or self._point(stem, target).is_file()

    def mask_hash(self, stem: str, target: str) -> str:
        """Return the SHA-256 of the file of a mask, in hexadecimal; empty if there is none.

        Raises
        ------
        ImageError
            If it cannot be read.
        """
        path = self._mask(stem, target)
        try:
            return sha256_of(path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ImageError(str(read_error(path, error))) from error

    def unknown_targets(self, stems: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return by stem the targets of masks that are stored and that this computer does not know.

        Parameters
        ----------
        stems
            All images of the folder, as the name of a target may have a `_` in it, and a stem, too.
        """
        images, known = set(stems), all_targets()
        found: dict[str, tuple[str, ...]] = {}
        for path in sorted((self.folder / "masks").glob("[!.]*.png")):
            marks = [match.start() for match in re.finditer("_", path.stem)]
            pairs = [(path.stem[:mark], path.stem[mark + 1 :]) for mark in reversed(marks)]
            fitting = [(stem, target) for stem, target in pairs if stem in images]
            if fitting and not any(target in known for _, target in fitting):
                stem, target = fitting[0]
                found[stem] = (*found.get(stem, ()), target)
        return found

    def done(self) -> set[str]:
        """Return the stems of the images marked as done.

        Raises
        ------
        DatasetError
            If the list of images is damaged.
        """
        return set(self._state().done)

    def position(self) -> str | None:
        """Return the stem of the image that was left last; None if it is not known."""
        try:
            return (self.folder / _POSITION).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def set_position(self, stem: str) -> None:
        """Remember the image that is shown, if anything is stored and may be changed here.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if self.folder.is_dir() and not self._read_only:
            with atomic_path(self.folder / _POSITION) as temporary:
                temporary.write_text(f"{stem}\n", encoding="utf-8")

    def as_predicted(self, stem: str, target: str) -> bool:
        """Check whether a mask was accepted as it was predicted, and never corrected."""
        return self._mask(stem, target).name in self._predicted()

    def set_as_predicted(self, stem: str, targets: Mapping[str, bool]) -> None:
        """Note which stored masks of an image are as they were predicted.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self._check_writable()
        before = self._predicted()
        after = set(before)
        for target, predicted in targets.items():
            (after.add if predicted else after.discard)(self._mask(stem, target).name)
        if after != before:
            make_folder(self.folder)
            with atomic_path(self.folder / _PREDICTED) as temporary:
                temporary.write_text("".join(f"{one}\n" for one in sorted(after)), encoding="utf-8")

    def save(self, stem: str, image: Path, masks: Mapping[str, Mask]) -> None:
        """Save masks of one image; those of other targets stay.

        Parameters
        ----------
        stem
            Identifies the image among those of the folder.
        image
            The image's file.
        masks
            Target name to `(H, W)` bool.

        Raises
        ------
        DatasetError
            If the list of images is damaged.
        OutputError
            If nothing may be changed here, or a mask cannot be written; the earlier one stays.
        """
        self._check_writable()
        state = self._state()
        make_folder(self.folder / "masks")
        for name, mask in masks.items():
            save_mask(self._mask(stem, name), mask)
        self._link(state, stem, image)

    def save_points(
        self, stem: str, image: Path, points: Mapping[str, PointAnnotation | None]
    ) -> None:
        """Save points of one image; None deletes one, and those of other targets stay.

        Parameters
        ----------
        stem, image
            As for `save`.
        points
            Target name to point.

        Raises
        ------
        DatasetError, OutputError
            As in `save`.
        """
        self._check_writable()
        state = self._state()
        make_folder(self.folder / "masks")
        for name, point in points.items():
            if point is None:
                self._point(stem, name).unlink(missing_ok=True)
            else:
                save_point(self._point(stem, name), point)
        self._link(state, stem, image)

    def relink(self, images: Mapping[str, Path]) -> None:
        """Note where images lie that were moved; of images without corrections, nothing.

        Parameters
        ----------
        images
            Stem to the image's file.

        Raises
        ------
        DatasetError, OutputError
            As in `save`.
        """
        self._check_writable()
        state = self._state()
        known = {stem: str(images[stem].resolve()) for stem in state.images if stem in images}
        moved = state.images | known
        if moved != state.images:
            self._write(state.model_copy(update={"source": str(self.source), "images": moved}))

    def forget(self, stem: str) -> None:
        """Delete the corrected masks and points of one image, and its mark as done.

        Raises
        ------
        DatasetError, OutputError
            As in `save`.
        """
        self._check_writable()
        if not self.folder.is_dir():
            return
        state = self._state()
        for name in all_targets():
            self._mask(stem, name).unlink(missing_ok=True)
        for name in point_targets():
            self._point(stem, name).unlink(missing_ok=True)
        images = {other: image for other, image in state.images.items() if other != stem}
        done = [other for other in state.done if other != stem]
        self._write(state.model_copy(update={"images": images, "done": done}))

    def set_done(self, stem: str, done: bool) -> None:
        """Mark an image as done, or not.

        Raises
        ------
        DatasetError, OutputError
            As in `save`.
        """
        self._check_writable()
        state = self._state()
        others = [other for other in state.done if other != stem]
        self._write(state.model_copy(update={"done": sorted([*others, *([stem] if done else [])])}))

    def _check_writable(self) -> None:
        if self._read_only:
            raise OutputError(self._read_only)

    def _predicted(self) -> set[str]:
        """Return the file names of masks that are as they were predicted."""
        try:
            return set((self.folder / _PREDICTED).read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError):
            return set()

    def _mask(self, stem: str, target: str) -> Path:
        return self.folder / "masks" / f"{stem}_{target}.png"

    def _point(self, stem: str, target: str) -> Path:
        return self.folder / "masks" / f"{stem}_{target}.json"

    def _state(self) -> _State:
        path = self.folder / _STATE
        if not path.exists():
            return _State(source=str(self.source))
        try:
            return _State.model_validate(read_json_object(path, error=DatasetError))
        except (DatasetError, ValidationError) as error:
            raise DatasetError(
                f"{path}: cannot be read, so which images were corrected, where they lie, and "
                "which are marked as done is unknown. Delete it to start a new list; the masks "
                "beside it stay."
            ) from error

    def _link(self, state: _State, stem: str, image: Path) -> None:
        """Write down which image it is that something was saved for."""
        images = state.images | {stem: str(image.resolve())}
        self._write(state.model_copy(update={"images": images}))

    def _write(self, state: _State) -> None:
        """Write the state, and the table that makes the masks a dataset."""
        make_folder(self.folder)
        with atomic_path(self.folder / _STATE) as temporary:
            temporary.write_text(json.dumps(state.model_dump(), indent=2) + "\n", encoding="utf-8")
        columns = ["image", *all_targets()]
        write_csv(self.folder / _TABLE, columns, self._rows(state.images.items()))

    def _rows(self, images: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
        rows = []
        for stem, image in images:
            paths = {name: self._mask(stem, name) for name in all_targets()}
            masks = {name: f"masks/{path.name}" for name, path in paths.items() if path.is_file()}
            if masks:  # an image of which a point alone is corrected is none of a dataset of masks
                rows.append({"image": image, **masks})
        return rows

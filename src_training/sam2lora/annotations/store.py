"""Masks a user corrected in a folder of images, stored apart from the images.

The folder of the corrections is a dataset itself: masks as PNG files, and a `dataset.csv` that
names the image of each. Nothing is ever written next to the images, which may be a public dataset,
on a read-only disk, or shared by several users.
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
from sam2lora.errors import DatasetError
from sam2lora.images.reading import read_mask
from sam2lora.targets import all_targets
from sam2lora.types import Mask
from sam2lora.utils.csv_files import write_csv
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.json_files import read_json_object

_STATE = "corrections.json"
_TABLE = "dataset.csv"


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
    """

    def __init__(self, source: Path) -> None:
        self.source = source.resolve()
        digest = hashlib.sha256(os.fsencode(self.source)).hexdigest()[:8]
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", self.source.stem).strip("-") or "images"
        self.folder = corrections_folder() / f"{stem}-{digest}"

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

    def corrected(self, stem: str) -> bool:
        """Check whether an image has a corrected mask."""
        return any(self._mask(stem, name).is_file() for name in all_targets())

    def has(self, stem: str, target: str) -> bool:
        """Check whether an image has a corrected mask of one target."""
        return self._mask(stem, target).is_file()

    def done(self) -> set[str]:
        """Return the stems of the images marked as done.

        Raises
        ------
        DatasetError
            If the list of images is damaged.
        """
        return set(self._state().done)

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
            If a mask cannot be written; the earlier one stays.
        """
        state = self._state()
        make_folder(self.folder / "masks")
        for name, mask in masks.items():
            save_mask(self._mask(stem, name), mask)
        images = state.images | {stem: str(image.resolve())}
        self._write(state.model_copy(update={"images": images}))

    def forget(self, stem: str) -> None:
        """Delete the corrected masks of one image, and its mark as done.

        Raises
        ------
        DatasetError, OutputError
            As in `save`.
        """
        if not self.folder.is_dir():
            return
        state = self._state()
        for name in all_targets():
            self._mask(stem, name).unlink(missing_ok=True)
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
        state = self._state()
        others = [other for other in state.done if other != stem]
        self._write(state.model_copy(update={"done": sorted([*others, *([stem] if done else [])])}))

    def _mask(self, stem: str, target: str) -> Path:
        return self.folder / "masks" / f"{stem}_{target}.png"

    def _state(self) -> _State:
        path = self.folder / _STATE
        if not path.exists():
            return _State(source=str(self.source))
        try:
            return _State.model_validate(read_json_object(path, error=DatasetError))
        except (DatasetError, ValidationError) as error:
            raise DatasetError(
                f"{path}: cannot be read, so the images marked as done are unknown. Delete it to "
                "start a new list; the masks next to it stay."
            ) from error

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
            rows.append({"image": image, **masks})
        return rows

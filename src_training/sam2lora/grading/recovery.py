"""What a person has not saved yet: prompts, previews, undo steps, painted masks, in one file.

What belongs in it is decided by who writes it: arrays by name, and notes as JSON. The file is
written whole or not at all, so that a process may be killed at any instant; write it at most
`INTERVAL` seconds after each change, and delete it once everything is saved.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from sam2lora.errors import OutputError, SessionError
from sam2lora.utils.files import atomic_path, read_error, write_error
from sam2lora.utils.json_files import parse_json_object

INTERVAL: Final = 2.0
"""Seconds after a change, at most, until it is in the file."""

_ASIDE, _DAMAGED = "recovery", "damaged"  # what the names of files begin with that were set aside
_ARRAY = ".npy"
_NOTES = "notes.json"  # no array can have this name, as arrays are files called NAME.npy
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    ValueError,
    TypeError,
    EOFError,
    RuntimeError,  # an entry that is encrypted, or of another compression, as it seems
)


@dataclass(frozen=True, eq=False)
class Recovery:
    """What was found in the file.

    Attributes
    ----------
    image
        Stem of the image that it is about.
    saved
        When it was written, in UTC.
    notes
        What was given as JSON.
    arrays
        What was given as arrays.
    """

    image: str
    saved: datetime
    notes: Mapping[str, JsonValue]
    arrays: Mapping[str, NDArray[Any]]


class RecoveryFile:
    """The file of one person; nothing is cached.

    Parameters
    ----------
    path
        The file.
    read_only
        Why it may not be written or deleted here: the message of the error then; empty if it may.
    """

    def __init__(self, path: Path, *, read_only: str = "") -> None:
        self.path = path
        self._read_only = read_only

    def aside(self) -> list["RecoveryFile"]:
        """Return the files that were set aside in the same folder and are whole, oldest first."""
        return [RecoveryFile(path) for path in sorted(self.path.parent.glob(f"{_ASIDE}-*.npz"))]

    def refuse(self, reason: str) -> None:
        """Refuse every change from now on, as if opened with `read_only`."""
        self._read_only = reason

    def write(
        self, image: str, *, notes: Mapping[str, JsonValue], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """Replace the file.

        Parameters
        ----------
        image
            Stem of the image that it is about.
        notes
            Anything that JSON can hold.
        arrays
            Arrays of numbers or bool, by name.

        Raises
        ------
        OutputError
            If nothing may be changed here, or it cannot be written; the earlier file stays.
        TypeError
            If an array holds Python objects, or notes something that JSON has not.
        """
        self._check_writable()
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise TypeError(f"{name}: an array of objects cannot be written.")
        head = {"image": image, "saved": datetime.now(UTC).isoformat(), "notes": dict(notes)}
        text = json.dumps(head)
        with (
            atomic_path(self.path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, array in arrays.items():
                # Its size is not known before, and may be more than 2 GiB.
                with archive.open(name + _ARRAY, "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)
            archive.writestr(_NOTES, text)

    def read(self) -> Recovery | None:
        """Return what is in the file; None if there is none.

        Raises
        ------
        SessionError
            If it cannot be read or is damaged; it stays where it is.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                notes = archive.read(_NOTES)
                names = [name for name in archive.namelist() if name != _NOTES]
                arrays = {name.removesuffix(_ARRAY): _read_array(archive, name) for name in names}
            head = parse_json_object(notes, str(self.path), error=SessionError)
            saved = datetime.fromisoformat(head["saved"])
            return Recovery(str(head["image"]), saved, dict(head["notes"]), arrays)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SessionError(str(read_error(self.path, error))) from error
        except _DAMAGE as error:
            raise SessionError(
                f"{self.path}: is damaged, so unsaved work cannot be recovered. What was saved is "
                "not affected."
            ) from error

    def discard(self) -> None:
        """Delete the file, if there is one.

        Raises
        ------
        OutputError
            If nothing may be changed here, or it cannot be deleted.
        """
        self._check_writable()
        try:
            with suppress(FileNotFoundError):
                self.path.unlink()
        except OSError as error:
            raise write_error(self.path, error) from error

    def set_aside(self, *, damaged: bool = False) -> "RecoveryFile":
        """Rename the file, so that the next one does not replace it, and return it.

        Parameters
        ----------
        damaged
            Whether it is left out of `aside`.

        Raises
        ------
        OutputError
            If nothing may be changed here, or it cannot be renamed.
        """
        self._check_writable()
        now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        kind = _DAMAGED if damaged else _ASIDE
        path = self.path.with_name(f"{kind}-{now}{self.path.suffix}")
        try:
            self.path.rename(path)
        except OSError as error:
            raise write_error(path, error) from error
        return RecoveryFile(path)

    def put_back(self, aside: "RecoveryFile") -> None:
        """Replace the file by one that was set aside, which is gone then.

        Raises
        ------
        OutputError
            If nothing may be changed here, or it cannot be renamed.
        """
        self._check_writable()
        try:
            aside.path.replace(self.path)
        except OSError as error:
            raise write_error(self.path, error) from error

    def _check_writable(self) -> None:
        if self._read_only:
            raise OutputError(self._read_only)


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read()  # to the end, where the checksum is compared
    return array

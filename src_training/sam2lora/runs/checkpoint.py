"""The latest state of a training in one file of tensors and plain values, replaced atomically."""

import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from sam2lora.errors import DeviceError, ModelError
from sam2lora.utils.files import durable_path

if TYPE_CHECKING:
    import torch

RESUME_ADVICE = "The training resumes from its last checkpoint with: sam2lora train RUN"
"""Advice of errors that end a training, for `utils.files.write_error`."""

_PLAIN = (bool, int, float, str, type(None))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint; at any time, the file is either the old one or the new one.

    Parameters
    ----------
    path
        The checkpoint file.
    state
        Tensors, numbers, strings and None, in dicts, lists and tuples of any depth.

    Raises
    ------
    OutputError
        If the file cannot be written; the older one stays.
    TypeError
        If `state` holds anything else: it could be written, but not read again.
    """
    import torch

    _check_readable(state, "state")
    with durable_path(path, advice=RESUME_ADVICE) as temporary, temporary.open("wb") as stream:
        writer = _Writer(stream)
        try:
            torch.save(state, cast("IO[bytes]", writer))
        except RuntimeError:
            if writer.error is not None:
                raise writer.error from None
            raise


def load_checkpoint(path: Path, *, map_location: "str | torch.device" = "cpu") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; nothing in the file is executed.

    Raises
    ------
    ModelError
        If the file is missing or damaged; the message says what to do.
    DeviceError
        If the memory is not sufficient.
    """
    import torch

    from sam2lora.compute.device import explain_out_of_memory

    if not path.is_file():
        raise ModelError(f"{path}: there is no checkpoint yet.")
    try:
        # torch does not notice changed bytes.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} is not as it was written")
        with explain_out_of_memory(torch.device(map_location), "Reading a checkpoint"):
            content = torch.load(path, map_location=map_location, weights_only=True, mmap=False)
        if not isinstance(content, dict):
            raise TypeError("it does not hold the state of a training")
    except DeviceError:
        raise
    except Exception as error:
        # Reading a damaged file can fail in many ways: zip, torch and pickle raise their own
        # errors.
        reason = str(error).partition("\n")[0] or type(error).__name__
        # Messages of torch may advise to execute the content.
        if type(error).__name__ == "UnpicklingError" or "weights_only" in str(error):
            reason = "it holds more than tensors and plain values"
        raise ModelError(
            f"{path}: is truncated or corrupt ({reason}), so the training cannot resume from it. "
            f"Start a new one from the best adapter in {path.parent / 'adapters'}, or delete this "
            "file to start this one again."
        ) from error
    return content


class _Writer:
    """Writes to a stream, and keeps its first error: torch replaces it by one of its own."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            return self._stream.write(content)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._stream.flush()


def _check_readable(value: object, place: str) -> None:
    import torch

    # Compared by exact type: NumPy's float64 is a float, but is stored as a NumPy object.
    if isinstance(value, dict) and type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _check_readable(key, f"a key of {place}")
            _check_readable(item, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        for number, item in enumerate(value):
            _check_readable(item, f"{place}[{number}]")
    elif not isinstance(value, torch.Tensor) and type(value) not in _PLAIN:
        raise TypeError(f"{place} is a {type(value).__name__}, which a checkpoint cannot hold.")

"""The latest state of a training in one file: tensors and plain values, replaced whole."""

import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2lora.errors import DeviceError, ModelError
from sam2lora.utils.files import durable_path

if TYPE_CHECKING:
    import torch

_PLAIN = (bool, int, float, str, type(None))


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint; at any instant, the file is the old one or the new one.

    Parameters
    ----------
    path
        The file.
    state
        Tensors, numbers, strings and None, in dicts, lists and tuples of any depth.

    Raises
    ------
    OutputError
        If it cannot be written; the older one stays.
    TypeError
        If there is anything else in `state`: it could be written, but not be read again.
    """
    import torch

    _check_readable(state, "state")
    # Through a stream of ours, because torch's own hides that the disk is full.
    with durable_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(state, stream)


def load_checkpoint(path: Path, *, map_location: "str | torch.device" = "cpu") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; nothing in the file is run.

    Raises
    ------
    ModelError
        If it is missing or damaged; the message says what is left to do.
    DeviceError
        If the memory does not suffice.
    """
    import torch

    from sam2lora.compute.device import explain_out_of_memory

    if not path.is_file():
        raise ModelError(f"{path}: there is no checkpoint yet.")
    try:
        # torch takes changed bytes as they are.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} is not as it was written")
        with explain_out_of_memory(torch.device(map_location), "Reading a checkpoint"):
            content = torch.load(path, map_location=map_location, weights_only=True, mmap=False)
        if not isinstance(content, dict):
            raise TypeError("it holds no state of a training")
    except DeviceError:
        raise
    except Exception as error:
        # Reading a damaged file can fail in any way: zip, torch and pickle all raise their own.
        reason = str(error).partition("\n")[0] or type(error).__name__
        if type(error).__name__ == "UnpicklingError":  # its text tells how to run what is inside
            reason = "it holds more than tensors and plain values"
        raise ModelError(
            f"{path}: is truncated or corrupt ({reason}), so the training cannot go on from it. "
            f"Start a new one from the best adapter in {path.parent / 'adapters'}, or delete this "
            "file to begin this one again."
        ) from error
    return content


def _check_readable(value: object, place: str) -> None:
    import torch

    # By exact type: NumPy's float64 is a float, but is written as a NumPy object.
    if isinstance(value, dict) and type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _check_readable(key, f"a key of {place}")
            _check_readable(item, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple) and type(value) in (list, tuple):
        for number, item in enumerate(value):
            _check_readable(item, f"{place}[{number}]")
    elif not isinstance(value, torch.Tensor) and type(value) not in _PLAIN:
        raise TypeError(f"{place} is a {type(value).__name__}, which a checkpoint cannot hold.")

"""Write an adapter from a trained network, and read its tensors, in PEFT's format."""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sam2lora.adapters.card import AdapterCard
from sam2lora.adapters.folder import CONFIG, HEAD, WEIGHTS, Adapter, open_adapter
from sam2lora.adapters.peft_format import check_names, check_shapes, peft_config
from sam2lora.errors import AdapterError
from sam2lora.utils.folders import new_folder


def save_adapter(
    tensors: Mapping[str, Tensor],
    card: AdapterCard,
    folder: Path,
    *,
    head: Mapping[str, Tensor] | None = None,
    replace: bool = False,
) -> Adapter:
    """Write an adapter's folder atomically.

    Parameters
    ----------
    tensors
        Tensors of a network in training, as `lora.lora_tensors` returns them.
    card
        The adapter's card.
    folder
        Folder to write; its parents are created.
    head
        Tensors of its detail head, as `detail_head.head_tensors` returns them; None without one.
    replace
        Whether an existing adapter may be replaced.

    Raises
    ------
    AdapterError
        If the tensors do not fit the card or are not finite.
    OutputError
        If the folder already exists and may not be replaced, or cannot be written.
    """
    check_names(shapes_of(tensors), card.lora, f"The adapter {card.name!r}")
    _check_finite({**tensors, **(head or {})}, f"The adapter {card.name!r}")
    config = json.dumps(peft_config(card.lora), indent=2) + "\n"
    with new_folder(folder, replace=replace) as partial:
        # As bytes: safetensors' own writer raises an error of its own when the disk is full.
        (partial / WEIGHTS).write_bytes(_to_bytes(tensors))
        if head is not None:
            (partial / HEAD).write_bytes(_to_bytes(head))
        (partial / CONFIG).write_text(config, encoding="utf-8")
        for file, text in Adapter(folder, card).card_files().items():
            (partial / file).write_text(text, encoding="utf-8")
    return open_adapter(folder)


def read_tensors(adapter: Adapter, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read an adapter's tensors, on the CPU in float32.

    Parameters
    ----------
    adapter
        The adapter.
    expected
        Names and shapes of its tensors on the network it is read for.

    Raises
    ------
    AdapterError
        If the file is damaged, does not fit, or holds values that are not finite.
    """
    return read_tensor_file(adapter.weights, expected)


def read_tensor_file(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read one of an adapter's files of tensors, as `read_tensors`.

    Raises
    ------
    AdapterError
        If the file is damaged, does not fit, or holds values that are not finite.
    """
    try:
        # Not memory-mapped: if the file were replaced or truncated, Python would crash.
        tensors = safetensors.torch.load(path.read_bytes())
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except safetensors.SafetensorError as error:
        raise AdapterError(f"{path}: is truncated or not a safetensors file ({error}).") from error
    check_shapes(shapes_of(tensors), expected, str(path))
    _check_finite(tensors, str(path))
    return {name: tensor.float() for name, tensor in tensors.items()}


@torch.no_grad()
def copy_tensors(tensors: Mapping[str, Tensor], current: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into those of a network with the same names and shapes.

    Parameters
    ----------
    tensors
        The values.
    current
        The network's own tensors, which change.
    source
        Where the values come from, for error messages.

    Raises
    ------
    AdapterError
        If they do not fit.
    """
    check_shapes(shapes_of(tensors), shapes_of(current), source)
    for name, tensor in current.items():
        tensor.copy_(tensors[name])


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    stored = {
        name: tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()
        for name, tensor in sorted(tensors.items())
    }
    return safetensors.torch.save(stored, metadata={"format": "pt"})


def _check_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse tensors with values that are not finite.

    Raises
    ------
    AdapterError
        If there is such a value; the message names its tensor.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterError(f"{source}: {name!r} holds values that are not finite numbers.")

"""Read the weights of a base model from a file, fit them to a network, and identify them."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from sam2lora.errors import ModelError
from sam2lora.utils.hash_cache import cache_hash, cached_hash

MASK_TOKEN = "mask_token"
"""Key in a file's notes: "single" where only SAM 2's single mask was trained."""

LEARNED = "data"
"""Key in a file's notes: what the weights were trained on, as `DataPlan.summary` says, in JSON."""

WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
"""Files that can hold the weights of a base model."""

MEMORY_PARTS = (
    "maskmem_tpos_enc",
    "mask_downsample.",
    "memory_attention.",
    "memory_encoder.",
    "no_mem_pos_enc",
    "no_obj_embed_spatial",
    "no_obj_ptr",
    "obj_ptr_proj.",
    "obj_ptr_tpos_proj.",
)
"""How the names of what SAM 2 keeps for videos begin; an image does not need it."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint without running anything that is in it.

    Parameters
    ----------
    path
        `.safetensors`, or `.pt` as SAM 2 publishes it (`{"model": tensors by name}`, or the tensors
        by name alone).

    Raises
    ------
    ModelError
        If there is no such file, or it is truncated, corrupt, or holds anything but tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file with the weights of a base model.")
    if path.suffix not in WEIGHT_SUFFIXES:
        raise ModelError(f"{path}: weights are read from {', '.join(WEIGHT_SUFFIXES)} files only.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{path}: holds no tensors by name, so it is not a checkpoint of SAM 2.")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ModelError(
                f"{path}: {name!r} is not a tensor, so this is no checkpoint of SAM 2."
            )
    return dict(content)


def read_notes(path: Path) -> dict[str, str]:
    """Give what a `.safetensors` file says about itself; nothing for other files.

    Raises
    ------
    ModelError
        If it is truncated or corrupt.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safetensors.safe_open(path, framework="pt") as content:
            return dict(content.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: is truncated or no safetensors file ({error}).") from error


def images_learned(notes: Mapping[str, str], source: Path) -> dict[str, int]:
    """Give what weights learned from by the notes in their file: data set and target to images.

    Raises
    ------
    ModelError
        If the notes are not as this project writes them.
    """
    try:
        images = json.loads(notes.get(LEARNED, "{}")).get("images", {})
        return {str(name): int(count) for name, count in images.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{source}: its note {LEARNED!r} does not say what it learned from ({error})."
        ) from error


def fit_weights(network: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load weights into a network: nothing may be missing, only `MEMORY_PARTS` left over.

    Raises
    ------
    ModelError
        If the names or shapes do not fit; the message names the first of each kind.
    """
    expected = network.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith(MEMORY_PARTS)}
    problems = [
        _first("missing", expected.keys() - given.keys()),
        _first("unexpected", given.keys() - expected.keys()),
        _first(
            "of another shape",
            (
                f"{name} {tuple(given[name].shape)} instead of {tuple(expected[name].shape)}"
                for name in given.keys() & expected.keys()
                if given[name].shape != expected[name].shape
            ),
        ),
    ]
    if any(problems):
        raise ModelError(
            f"{source}: does not fit this base model. " + " ".join(filter(None, problems))
        )
    network.load_state_dict(given)


@torch.no_grad()
def seed_weights(network: nn.Module, *, seed: int) -> None:
    """Give a network random weights that are the same on every machine.

    The spread is that of torch's defaults: variance 1/(3 fan-in) for linear layers and
    convolutions, 1 for embeddings and the frequencies of positions, 0.02² for `no_mem_embed`; norms
    and position maps start as SAM 2 starts them. Torch's own generators differ between versions and
    processors, hence NumPy's raw bits, whose stream is guaranteed, and sums of integers.
    """
    bits = np.random.PCG64(seed)
    for _, module in sorted(network.named_modules()):
        for name, tensor in [
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ]:
            spread = _spread(module, name)
            if spread is not None:
                tensor.copy_(_draw(bits, tensor.shape, spread))


def weights_digest(network: nn.Module) -> str:
    """Compute the identity of a base: the SHA-256 over all its image-part tensors.

    Hashed are, for each tensor in the order of sorted names: the name, a zero byte, the shape as
    decimal numbers joined by commas, a zero byte, and the values as little-endian float32.

    Returns
    -------
    64 hexadecimal digits. Neither the file's format nor its memory parts change them.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        shape = ",".join(str(length) for length in tensor.shape)
        digest.update(f"{name}\0{shape}\0".encode())
        values = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous().numpy()
        digest.update(np.ascontiguousarray(values, dtype="<f4").data)
    return digest.hexdigest()


def file_digest(network: nn.Module, path: Path) -> str:
    """Give the identity of a network just loaded from `path`, computed once per file.

    It is kept in the cache folder, by the file's path, size and time of change.
    """
    known = cached_hash(path, "identity")
    if known is None:
        known = weights_digest(network)
        cache_hash(path, "identity", known)
    return known


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: is truncated or no safetensors file ({error}).") from error


def _read_pickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Reading a damaged file can fail in any way: zip, tar and pickle all raise their own.
        if type(error).__name__ == "UnpicklingError":
            raise ModelError(
                f"{path}: holds more than tensors, or is no checkpoint at all. It was not loaded, "
                "because such a file can run code. Ask its author for a .safetensors file."
            ) from error
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(f"{path}: is truncated or corrupt ({reason}).") from error


def _first(kind: str, names: Iterable[str], *, shown: int = 3) -> str:
    found = sorted(names)
    if not found:
        return ""
    more = f" and {len(found) - shown} more" if len(found) > shown else ""
    return f"{len(found)} {kind}: {', '.join(found[:shown])}{more}."


def _spread(module: nn.Module, name: str) -> float | None:
    """Give the standard deviation a tensor starts with, or None to leave it."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        return 1 / math.sqrt(3 * module.weight[0].numel())
    if isinstance(module, nn.Embedding) or name == "positional_encoding_gaussian_matrix":
        return 1.0
    return 0.02 if name == "no_mem_embed" else None


def _draw(bits: np.random.PCG64, shape: torch.Size, spread: float) -> Tensor:
    """Draw numbers close to normal: sums of twelve 16-bit integers, exact on any processor."""
    raw = bits.random_raw(3 * shape.numel()).view(np.uint16)
    total = raw.reshape(-1, 12).sum(axis=1, dtype=np.int64) - 12 * 0x7FFF - 6
    return torch.from_numpy(total * (spread / 65536)).float().reshape(shape)

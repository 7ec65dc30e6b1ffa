"""Read the weights of a base model from a file, load them into a network, and hash them."""

import hashlib
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
from sam2lora.utils.json_files import parse_json_object

MASK_TOKEN = "mask_token"
"""Key in a file's metadata: "single" where only SAM 2's single mask was trained."""

LEARNED = "data"
"""Key in a file's metadata: the training data of the weights (`DataPlan.summary`), in JSON."""

WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
"""Extensions of files with the weights of a base model."""

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
"""Prefixes of the names of SAM 2's video memory, which images do not need."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint without executing anything in it.

    Parameters
    ----------
    path
        A `.safetensors` file, or a `.pt` file as SAM 2 publishes it (`{"model": tensors by name}`,
        or the tensors by name alone).

    Raises
    ------
    ModelError
        If the file is missing, truncated, corrupt, or holds anything but tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file.")
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
                f"{path}: {name!r} is not a tensor, so this is not a checkpoint of SAM 2."
            )
    return dict(content)


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a `.safetensors` file; other files have none.

    Raises
    ------
    ModelError
        If the file is truncated or corrupt.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safetensors.safe_open(path, framework="pt") as content:
            return dict(content.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: is truncated or not a safetensors file ({error}).") from error


def training_image_counts(metadata: Mapping[str, str], source: Path) -> dict[str, int]:
    """Return how many images weights were trained on: dataset and target to number of images.

    Parameters
    ----------
    metadata
        Metadata of the weights file, from `read_metadata`.
    source
        The file, for error messages.

    Raises
    ------
    ModelError
        If the metadata are not as this project writes them.
    """
    learned = parse_json_object(
        metadata.get(LEARNED, "{}"), f"{source}: the metadata {LEARNED!r}", error=ModelError
    )
    try:
        images = learned.get("images", {})
        return {str(name): int(count) for name, count in images.items()}
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{source}: the metadata {LEARNED!r} do not list training images ({error})."
        ) from error


def fit_weights(network: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load weights into a network: none may be missing, only `MEMORY_PARTS` may be unused.

    Raises
    ------
    ModelError
        If the names or shapes do not match (the message names the first ones of each kind), or a
        tensor does not hold finite floating-point numbers.
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
    for name, tensor in given.items():
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            raise ModelError(
                f"{source}: {name!r} holds {tensor.dtype}, not plain floating-point numbers, so "
                "this is not a checkpoint of SAM 2."
            )
    network.load_state_dict(given)
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise ModelError(
                f"{source}: {name!r} holds values that are not finite numbers, so its predictions "
                "would be meaningless. Copy or download the file again, or ask its author."
            )


@torch.no_grad()
def seed_weights(network: nn.Module, *, seed: int) -> None:
    """Initialize a network with random weights that are the same on every computer.

    The variances are those of torch's defaults: 1/(3 fan-in) for linear layers and convolutions,
    1 for embeddings and the frequencies of positions, 0.02² for `no_mem_embed`; norms and position
    maps start as in SAM 2. Torch's generators differ between versions and processors; NumPy's raw
    bits, whose stream is guaranteed, and sums of integers do not.
    """
    bits = np.random.PCG64(seed)
    for _, module in sorted(network.named_modules()):
        for name, tensor in [
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ]:
            std = _initial_std(module, name)
            if std is not None:
                tensor.copy_(_sample_normal(bits, tensor.shape, std))


def weights_digest(network: nn.Module) -> str:
    """Compute the SHA-256 over all weights of a base model's network for images.

    For each tensor, in the order of sorted names, these are hashed: the name, a zero byte, the
    shape as decimal numbers joined by commas, a zero byte, and the values as little-endian float32.

    Returns
    -------
    64 hexadecimal digits, independent of the file's format and its memory parts.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        shape = ",".join(str(length) for length in tensor.shape)
        digest.update(f"{name}\0{shape}\0".encode())
        values = tensor.detach().to(device="cpu", dtype=torch.float32).contiguous().numpy()
        digest.update(np.ascontiguousarray(values, dtype="<f4").data)
    return digest.hexdigest()


def file_digest(network: nn.Module, path: Path) -> str:
    """Return the digest of a network just loaded from `path`, computed once per file.

    It is stored in the cache folder, by the file's path, size and time of change.
    """
    digest = cached_hash(path, "identity")
    if digest is None:
        digest = weights_digest(network)
        cache_hash(path, "identity", digest)
    return digest


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: is truncated or not a safetensors file ({error}).") from error


def _read_pickle(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Reading a damaged file can fail in many ways: zip, tar and pickle raise their own errors.
        if type(error).__name__ == "UnpicklingError":
            raise ModelError(
                f"{path}: holds more than tensors, or is not a checkpoint at all. It was not "
                "loaded, because such a file can run code. Ask its author for a .safetensors file."
            ) from error
        # The messages of torch are not repeated: some advise to execute what is in the file.
        raise ModelError(
            f"{path}: is truncated, corrupt, or an old kind of .pt file, and was not loaded, "
            "because such a file can run code. Copy or download it again, or ask its author for a "
            ".safetensors file."
        ) from error


def _first(kind: str, names: Iterable[str], *, shown: int = 3) -> str:
    found = sorted(names)
    if not found:
        return ""
    more = f" and {len(found) - shown} more" if len(found) > shown else ""
    return f"{len(found)} {kind}: {', '.join(found[:shown])}{more}."


def _initial_std(module: nn.Module, name: str) -> float | None:
    """Return the initial standard deviation of a tensor, or None to leave the tensor as it is."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        return 1 / math.sqrt(3 * module.weight[0].numel())
    if isinstance(module, nn.Embedding) or name == "positional_encoding_gaussian_matrix":
        return 1.0
    return 0.02 if name == "no_mem_embed" else None


def _sample_normal(bits: np.random.PCG64, shape: torch.Size, std: float) -> Tensor:
    """Sample nearly normal values: sums of twelve 16-bit integers, exact on any processor."""
    raw = bits.random_raw(3 * shape.numel()).view(np.uint16)
    total = raw.reshape(-1, 12).sum(axis=1, dtype=np.int64) - 12 * 0x7FFF - 6
    return torch.from_numpy(total * (std / 65536)).float().reshape(shape)

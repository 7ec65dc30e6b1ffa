"""Helpers for tests of adapters."""

import hashlib

import numpy as np
import torch
from torch import nn

from sam2lora.models.normalization import normalize
from sam2lora.settings import LoraSettings

RANK_4 = LoraSettings(rank=4, alpha=8)


def noise(count: int = 1) -> torch.Tensor:
    """Return normalized images of noise, `(count, 3, 512, 512)`."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 512, 512, 3), dtype=np.uint8)
    return normalize(pixels)


def hash_weights(network: nn.Module) -> str:
    """Return a hash of all tensors of a network, bit by bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()

"""The detail head of an adapter as tensors: created, read, and loaded into a network's head."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.head_format import head_shapes
from sam2lora.adapters.serialization import copy_tensors, read_tensor_file
from sam2lora.models.detail_head import DetailHead
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.settings import DetailHeadSettings

_COUNTER = ".num_batches_tracked"  # counts for an average that is not used here


def new_detail_head(
    network: Sam2ImageModel, settings: DetailHeadSettings, *, seed: int = 0
) -> DetailHead:
    """Create a detail head for a network, without attaching it; its residual is zero.

    Parameters
    ----------
    network
        The network, for the channels of its decoder.
    settings
        Channels and inputs of the head.
    seed
        Seed of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DetailHead(settings, embedding_channels=network.decoder_channels)


def head_tensors(head: DetailHead) -> dict[str, Tensor]:
    """Return the tensors a detail head consists of: those of the head, not copies."""
    return {
        name: tensor for name, tensor in head.state_dict().items() if not name.endswith(_COUNTER)
    }


def load_head(head: DetailHead, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load tensors, as `head_tensors` returns them, into a detail head.

    Parameters
    ----------
    head
        The head.
    tensors
        Tensors with the names and shapes of the head's.
    source
        Where they come from, for error messages.

    Raises
    ------
    AdapterError
        If they do not fit.
    """
    copy_tensors(tensors, head_tensors(head), source)


def read_head(adapter: Adapter, network: Sam2ImageModel) -> dict[str, Tensor] | None:
    """Read the tensors of an adapter's detail head, on the CPU in float32; None if it has none.

    Raises
    ------
    AdapterError
        If the file is damaged, does not fit the network, or holds values that are not finite.
    """
    settings = adapter.card.detail_head
    if settings is None:
        return None
    expected = head_shapes(settings, embedding_channels=network.decoder_channels)
    return read_tensor_file(adapter.head_weights, expected)

"""Put LoRA into a network for training, by PEFT."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sam2lora.adapters.counting import (
    SHARE_LIMIT,
    describe_share,
    resolve_lora,
    trainable_share,
)
from sam2lora.adapters.naming import check_shapes, peft_config
from sam2lora.adapters.saving import shapes_of
from sam2lora.network import Network
from sam2lora.settings import LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel

logger = logging.getLogger(__name__)

_ID = "default"  # PEFT breaks on names with dots, so adapters have none of their own inside


def add_lora(network: Network, settings: LoraSettings, *, seed: int = 0) -> "PeftModel":
    """Put LoRA into a network, in place, and freeze everything else.

    Since B starts at 0, the network answers as before until it is trained. The trainable share is
    logged, as a warning above 5 %.

    Parameters
    ----------
    network
        The base, without LoRA.
    settings
        What to add; rank and alpha are settled first.
    seed
        What A is drawn from, the same on every device.

    Returns
    -------
    PEFT's wrapper, in evaluation mode; called like the network, which `get_base_model()` gives.
    """
    from peft import LoraConfig, PeftModel

    lora = resolve_lora(network, settings)
    # The configuration says how adapters are stored; here it is to be trained.
    config = LoraConfig(**(peft_config(lora) | {"inference_mode": False}))
    model = PeftModel(network, config, adapter_name=_ID).eval()
    _draw_starts(model, lora, seed)
    level = logging.INFO if trainable_share(model) <= SHARE_LIMIT else logging.WARNING
    logger.log(level, describe_share(model))
    return model


def lora_tensors(model: "PeftModel") -> dict[str, Tensor]:
    """Give the tensors of LoRA and of trained heads by PEFT's names: what an adapter consists of.

    They are the network's own, not copies.
    """
    from peft import get_peft_model_state_dict

    # Otherwise PEFT asks the network which model this is.
    found = get_peft_model_state_dict(model, adapter_name=_ID, save_embedding_layers=False)
    return dict(found)


def load_lora(model: "PeftModel", tensors: Mapping[str, Tensor], source: str) -> None:
    """Put tensors, as `lora_tensors` gives them, into a network with LoRA.

    Parameters
    ----------
    model
        From `add_lora`.
    tensors
        As many and as large as the network's own.
    source
        How the message calls where they are from.

    Raises
    ------
    AdapterError
        If they do not fit.
    """
    own = lora_tensors(model)
    check_shapes(shapes_of(tensors), shapes_of(own), source)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


@torch.no_grad()
def _draw_starts(model: "PeftModel", lora: LoraSettings, seed: int) -> None:
    """Draw A: PEFT's "gaussian" has a deviation of 1/rank, not the paper's, and no seed."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(lora_tensors(model).items()):
        if name.endswith(".lora_A.weight"):
            rank, inputs = tensor.shape
            start = torch.empty(rank, inputs)
            if lora.init == "kaiming":
                start.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
            else:
                start.normal_(0, rank**-0.5, generator=generator)
            tensor.copy_(start)

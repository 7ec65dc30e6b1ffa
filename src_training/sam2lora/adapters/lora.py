"""Put LoRA into a network for training, by PEFT."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sam2lora.adapters.peft_format import check_shapes, peft_config
from sam2lora.adapters.serialization import shapes_of
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.settings import LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel
import re

from torch import nn

from sam2lora.adapters.peft_format import HEADS, PREFIX, TARGET_MODULES

logger = logging.getLogger(__name__)

_ID = "default"  # PEFT breaks on names with dots, so adapters have none of their own inside


def add_lora(network: Sam2ImageModel, settings: LoraSettings, *, seed: int = 0) -> "PeftModel":
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


SHARE_LIMIT = 5.0
"""Percent of a network that LoRA may train before it says so; the paper stays below."""

_LARGEST_DEFAULT = 64


def resolve_lora(network: Sam2ImageModel, settings: LoraSettings) -> LoraSettings:
    """Settle rank and alpha where they are left open.

    Parameters
    ----------
    network
        The base, without LoRA.
    settings
        With rank and alpha given or not.
    """
    rank = settings.rank or default_rank(network, settings)
    return settings.model_copy(update={"rank": rank, "alpha": settings.alpha or 2.0 * rank})


def default_rank(network: Sam2ImageModel, settings: LoraSettings) -> int:
    """Give the largest power of two, at most 64, that trains no more than 5 % of a network.

    Parameters
    ----------
    network
        The base, without LoRA.
    settings
        Whose placement and heads are used.
    """
    budget = sum(weight.numel() for weight in network.parameters()) * SHARE_LIMIT / 100
    one, two = (_count(expected_shapes(network, settings, rank=rank)) for rank in (1, 2))
    per_rank, heads = two - one, 2 * one - two
    rank = 1
    while 2 * rank <= _LARGEST_DEFAULT and 2 * rank * per_rank + heads <= budget:
        rank *= 2
    return rank


def expected_shapes(
    network: Sam2ImageModel, settings: LoraSettings, *, rank: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Give the tensors LoRA has on a network without it: shapes by PEFT's names.

    Parameters
    ----------
    network
        The base, without LoRA.
    settings
        Placement, heads, and the rank unless it is given.
    rank
        Instead of that of the settings.
    """
    inner = rank or settings.rank or default_rank(network, settings)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_modules():
        if re.fullmatch(TARGET_MODULES[settings.placement], name):
            outputs, inputs = module.weight.shape
            shapes[f"{PREFIX}{name}.lora_A.weight"] = (inner, inputs)
            shapes[f"{PREFIX}{name}.lora_B.weight"] = (outputs, inner)
    for head in HEADS if settings.train_heads else ():
        for name, weight in network.get_submodule(head).named_parameters():
            shapes[f"{PREFIX}{head}.{name}"] = tuple(weight.shape)
    return shapes


def trainable_share(model: nn.Module) -> float:
    """Give how much is trained, in percent of the base's weights, counted on a network as built."""
    return 100 * trainable_count(model) / _base_count(model)


def trainable_count(model: nn.Module) -> int:
    """Count the weights that are trained."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def describe_share(model: nn.Module) -> str:
    """Say how much is trained, and what is unusual about LoRA above 5 %."""
    if all(weight.requires_grad for weight in model.parameters()):
        return f"all {trainable_count(model)} weights are trained."
    share = trainable_share(model)
    text = f"{trainable_count(model)} of {_base_count(model)} weights are trained: {share:.2f} %."
    if share <= SHARE_LIMIT:
        return text
    return (
        f"{text} That is more than the {SHARE_LIMIT:.0f} % this method is meant for: it needs more "
        "memory and more images, and the file is larger. A smaller rank trains less."
    )


def _base_count(model: nn.Module) -> int:
    return sum(
        weight.numel()
        for name, weight in model.named_parameters()
        if ".lora_" not in name and ".modules_to_save." not in name
    )


def _count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(torch.Size(shape).numel() for shape in shapes.values())

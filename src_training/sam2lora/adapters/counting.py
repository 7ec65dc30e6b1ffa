"""Count what LoRA trains on a network, and settle a rank that keeps it small."""

import re
from collections.abc import Mapping

import torch
from torch import nn

from sam2lora.adapters.naming import HEADS, PREFIX, TARGET_MODULES
from sam2lora.network import Network
from sam2lora.settings import LoraSettings

SHARE_LIMIT = 5.0
"""Percent of a network that LoRA may train before it says so; the paper stays below."""

_LARGEST_DEFAULT = 64


def resolve_lora(network: Network, settings: LoraSettings) -> LoraSettings:
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


def default_rank(network: Network, settings: LoraSettings) -> int:
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
    network: Network, settings: LoraSettings, *, rank: int | None = None
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

"""Add LoRA to a network for training, with PEFT; its rank, and the share of weights it trains."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sam2lora.adapters.head_format import head_weights
from sam2lora.adapters.peft_format import (
    HEADS,
    PREFIX,
    TARGET_MODULES,
    peft_config,
)
from sam2lora.adapters.serialization import copy_tensors
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.settings import DetailHeadSettings, LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel

logger = logging.getLogger(__name__)

SHARE_LIMIT = 5.0
"""Percent of a network that LoRA and a detail head together may train without a warning.

The paper stays below.
"""

_LARGEST_DEFAULT = 64
_ID = "default"  # inside PEFT, which fails on names with dots
_HEAD = "detail_head."


def add_lora(network: Sam2ImageModel, settings: LoraSettings, *, seed: int = 0) -> "PeftModel":
    """Add LoRA to a network, in place, and freeze everything else.

    Since B starts at 0, the predictions do not change until LoRA is trained. The trainable share
    is logged, as a warning above 5 %.

    Parameters
    ----------
    network
        A base model's network, without LoRA.
    settings
        Placement and size; a rank or alpha of None is resolved first (`resolve_lora`).
    seed
        Seed of A, which starts the same on every device.

    Returns
    -------
    PEFT's wrapper, in evaluation mode; it is called like the network, which `get_base_model()`
    returns.
    """
    from peft import LoraConfig, PeftModel

    lora = resolve_lora(network, settings)
    # The configuration is that of stored adapters; this one is to be trained.
    config = LoraConfig(**(peft_config(lora) | {"inference_mode": False}))
    model = PeftModel(network, config, adapter_name=_ID).eval()
    _initialize(model, lora, seed)
    level = logging.INFO if trainable_share(model) <= SHARE_LIMIT else logging.WARNING
    logger.log(level, describe_share(model))
    return model


def lora_tensors(model: "PeftModel") -> dict[str, Tensor]:
    """Return the tensors an adapter consists of, LoRA's and trained heads', by PEFT's names.

    They are those of the network, not copies.
    """
    from peft import get_peft_model_state_dict

    # Without this argument PEFT looks up the model on the Hub.
    found = get_peft_model_state_dict(model, adapter_name=_ID, save_embedding_layers=False)
    return dict(found)


def load_lora(model: "PeftModel", tensors: Mapping[str, Tensor], source: str) -> None:
    """Load tensors, as `lora_tensors` returns them, into a network with LoRA.

    Parameters
    ----------
    model
        A network from `add_lora`.
    tensors
        Tensors with the names and shapes of the network's LoRA.
    source
        Where they come from, for error messages.

    Raises
    ------
    AdapterError
        If they do not fit.
    """
    copy_tensors(tensors, lora_tensors(model), source)


@torch.no_grad()
def _initialize(model: "PeftModel", lora: LoraSettings, seed: int) -> None:
    """Initialize A: PEFT's "gaussian" has a deviation of 1/rank, not the paper's, and no seed."""
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


@torch.no_grad()
def cut_rank(tensors: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    """Return LoRA of a lower rank that changes a network as nearly alike as possible.

    The product B·A of each module keeps its largest singular values. The factor it is added with,
    alpha / rank, has to stay the same.

    Parameters
    ----------
    tensors
        LoRA's tensors by PEFT's names, and those of trained heads, which stay as they are.
    rank
        The new rank, not above the current one.
    """
    cut = dict(tensors)
    for name, first in tensors.items():
        module = name.removesuffix(".lora_A.weight")
        if module == name:
            continue
        other = f"{module}.lora_B.weight"
        # B·A = Q_b (R_b R_aᵀ) Q_aᵀ: the decomposition is of a matrix as small as the rank.
        (q_b, r_b), (q_a, r_a) = torch.linalg.qr(tensors[other]), torch.linalg.qr(first.T)
        u, values, v = torch.linalg.svd(r_b @ r_a.T)
        root = values[:rank].sqrt()
        cut[name] = (root[:, None] * v[:rank]) @ q_a.T
        cut[other] = q_b @ (u[:, :rank] * root)
    return cut


def resolve_lora(
    network: Sam2ImageModel,
    settings: LoraSettings,
    *,
    detail_head: DetailHeadSettings | None = None,
) -> LoraSettings:
    """Return the settings with rank and alpha filled in where they are None.

    Parameters
    ----------
    network
        A base model's network, without LoRA.
    settings
        Settings whose rank and alpha may be None.
    detail_head
        The detail head that is trained beside LoRA, if any.
    """
    rank = settings.rank or default_rank(network, settings, detail_head=detail_head)
    return settings.model_copy(update={"rank": rank, "alpha": settings.alpha or 2.0 * rank})


def default_rank(
    network: Sam2ImageModel,
    settings: LoraSettings,
    *,
    detail_head: DetailHeadSettings | None = None,
) -> int:
    """Return the largest power of two, at most 64, that trains no more than 5 % of a network.

    Parameters
    ----------
    network
        A base model's network, without LoRA.
    settings
        Placement, and whether the heads are trained too.
    detail_head
        The detail head that is trained beside LoRA, if any; it counts too.
    """
    fitting = min(largest_rank(network, settings, detail_head=detail_head), _LARGEST_DEFAULT)
    return 1 << (fitting.bit_length() - 1)


def largest_rank(
    network: Sam2ImageModel,
    settings: LoraSettings,
    *,
    detail_head: DetailHeadSettings | None = None,
) -> int:
    """Return the largest rank that trains no more than 5 % of a network; at least 1.

    Parameters
    ----------
    network, settings, detail_head
        As for `default_rank`.
    """
    budget = _base_count(network) * SHARE_LIMIT / 100
    one, two = (_count(expected_shapes(network, settings, rank=rank)) for rank in (1, 2))
    per_rank, heads = two - one, 2 * one - two
    others = heads + head_weights(detail_head, embedding_channels=network.decoder_channels)
    return max(1, int((budget - others) // per_rank))


def expected_shapes(
    network: Sam2ImageModel, settings: LoraSettings, *, rank: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors LoRA would add to a network, by PEFT's names.

    Parameters
    ----------
    network
        A base model's network, without LoRA.
    settings
        Placement, whether the heads are trained too, and the rank.
    rank
        Overrides the rank of the settings.
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
    """Return the trained weights in percent of the base model's, counted on the network itself."""
    return share_of(trainable_count(model), model)


def share_of(weights: int, model: nn.Module) -> float:
    """Return a number of weights in percent of the base model's, counted on the network itself."""
    return 100 * weights / _base_count(model)


def trainable_count(model: nn.Module) -> int:
    """Count the weights that are trained."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def describe_share(model: nn.Module) -> str:
    """Describe how much is trained, and what more than 5 % costs."""
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
        if ".lora_" not in name and ".modules_to_save." not in name and _HEAD not in name
    )


def _count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(torch.Size(shape).numel() for shape in shapes.values())

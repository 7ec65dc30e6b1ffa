"""Which modules LoRA goes to, what its tensors are called, and PEFT's description of it.

The names are those of SAM 2, so adapters fit a stock SAM2Base too. Nothing here imports torch.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from sam2lora.errors import AdapterError
from sam2lora.settings import LoraPlacement, LoraSettings

NetworkPart = Literal["encoder", "decoder"]
Shapes = Mapping[str, tuple[int, ...]]

PREFIX = "base_model.model."
"""Prefix that PEFT adds to the name of a module."""

_BLOCK = r"image_encoder\.trunk\.blocks\.\d+"
_ATTENTION = r"sam_mask_decoder\.transformer\.(?:layers\.\d+\.)?\w+\.(?:q|k|v|out)_proj"
_DECODER_MLP = r"sam_mask_decoder\.transformer\.layers\.\d+\.mlp\.layers\.\d+"

TARGET_MODULES: Mapping[LoraPlacement, str] = MappingProxyType(
    {
        "attention": rf"{_BLOCK}\.attn\.qkv|{_ATTENTION}",
        "wide": rf"{_BLOCK}\.(?:attn\.(?:qkv|proj)|mlp\.layers\.\d+)|{_ATTENTION}|{_DECODER_MLP}",
        "decoder": _ATTENTION,
    }
)
"""The modules of each placement, as a regular expression that matches their whole names.

A list of names would not do: PEFT matches them as suffixes, and the memory modules of a stock
SAM2Base have the same ones.
"""

HEADS = (
    "sam_mask_decoder.output_upscaling.0",
    "sam_mask_decoder.output_upscaling.1",
    "sam_mask_decoder.output_upscaling.3",
    "sam_mask_decoder.conv_s0",
    "sam_mask_decoder.conv_s1",
)
"""The mask heads; listed one by one, because the decoder unpacks `output_upscaling`."""

_ENCODER_PREFIXES = ("image_encoder.", "sam_mask_decoder.conv_s")
_LORA = re.compile(r"(?P<module>.+)\.lora_(?P<matrix>[AB])\.weight")


def network_part(name: str) -> NetworkPart:
    """Return whether a module affects the embedding (`conv_s0` and `conv_s1` do) or decoding."""
    module = name.removeprefix(PREFIX)
    return "encoder" if module.startswith(_ENCODER_PREFIXES) else "decoder"


def peft_config(lora: LoraSettings) -> dict[str, Any]:
    """Return the content of `adapter_config.json`, all of which follows from the settings."""
    return {
        "peft_type": "LORA",
        "task_type": None,
        "auto_mapping": None,
        "base_model_name_or_path": None,
        "revision": None,
        "inference_mode": True,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": TARGET_MODULES[lora.placement],
        "modules_to_save": list(HEADS) if lora.train_heads else None,
        "init_lora_weights": True,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_dora": False,
        "use_rslora": False,
    }


def check_names(shapes: Shapes, lora: LoraSettings, source: str) -> None:
    """Refuse tensors that are not LoRA of these settings, without a base model to compare with.

    Parameters
    ----------
    shapes
        Shape of each tensor by name.
    lora
        Settings whose rank and alpha are set.
    source
        Where the tensors come from, for error messages.

    Raises
    ------
    AdapterError
        If a name or a rank does not fit, or one matrix of a pair is missing.
    """
    target = re.compile(TARGET_MODULES[lora.placement])
    pairs: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        short = name.removeprefix(PREFIX)
        if lora.train_heads and short.startswith(tuple(f"{head}." for head in HEADS)):
            continue
        found = _LORA.fullmatch(short)
        if not (name.startswith(PREFIX) and found and target.fullmatch(found["module"])):
            raise AdapterError(
                f"{source}: holds {name!r}, which LoRA of placement {lora.placement!r} does not "
                "have. It was written by another program or has been changed."
            )
        rank = shape[0 if found["matrix"] == "A" else -1] if len(shape) == 2 else None
        if rank != lora.rank:
            raise AdapterError(
                f"{source}: {name!r} has shape {shape}, which is not LoRA of rank {lora.rank}."
            )
        pairs.setdefault(found["module"], set()).add(found["matrix"])
    unpaired = sorted(module for module, matrices in pairs.items() if len(matrices) != 2)
    if unpaired or not pairs:
        missing = f"half of {unpaired[0]!r} is" if unpaired else "all LoRA tensors are"
        raise AdapterError(f"{source}: is incomplete, {missing} missing.")


def check_shapes(shapes: Shapes, expected: Shapes, source: str) -> None:
    """Refuse tensors whose names or shapes are not the `expected` ones of a network.

    Raises
    ------
    AdapterError
        If a tensor is missing, unexpected or of another shape; the message names the first.
    """
    for name in sorted(shapes.keys() | expected.keys()):
        if shapes.get(name) != expected.get(name):
            has, wants = (
                "no such tensor" if shape is None else f"shape {shape}"
                for shape in (shapes.get(name), expected.get(name))
            )
            raise AdapterError(
                f"{source}: does not fit this network. For {name!r} the adapter has {has}, the "
                f"network {wants}."
            )

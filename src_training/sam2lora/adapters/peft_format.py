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
"""What PEFT puts before the name of a module."""

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
"""The modules of each placement, as one expression that matches their whole names.

An expression, because PEFT shortens lists of names to endings, which the memory parts of a stock
SAM2Base have too.
"""

HEADS = (
    "sam_mask_decoder.output_upscaling.0",
    "sam_mask_decoder.output_upscaling.1",
    "sam_mask_decoder.output_upscaling.3",
    "sam_mask_decoder.conv_s0",
    "sam_mask_decoder.conv_s1",
)
"""The mask heads. One by one, because the decoder unpacks `output_upscaling`."""

_APPLIED_WHILE_ENCODING = ("image_encoder.", "sam_mask_decoder.conv_s")
_LORA = re.compile(r"(?P<module>.+)\.lora_(?P<matrix>[AB])\.weight")


def part_of(name: str) -> NetworkPart:
    """Tell whether a module changes the features (`conv_s0` and `conv_s1` do) or the answers."""
    bare = name.removeprefix(PREFIX)
    return "encoder" if bare.startswith(_APPLIED_WHILE_ENCODING) else "decoder"


def peft_config(lora: LoraSettings) -> dict[str, Any]:
    """Give the content of `adapter_config.json`, all of which follows from our settings."""
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
    """Refuse tensors that are not LoRA of these settings, before a base is at hand.

    Parameters
    ----------
    shapes
        Shape of each tensor by name.
    lora
        Settled settings: rank and alpha are numbers.
    source
        How the message calls where they are from.

    Raises
    ------
    AdapterError
        If a name, a pair or the rank is another one.
    """
    target = re.compile(TARGET_MODULES[lora.placement])
    pairs: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        bare = name.removeprefix(PREFIX)
        if lora.train_heads and bare.startswith(tuple(f"{head}." for head in HEADS)):
            continue
        found = _LORA.fullmatch(bare)
        if not (name.startswith(PREFIX) and found and target.fullmatch(found["module"])):
            raise AdapterError(
                f"{source}: holds {name!r}, which LoRA of placement {lora.placement!r} does not "
                "have. It was made by something else or has been changed."
            )
        rank = shape[0 if found["matrix"] == "A" else -1] if len(shape) == 2 else None
        if rank != lora.rank:
            raise AdapterError(
                f"{source}: {name!r} has shape {shape}, which is not LoRA of rank {lora.rank}."
            )
        pairs.setdefault(found["module"], set()).add(found["matrix"])
    alone = sorted(module for module, matrices in pairs.items() if len(matrices) != 2)
    if alone or not pairs:
        missing = f"half of {alone[0]!r} is" if alone else "all LoRA tensors are"
        raise AdapterError(f"{source}: is incomplete, {missing} missing.")


def check_shapes(shapes: Shapes, expected: Shapes, source: str) -> None:
    """Refuse tensors that do not fit a network, whose tensors are `expected`.

    Raises
    ------
    AdapterError
        The message names the first tensor that is missing, left over or of another shape.
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

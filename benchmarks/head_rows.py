"""Shared by `head_ablation`: its rows, and what each of them changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from head_variants import HeadKind


@dataclass(frozen=True)
class Row:
    """What a row changes.

    Attributes
    ----------
    settings
        Changed training settings.
    kind
        Kind of the head; "lora" trains LoRA, and the head with it if the settings have one.
    separable, sharpness_aware, averaged
        Separable convolutions; sharpness-aware steps; validate the average of the weights.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    kind: HeadKind | Literal["lora"] = "u"
    separable: bool = False
    sharpness_aware: bool = False
    averaged: bool = False


def _inputs(*names: str) -> Mapping[str, Any]:
    return {"detail_head": {"inputs": names}}


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "default": Row(),
        "no head, LoRA alone at 1600": Row(
            {
                "freeze_network": False,
                "detail_head": None,
                "geometry": {"field_size": 1600},
                "augment": {"scale": (0.8, 1.2)},
                "optimizer": {"learning_rate": 3e-4},
                "batch": 2,
            },
            kind="lora",
        ),
        "LoRA and the head together": Row(
            {"freeze_network": False, "optimizer": {"learning_rate": 1e-3}, "batch": 2},
            kind="lora",
        ),
        "without contrast": Row(_inputs("embedding", "logits")),
        "without the embedding": Row(_inputs("contrast", "logits")),
        "without the logits as input": Row(_inputs("contrast", "embedding")),
        "without embedding and logits as inputs": Row(_inputs("contrast")),
        "the head alone, without SAM 2": Row(_inputs("contrast"), kind="alone"),
        "flat": Row(kind="flat"),
        "depthwise separable": Row(separable=True),
        "wider, 32-48-64": Row({"detail_head": {"channels": (32, 48, 64)}}),
        "averaged weights": Row(averaged=True),
        "sharpness-aware steps": Row(sharpness_aware=True),
        "with soft-clDice": Row({"loss": {"weights": {"cldice": 1}}}),
        "cross-entropy not weighed more": Row({"loss": {"weights": {"bce": 1}}}),
        "cross-entropy alone": Row(
            {"loss": {"weights": {"bce": 4, "soft_dice": 0, "focal_tversky": 0}}}
        ),
        "LoRA cut to rank 4": Row({"lora": {"rank": 4}}),
        "LoRA of rank 14, 7.3 % in all": Row({"lora": {"rank": 14}}),
    }
)

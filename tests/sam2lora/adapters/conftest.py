"""Fixtures for tests of adapters: the real nano network, and adapters made for it in no time."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sam2lora.adapters.card import AdapterCard, library_versions, now
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.lora import add_lora, lora_tensors, trainable_count, trainable_share
from sam2lora.adapters.serialization import save_adapter
from sam2lora.models.loading import LoadedModel, random_base
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.targets import TARGETS

RANK_4 = LoraSettings(rank=4, alpha=8)


@pytest.fixture(scope="session")
def untouched() -> LoadedModel:
    """Give nano, which no test may change."""
    return random_base("nano")


@pytest.fixture
def base(untouched: LoadedModel) -> LoadedModel:
    """Give nano with a network of the test's own."""
    return replace(untouched, network=copy.deepcopy(untouched.network))


@pytest.fixture
def make_card(untouched: LoadedModel) -> Callable[..., AdapterCard]:
    """Give a function that makes cards; its arguments are the fields that differ."""

    def make(**fields: Any) -> AdapterCard:
        usual = {
            "name": "vessel-test",
            "target": TARGETS["vessel"],
            "base": {"name": "nano", "identity": untouched.weights_sha256},
            "geometry": GeometrySettings(detail="tiles", field_size=900),
            "lora": RANK_4,
            "threshold": 0.4,
            "trainable": 35456,
            "share": 1.13,
            "versions": library_versions(),
            "created": now(),
        }
        return AdapterCard.model_validate(usual | fields)

    return make


@pytest.fixture
def make_adapter(
    untouched: LoadedModel, make_card: Callable[..., AdapterCard], tmp_path: Path
) -> Callable[..., Adapter]:
    """Give a function that trains nothing but writes an adapter whose B and heads are random."""

    def make(
        name: str = "vessel-test",
        *,
        folder: Path | None = None,
        lora: LoraSettings = RANK_4,
        seed: int = 1,
        source: LoadedModel = untouched,
        **fields: Any,
    ) -> Adapter:
        model = add_lora(copy.deepcopy(source.network), lora, seed=seed)
        tensors = lora_tensors(model)
        generator = torch.Generator().manual_seed(seed)
        for tensor_name, tensor in sorted(tensors.items()):
            if not tensor_name.endswith("lora_A.weight"):
                tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.02)
        card = make_card(
            name=name,
            lora=lora,
            base={"name": "nano", "identity": source.weights_sha256},
            trainable=trainable_count(model),
            share=trainable_share(model),
            **fields,
        )
        return save_adapter(tensors, card, folder or tmp_path / "made" / name)

    return make


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Forbid the network; what was tried nevertheless is in the list."""
    tried: list[str] = []

    def refuse(*arguments: object, **_: object) -> None:
        tried.append(repr(arguments))
        raise OSError("a test forbids the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(f"socket.socket.{name}", refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(f"socket.{name}", refuse)
    return tried

"""What frozen parts of a network compute is computed once, and is the same each time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sam2lora.adapters import open_adapter
from sam2lora.adapters.detail_head import read_head
from sam2lora.adapters.folder import read_shapes
from sam2lora.adapters.serialization import read_tensors
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.models.loading import LoadedModel
from sam2lora.models.normalization import normalize
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.runs import StepEvent
from sam2lora.training.data_loader import turned
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.frozen_network import FrozenNetwork
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import make_trainable

from .helpers import Make, RunThrough, dataset_of

pytestmark = pytest.mark.usefixtures("pocket")

CPU = torch.device("cpu")
PROMPTED = {"none": 1, "points": 1}


@pytest.fixture
def network(pocket: Callable[[], LoadedModel], make: Make) -> Sam2ImageModel:
    """Return a network with an untrained detail head."""
    return make_trainable(make("detail")).base.network


def frozen_of(network: Sam2ImageModel, settings: TrainSettings) -> FrozenNetwork:
    return FrozenNetwork(
        network, settings, device=CPU, precision="float32", embeddings=EmbeddingCache(1 << 30)
    )


def samples(settings: TrainSettings, network: Sam2ImageModel, count: int) -> list[TrainingSample]:
    dataset = dataset_of(settings, size=network.input_size)
    return [dataset.sample(number) for number in range(count)]


@pytest.fixture
def calls(network: Sam2ImageModel, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the calls of encoder and decoder."""
    counts = {"encode": 0, "decode_coarse": 0}

    def counted(name: str) -> None:
        original = getattr(network, name)

        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(network, name, call)

    for name in counts:
        counted(name)
    return counts


def test_each_window_is_encoded_and_decoded_once(
    make: Make, network: Sam2ImageModel, calls: dict[str, int]
) -> None:
    settings = make("detail", variants=2)
    frozen = frozen_of(network, settings)
    drawn = samples(settings, network, 24)  # 6 images in 2 variants, each twice
    for sample in drawn:
        frozen.detail_inputs([sample])
    assert calls == {"encode": 12, "decode_coarse": 12}


def test_with_a_prompt_only_the_encoder_is_spared(
    make: Make, network: Sam2ImageModel, calls: dict[str, int]
) -> None:
    settings = make("detail", variants=1, prompts=PROMPTED)
    frozen = frozen_of(network, settings)
    drawn = samples(settings, network, 24)
    for sample in drawn:
        frozen.detail_inputs([sample])
    unprompted = {sample.key for sample in drawn if sample.prompts.is_empty}
    prompted = sum(not sample.prompts.is_empty for sample in drawn)
    assert 0 < prompted < 24
    assert calls == {"encode": 6, "decode_coarse": len(unprompted) + prompted}


def test_what_is_found_is_what_was_computed(make: Make, network: Sam2ImageModel) -> None:
    settings = make("detail", prompts=PROMPTED)
    frozen, drawn = frozen_of(network, settings), samples(settings, network, 6)
    first, again = (vars(frozen.detail_inputs(drawn)) for _ in range(2))
    alone = [vars(frozen_of(network, settings).detail_inputs([sample])) for sample in drawn]
    for name, tensor in first.items():
        assert torch.equal(again[name], tensor), name
        assert torch.equal(torch.cat([inputs[name] for inputs in alone]), tensor), name
    images = normalize(np.stack([sample.pixels for sample in drawn]))
    with torch.no_grad():
        direct = network.decode_coarse(network.encode(images[:1]), drawn[0].prompts)
    torch.testing.assert_close(
        first["embedding"][:1], turned(direct.embedding, drawn[0].turn), atol=1e-2, rtol=1e-2
    )
    torch.testing.assert_close(first["iou"][:1], direct.iou, atol=1e-2, rtol=0)


def test_all_maps_are_turned_together(make: Make, network: Sam2ImageModel) -> None:
    settings = make("detail")
    frozen, (sample,) = frozen_of(network, settings), samples(settings, network, 1)
    plain = frozen.detail_inputs([replace(sample, turn=0)])
    assert torch.equal(plain.pixels[0].permute(1, 2, 0), torch.from_numpy(sample.pixels))
    for turn in range(8):
        found = vars(frozen.detail_inputs([replace(sample, turn=turn)]))
        for name, tensor in vars(plain).items():
            expected: Tensor = turned(tensor, turn) if tensor.ndim == 4 else tensor
            assert torch.equal(found[name], expected), name


def test_only_the_detail_head_changes(
    make: Make, run_through: RunThrough, pocket: Callable[[], LoadedModel], tmp_path: Path
) -> None:
    first, _ = run_through(make(steps=1), "first")
    start = open_adapter(first.adapter(1))
    settings = make("detail", start_from=str(start.folder), lora={}, steps=30, batch=2)
    run, events = run_through(settings, "second")
    result = open_adapter(run.adapter(30))
    assert result.weights.read_bytes() == start.weights.read_bytes()
    head = read_head(result, pocket().network)
    assert head is not None
    assert head["last.weight"].abs().sum() > 0
    assert head["fine_in.0.1.running_mean"].abs().sum() > 0, "statistics are learned, too"
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert sum(losses[-8:]) < sum(losses[:8])
    lora = read_tensors(result, read_shapes(result.weights))
    counted = sum(tensor.numel() for tensor in lora.values())
    counted += sum(tensor.numel() for name, tensor in head.items() if "running" not in name)
    assert result.card.trainable == counted, "LoRA and head together"


def test_the_frozen_network_stays_in_evaluation_mode(make: Make) -> None:
    model = make_trainable(make("detail")).model
    model.train()
    network = model.network
    assert network.detail_head is not None
    assert network.detail_head.training
    assert not any(part.training for part in (network.image_encoder, network.sam_mask_decoder))
    model.eval()
    assert not network.detail_head.training
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained
    assert all(name.startswith("network.detail_head.") for name in trained)

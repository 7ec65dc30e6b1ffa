"""The network in training: mixed prompts in a batch, and activation checkpointing."""

import copy
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.draw import disk
from torch import Tensor

from sam2lora.adapters.lora import add_lora, lora_tensors
from sam2lora.compute.device import autocast
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings, Precision
from sam2lora.training.correction_rounds import Correction
from sam2lora.training.prompted_model import PromptedNetwork, checkpoint_blocks

Load = Callable[..., LoadedModel]

KINDS = [
    PromptBatch.single(points=[[20, 30], [90, 60]], labels=[1, 0]),
    PromptBatch.single(),
    PromptBatch.single(box=[10, 10, 90, 80]),
    PromptBatch.single(points=[[64, 64], [5, 100]], labels=[1, 1]),
    PromptBatch.single(points=[[40, 40]], labels=[1], box=[10, 10, 90, 80]),
    PromptBatch.single(mask_logits=10 * np.sign(np.arange(-512, 512).reshape(32, 32) + 0.5)),
]


@pytest.fixture
def network(pocket: Load) -> Sam2ImageModel:
    return pocket().network


def images(count: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 128, 128, generator=generator)


@torch.no_grad()
def test_mixed_prompts_stay_with_their_images(network: Sam2ImageModel) -> None:
    model, batch = PromptedNetwork(network), images(6)
    (first,) = model(batch, KINDS)
    logits, iou = first.logits, first.iou
    assert (logits.shape, iou.shape) == ((6, 1, 128, 128), (6, 1))
    for number, prompt in enumerate(KINDS):
        (alone,) = model(batch[number : number + 1], [prompt])
        torch.testing.assert_close(logits[number : number + 1], alone.logits, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(iou[number : number + 1], alone.iou, rtol=1e-3, atol=1e-4)
    assert (logits[1:] - logits[:1]).abs().amax(dim=(1, 2, 3)).min() > 1e-2


@torch.no_grad()
def test_features_give_the_same_output_as_images(network: Sam2ImageModel) -> None:
    model, batch = PromptedNetwork(network), images(2)
    (from_images,) = model(batch, KINDS[:2])
    (from_features,) = model(network.encode(batch), KINDS[:2])
    for expected, found in zip(from_images, from_features, strict=True):
        assert torch.equal(expected, found)


@torch.no_grad()
@pytest.mark.parametrize("multimask", [False, True])
def test_output_is_that_of_the_trained_token(network: Sam2ImageModel, multimask: bool) -> None:
    batch = images(1)
    (first,) = PromptedNetwork(network, multimask_token=multimask)(batch, KINDS[:1])
    logits, iou = first.logits, first.iou
    features = network.encode(batch)
    single, three = (network.decode(features, KINDS[0], multimask=many) for many in (False, True))
    expected, other = (three, single) if multimask else (single, three)
    assert torch.equal(iou, expected.iou[:, :1])
    assert not torch.equal(iou, other.iou[:, :1])
    enlarged = F.interpolate(expected.logits[:, :1], size=(128, 128), mode="bilinear")
    assert torch.equal(logits, enlarged)


@torch.no_grad()
def test_outputs_are_float32_in_half_precision(network: Sam2ImageModel) -> None:
    with autocast(torch.device("cpu"), "bfloat16"):
        (first,) = PromptedNetwork(network)(images(2), KINDS[:2])
    assert first.logits.dtype == first.iou.dtype == torch.float32


def corrections(*rounds: int) -> list[Correction]:
    """Return corrections towards a disk, with these numbers of rounds."""
    mask = np.zeros((128, 128), dtype=np.bool_)
    mask[disk((60, 50), 25)] = True
    return [Correction(mask, np.ones_like(mask), number, (7, n)) for n, number in enumerate(rounds)]


@torch.no_grad()
def test_rounds_correct_only_the_samples_that_ask_for_them(network: Sam2ImageModel) -> None:
    rounds = PromptedNetwork(network)(images(3), KINDS[:3], corrections(2, 0, 1))
    assert [found.samples.tolist() for found in rounds] == [[0, 1, 2], [0, 2], [0]]
    (uncorrected,) = PromptedNetwork(network)(images(3), KINDS[:3])
    assert torch.equal(rounds[0].logits, uncorrected.logits)


@torch.no_grad()
def test_a_round_gets_all_clicks_and_the_logits_before(
    network: Sam2ImageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, seen = network.decode, []

    def watched(embedding: Any, prompts: PromptBatch, **options: Any) -> Any:
        output = decode(embedding, prompts, **options)
        seen.append((prompts, output.low_res_logits))
        return output

    monkeypatch.setattr(network, "decode", watched)
    box = KINDS[2]
    asked = corrections(2)
    rounds = PromptedNetwork(network)(images(1), [box], asked)
    (_, logits), (first, before), (second, _) = seen
    for prompts, previous in ((first, logits), (second, before)):
        assert prompts.mask_logits is not None
        torch.testing.assert_close(prompts.mask_logits, previous.clamp(-32, 32))
        assert prompts.boxes is not None
        assert torch.equal(prompts.boxes, box.boxes)
    assert second.points.shape[1] == 2
    assert torch.equal(second.points[:, :1], first.points)
    for found, prompts in zip(rounds, (first, second), strict=False):
        x, y = prompts.points[0, -1].int().tolist()
        missed = asked[0].mask[y, x]
        assert prompts.labels[0, -1] == int(missed)
        assert (found.logits[0, 0, y, x] >= 0) != missed
    assert not rounds[0].clicked.any()
    assert rounds[2].clicked[0, 0, y, x]


@torch.no_grad()
def test_a_perfect_prediction_needs_no_round(network: Sam2ImageModel) -> None:
    model = PromptedNetwork(network)
    (first,) = model(images(1), KINDS[:1])
    perfect = (first.logits[0, 0] >= 0).numpy()
    asked = [Correction(perfect, np.ones_like(perfect), 3, (0,))]
    assert len(model(images(1), KINDS[:1], asked)) == 1


def test_every_round_trains_the_network(network: Sam2ImageModel) -> None:
    trained = copy.deepcopy(network).requires_grad_(True)
    model = PromptedNetwork(trained)
    rounds = model(images(1), KINDS[:1], corrections(1))
    weight = trained.sam_prompt_encoder.point_embeddings[1].weight
    other = trained.sam_prompt_encoder.point_embeddings[0].weight
    rounds[1].logits.mean().backward()
    assert any(each.grad is not None and each.grad.abs().max() > 0 for each in (weight, other))


def gradients(
    network: Sam2ImageModel, *, checkpointing: bool, precision: Precision
) -> dict[str, Tensor]:
    """Return the gradients of LoRA with dropout, with or without activation checkpointing."""
    trained = copy.deepcopy(network)
    model = add_lora(trained, LoraSettings(rank=2, alpha=4, dropout=0.3))
    for name, tensor in lora_tensors(model).items():
        if name.endswith("lora_B.weight"):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    if checkpointing:
        checkpoint_blocks(trained)
    prompted = PromptedNetwork(trained).train()
    torch.manual_seed(7)
    with autocast(torch.device("cpu"), precision):
        (first,) = prompted(images(2), KINDS[:2])
    (first.logits.square().mean() + first.iou.sum()).backward()
    return {
        name: cast(Tensor, weight.grad)
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_checkpointing_changes_no_gradient(network: Sam2ImageModel, precision: Precision) -> None:
    plain, recomputed = (
        gradients(network, checkpointing=checkpointing, precision=precision)
        for checkpointing in (False, True)
    )
    assert plain.keys() == recomputed.keys()
    # The weights of this network are large, so attention saturates in places.
    moved = [name for name, gradient in plain.items() if gradient.abs().max() > 0]
    assert len(moved) > 0.9 * len(plain)
    for name, gradient in plain.items():
        torch.testing.assert_close(recomputed[name], gradient)


def test_checkpointing_saves_memory(network: Sam2ImageModel) -> None:
    stored = {}
    for checkpointing in (False, True):
        trained = copy.deepcopy(network)
        add_lora(trained, LoraSettings(rank=2, alpha=4))
        if checkpointing:
            checkpoint_blocks(trained)
        sizes: list[int] = []

        def count(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            PromptedNetwork(trained).train()(images(1), KINDS[:1])
        stored[checkpointing] = sum(sizes)
    assert stored[True] < stored[False] / 2

"""The network in training: mixed prompts in a batch, and activation checkpointing."""

import copy
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2lora.adapters.lora import add_lora, lora_tensors
from sam2lora.compute.device import autocast
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings, Precision
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
    logits, iou = model(batch, KINDS)
    assert (logits.shape, iou.shape) == ((6, 1, 128, 128), (6, 1))
    for number, prompt in enumerate(KINDS):
        alone, iou_alone = model(batch[number : number + 1], [prompt])
        torch.testing.assert_close(logits[number : number + 1], alone, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(iou[number : number + 1], iou_alone, rtol=1e-3, atol=1e-4)
    assert (logits[1:] - logits[:1]).abs().amax(dim=(1, 2, 3)).min() > 1e-2


@torch.no_grad()
def test_features_give_the_same_output_as_images(network: Sam2ImageModel) -> None:
    model, batch = PromptedNetwork(network), images(2)
    from_images = model(batch, KINDS[:2])
    from_features = model(network.encode(batch), KINDS[:2])
    for expected, found in zip(from_images, from_features, strict=True):
        assert torch.equal(expected, found)


@torch.no_grad()
@pytest.mark.parametrize("multimask", [False, True])
def test_output_is_that_of_the_trained_token(network: Sam2ImageModel, multimask: bool) -> None:
    batch = images(1)
    logits, iou = PromptedNetwork(network, multimask_token=multimask)(batch, KINDS[:1])
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
        logits, iou = PromptedNetwork(network)(images(2), KINDS[:2])
    assert logits.dtype == iou.dtype == torch.float32


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
        logits, iou = prompted(images(2), KINDS[:2])
    (logits.square().mean() + iou.sum()).backward()
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

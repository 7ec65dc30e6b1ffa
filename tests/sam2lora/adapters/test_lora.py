import copy
import functools
import math

import pytest
import torch
from pydantic import ValidationError

from sam2lora.adapters.lora import (
    add_lora,
    default_rank,
    describe_share,
    expected_shapes,
    load_lora,
    lora_tensors,
    resolve_lora,
    trainable_count,
    trainable_share,
)
from sam2lora.adapters.peft_format import PREFIX, network_part
from sam2lora.adapters.serialization import shapes_of
from sam2lora.errors import AdapterError
from sam2lora.models.loading import LoadedModel, build_network
from sam2lora.models.registry import BASE_MODELS
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings
from tests.sam2lora.adapters.helpers import RANK_4, hash_weights, noise

PROMPT = PromptBatch.single(points=[(200.0, 300.0)], labels=[1])
HEADS = ("output_upscaling.0", "output_upscaling.1", "output_upscaling.3", "conv_s0", "conv_s1")


def trainable(model: torch.nn.Module) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("placement", ["attention", "wide", "decoder"])
def test_untrained_lora_predicts_exactly_as_the_base(base: LoadedModel, placement: str):
    with torch.inference_mode():
        expected = base.network(noise(), PROMPT)
    model = add_lora(base.network, LoraSettings(placement=placement, rank=2, train_heads=True))
    with torch.inference_mode():
        found = model(noise(), PROMPT)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.iou, expected.iou)


@pytest.mark.parametrize("heads", [False, True])
def test_moving_the_device_keeps_the_trainable_parameters(base: LoadedModel, heads: bool):
    model = add_lora(base.network, RANK_4.model_copy(update={"train_heads": heads}))
    before = trainable(model)
    assert len(before) == 2 * (9 + 28) + (10 if heads else 0)
    for name in before:
        assert ".lora_A." in name or ".lora_B." in name or any(head in name for head in HEADS)
    for device in ("meta", "cuda") if torch.cuda.is_available() else ("meta",):
        moved = copy.deepcopy(model).to(device)
        assert trainable(moved) == before
        kinds = {type(weight) for weight in moved.parameters() if weight.requires_grad}
        assert kinds == {torch.nn.Parameter}
        assert {weight.device.type for weight in moved.parameters()} == {device}


def test_training_changes_lora_and_no_base_weight(base: LoadedModel):
    original = hash_weights(base.network)
    model = add_lora(base.network, RANK_4)
    start = {name: tensor.clone() for name, tensor in lora_tensors(model).items()}
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    model.train()
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.softplus(model(noise(), PROMPT).logits).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    still = [n for n, tensor in lora_tensors(model).items() if torch.equal(tensor, start[n])]
    assert still == [], "A and B are trained in encoder and decoder"
    assert hash_weights(model.unload()) == original


def test_lora_layer_computes_the_papers_formula(base: LoadedModel):
    model = add_lora(base.network, LoraSettings(rank=4, alpha=6, dropout=0.5))
    network = model.get_base_model()
    layer = network.sam_mask_decoder.transformer.layers[0].self_attn.q_proj
    name = "base_model.model.sam_mask_decoder.transformer.layers.0.self_attn.q_proj"
    tensors = lora_tensors(model)
    a, b = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
    b.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 128, generator=torch.Generator().manual_seed(1))
    plain = torch.nn.functional.linear(x, layer.base_layer.weight, layer.base_layer.bias)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain + 6 / 4 * x @ a.T @ b.T, atol=1e-5, rtol=1e-6)
        model.train()
        assert not torch.allclose(layer(x), layer(x)), "dropout in training"
        model.eval()
        assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("rank", [4, 64])
def test_initial_a_and_b_have_the_documented_distribution(base: LoadedModel, rank: int):
    paper = lora_tensors(add_lora(copy.deepcopy(base.network), LoraSettings(rank=rank)))
    kaiming = LoraSettings(rank=rank, init="kaiming")
    peft = lora_tensors(add_lora(copy.deepcopy(base.network), kaiming))
    values = torch.cat([t.flatten() for n, t in paper.items() if "lora_A" in n])
    assert values.std().item() == pytest.approx(rank**-0.5, rel=0.03)
    assert abs(values.mean().item()) < 0.05 * rank**-0.5
    for name, tensor in peft.items():
        if "lora_A" in name:
            bound = 1 / math.sqrt(tensor.shape[1])
            assert tensor.abs().max() <= bound
            assert tensor.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
    for tensors in (paper, peft):
        assert all((tensor == 0).all() for name, tensor in tensors.items() if "lora_B" in name)


def test_initialization_depends_on_the_seed_alone(base: LoadedModel):
    first = lora_tensors(add_lora(copy.deepcopy(base.network), RANK_4, seed=3))
    torch.rand(5)
    again = lora_tensors(add_lora(copy.deepcopy(base.network), RANK_4, seed=3))
    other = lora_tensors(add_lora(copy.deepcopy(base.network), RANK_4, seed=4))
    name = next(iter(first))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize("heads", [False, True])
def test_lora_tensors_load_into_another_network(base: LoadedModel, heads: bool):
    lora = RANK_4.model_copy(update={"train_heads": heads})
    source = add_lora(copy.deepcopy(base.network), lora, seed=1)
    other = add_lora(copy.deepcopy(base.network), lora, seed=2)
    for tensor in lora_tensors(source).values():
        tensor.add_(0.01)
    load_lora(other, lora_tensors(source), "a checkpoint")
    with torch.inference_mode():
        assert torch.equal(source(noise(), PROMPT).logits, other(noise(), PROMPT).logits)
    part = dict(list(lora_tensors(source).items())[1:])
    with pytest.raises(AdapterError, match="a checkpoint: does not fit"):
        load_lora(other, part, "a checkpoint")


def test_peft_wrapper_accepts_embeddings(base: LoadedModel):
    model = add_lora(base.network, RANK_4)
    with torch.inference_mode():
        features = model.get_base_model().encode(noise(2))
        prompts = PromptBatch.none(2)
        expected = model(noise(2), prompts, multimask=True).logits
        torch.testing.assert_close(model(features, prompts, multimask=True).logits, expected)


@pytest.mark.gpu
def test_gpu_initialization_equals_cpu_and_lora_trains(base: LoadedModel):
    on_cpu = lora_tensors(add_lora(copy.deepcopy(base.network), RANK_4))
    model = add_lora(base.network.to("cuda"), RANK_4)
    for name, tensor in lora_tensors(model).items():
        assert tensor.device.type == "cuda"
        assert torch.equal(tensor.cpu(), on_cpu[name])
    model(noise().to("cuda"), PROMPT.to("cuda")).logits.mean().backward()
    grads = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert grads == trainable(model)


ONE = LoraSettings(rank=1, alpha=2)


@pytest.fixture(scope="module")
def networks() -> dict[str, Sam2ImageModel]:
    """Build all base models on the meta device; Hiera reads values of one small tensor."""
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(torch, "linspace", functools.partial(torch.linspace, device="cpu"))
        return {name: build_network(base) for name, base in BASE_MODELS.items()}


def count(network: Sam2ImageModel, lora: LoraSettings, part: str | None = None) -> int:
    shapes = expected_shapes(network, lora)
    return sum(
        torch.Size(shape).numel()
        for name, shape in shapes.items()
        if part in (None, network_part(name))
    )


def test_trainable_weights_per_rank_are_the_documented_ones(networks):
    assert count(networks["large"], ONE) == 120_208
    assert count(networks["large"], ONE, "encoder") == 108_432
    assert count(networks["large"], ONE, "decoder") == 11_776
    assert count(networks["nano"], ONE) == 9_248
    names = {
        name.removeprefix(PREFIX).split(".lora_")[0]
        for name in expected_shapes(networks["large"], ONE)
    }
    assert sum(name.endswith("attn.qkv") for name in names) == 48
    assert sum(name.startswith("sam_mask_decoder") for name in names) == 28


@pytest.mark.parametrize("name", BASE_MODELS)
def test_placements_order_by_number_of_weights(networks, name: str):
    network = networks[name]
    wide, decoder = (
        count(network, ONE.model_copy(update={"placement": placement}))
        for placement in ("wide", "decoder")
    )
    assert wide > count(network, ONE) > decoder == count(network, ONE, "decoder")


def test_number_of_head_weights_is_the_documented_one(networks):
    heads = ONE.model_copy(update={"train_heads": True})
    assert count(networks["large"], heads) - count(networks["large"], ONE) == 98_624


@pytest.mark.parametrize(
    ("name", "placement", "rank"),
    [
        ("nano", "attention", 16),
        ("nano", "wide", 4),
        ("nano", "decoder", 16),
        ("tiny", "attention", 32),
        ("small", "attention", 32),
        ("base_plus", "attention", 64),
        ("large", "attention", 64),
        ("large", "wide", 16),
        ("large", "decoder", 64),
    ],
)
def test_the_default_rank_is_the_largest_below_five_percent(networks, name, placement, rank):
    network, settings = networks[name], LoraSettings(placement=placement)
    assert default_rank(network, settings) == rank
    total = sum(weight.numel() for weight in network.parameters())
    resolved = settings.model_copy(update={"rank": rank})
    assert count(network, resolved) <= 0.05 * total
    twice = settings.model_copy(update={"rank": 2 * rank})
    assert rank == 64 or count(network, twice) > 0.05 * total


def test_training_heads_lowers_the_default_rank(networks):
    assert default_rank(networks["nano"], LoraSettings(train_heads=True)) == 8


def test_missing_rank_and_alpha_are_filled_in(networks):
    resolved = resolve_lora(networks["nano"], LoraSettings())
    assert (resolved.rank, resolved.alpha, resolved.scale) == (16, 32, 2)
    resolved = resolve_lora(networks["nano"], LoraSettings(rank=4))
    assert (resolved.rank, resolved.alpha) == (4, 8)
    resolved = resolve_lora(networks["nano"], LoraSettings(rank=4, alpha=6))
    assert (resolved.rank, resolved.alpha, resolved.scale) == (4, 6, 1.5)


@pytest.mark.parametrize("heads", [False, True])
def test_trainable_share_is_counted_on_the_built_network(base, heads: bool):
    lora = LoraSettings(rank=4, train_heads=heads)
    expected = expected_shapes(base.network, lora)
    model = add_lora(base.network, lora)
    assert shapes_of(lora_tensors(model)) == expected
    trained = 4 * 9_248 + (24_736 if heads else 0)
    assert trainable_count(model) == trained
    assert trainable_share(model) == pytest.approx(100 * trained / 3_199_249)


def test_share_above_five_percent_is_logged_as_warning(base, caplog):
    model = add_lora(base.network, LoraSettings(rank=18))
    assert trainable_share(model) > 5
    assert "166464 of 3199249 weights are trained: 5.20 %. That is more than the 5 %" in (
        describe_share(model)
    )
    assert describe_share(model) in [record.getMessage() for record in caplog.records]


def test_share_below_five_percent_logs_no_warning(base, caplog):
    model = add_lora(base.network, LoraSettings(rank=17))
    assert describe_share(model) == "157216 of 3199249 weights are trained: 4.91 %."
    assert caplog.records == []


def test_full_fine_tuning_is_described_without_a_share(base):
    text = describe_share(base.network.requires_grad_(True))
    assert text == "all 3199249 weights are trained."


@pytest.mark.parametrize(
    "wrong",
    [
        {"rank": 0},
        {"rank": 1025},
        {"alpha": 0},
        {"alpha": float("inf")},
        {"dropout": 1},
        {"init": "gaussian"},
        {"placement": "paper"},
        {"ranks": 4},
    ],
)
def test_lora_settings_out_of_range_are_refused(wrong: dict):
    with pytest.raises(ValidationError):
        LoraSettings(**wrong)


def test_scale_needs_a_rank():
    assert LoraSettings(rank=4).scale == 2
    with pytest.raises(ValueError, match="not set"):
        _ = LoraSettings().scale

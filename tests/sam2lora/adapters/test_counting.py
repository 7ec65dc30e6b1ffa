"""The numbers of the method, on networks as they are built."""

import functools

import pytest
import torch
from pydantic import ValidationError

from sam2lora.adapters.counting import (
    default_rank,
    describe_share,
    expected_shapes,
    resolve_lora,
    trainable_count,
    trainable_share,
)
from sam2lora.adapters.naming import PREFIX, part_of
from sam2lora.adapters.placement import add_lora, lora_tensors
from sam2lora.adapters.saving import shapes_of
from sam2lora.base_models import build_network
from sam2lora.model_table import BASE_MODELS
from sam2lora.network import Network
from sam2lora.settings import LoraSettings

ONE = LoraSettings(rank=1, alpha=2)


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    """Build all base models without memory; Hiera reads values of one small tensor meanwhile."""
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(torch, "linspace", functools.partial(torch.linspace, device="cpu"))
        return {name: build_network(base) for name, base in BASE_MODELS.items()}


def count(network: Network, lora: LoraSettings, part: str | None = None) -> int:
    shapes = expected_shapes(network, lora)
    return sum(
        torch.Size(shape).numel() for name, shape in shapes.items() if part in (None, part_of(name))
    )


def test_large_has_as_many_per_rank_as_the_method_says(networks):
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
def test_wide_has_more_and_decoder_is_a_part(networks, name: str):
    network = networks[name]
    wide, decoder = (
        count(network, ONE.model_copy(update={"placement": placement}))
        for placement in ("wide", "decoder")
    )
    assert wide > count(network, ONE) > decoder == count(network, ONE, "decoder")


def test_heads_have_as_many_as_the_method_says(networks):
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
    settled = settings.model_copy(update={"rank": rank})
    assert count(network, settled) <= 0.05 * total
    twice = settings.model_copy(update={"rank": 2 * rank})
    assert rank == 64 or count(network, twice) > 0.05 * total


def test_heads_leave_less_for_the_rank(networks):
    assert default_rank(networks["nano"], LoraSettings(train_heads=True)) == 8


def test_what_is_open_is_settled(networks):
    settled = resolve_lora(networks["nano"], LoraSettings())
    assert (settled.rank, settled.alpha, settled.scale) == (16, 32, 2)
    settled = resolve_lora(networks["nano"], LoraSettings(rank=4))
    assert (settled.rank, settled.alpha) == (4, 8)
    settled = resolve_lora(networks["nano"], LoraSettings(rank=4, alpha=6))
    assert (settled.rank, settled.alpha, settled.scale) == (4, 6, 1.5)


@pytest.mark.parametrize("heads", [False, True])
def test_the_share_is_counted_on_the_network_as_built(base, heads: bool):
    lora = LoraSettings(rank=4, train_heads=heads)
    expected = expected_shapes(base.network, lora)
    model = add_lora(base.network, lora)
    assert shapes_of(lora_tensors(model)) == expected
    trained = 4 * 9_248 + (24_736 if heads else 0)
    assert trainable_count(model) == trained
    assert trainable_share(model) == pytest.approx(100 * trained / 3_199_249)


def test_above_five_percent_it_says_so(base, caplog):
    model = add_lora(base.network, LoraSettings(rank=18))
    assert trainable_share(model) > 5
    assert "166464 of 3199249 weights are trained: 5.20 %. That is more than the 5 %" in (
        describe_share(model)
    )
    assert describe_share(model) in [record.getMessage() for record in caplog.records]


def test_below_five_percent_it_does_not(base, caplog):
    model = add_lora(base.network, LoraSettings(rank=17))
    assert describe_share(model) == "157216 of 3199249 weights are trained: 4.91 %."
    assert caplog.records == []


def test_a_whole_network_in_training_is_no_matter_for_a_warning(base):
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
def test_absurd_settings_are_refused(wrong: dict):
    with pytest.raises(ValidationError):
        LoraSettings(**wrong)


def test_a_scale_needs_a_rank():
    assert LoraSettings(rank=4).scale == 2
    with pytest.raises(ValueError, match="not settled"):
        _ = LoraSettings().scale

"""Attention is the same whichever way it is computed, and is plain where that is quicker."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sam2lora.compute.attention import PlainAttention, plain_attention
from sam2lora.compute.device import autocast

CPU = torch.device("cpu")


class Operators(TorchDispatchMode):
    """Note the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def asked() -> tuple[Tensor, Tensor, Tensor]:
    """Give queries, keys and values: 2 images, 3 heads, fewer queries as after pooling."""
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, 16, 8, generator=generator)
    key, value = torch.randn(2, 2, 3, 64, 8, generator=generator)
    return query, key, value


def operators(precision: str, asked: tuple[Tensor, ...], **options: object) -> list[str]:
    with autocast(CPU, precision), Operators() as seen:
        F.scaled_dot_product_attention(*asked, **options)
    return seen.names


def test_plain_products_are_attention(asked):
    expected = F.scaled_dot_product_attention(*asked)
    torch.testing.assert_close(plain_attention(*asked), expected)


def test_gradients_are_those_of_attention(asked):
    found = []
    for attend in (plain_attention, F.scaled_dot_product_attention):
        leaves = [tensor.clone().requires_grad_() for tensor in asked]
        attend(*leaves).square().sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_bfloat16_on_a_cpu_leaves_torchs_kernel(asked):
    names = operators("bfloat16", asked)
    assert not any("scaled_dot_product" in name for name in names)
    assert any("softmax" in name for name in names)


def test_float32_keeps_torchs_kernel(asked):
    with PlainAttention():
        assert any("scaled_dot_product" in name for name in operators("float32", asked))


def test_what_plain_products_do_not_do_is_left_to_torch(asked):
    mask = torch.ones(16, 64, dtype=torch.bool)
    query, key, value = asked
    with autocast(CPU, "bfloat16"):
        half = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.tril())
    exact = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.tril())
    torch.testing.assert_close(half.float(), exact, atol=0.05, rtol=0)


def test_bfloat16_is_near_to_float32(asked):
    with autocast(CPU, "bfloat16"):
        half = F.scaled_dot_product_attention(*asked)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(
        half.float(), F.scaled_dot_product_attention(*asked), atol=0.02, rtol=0
    )

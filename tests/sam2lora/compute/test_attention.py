"""Plain attention equals torch's, and is used only where it is faster."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sam2lora.compute.attention import PlainAttention, plain_attention
from sam2lora.compute.device import autocast

CPU = torch.device("cpu")


class Operators(TorchDispatchMode):
    """Record the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def qkv() -> tuple[Tensor, Tensor, Tensor]:
    """Return query, key and value: 2 images, 3 heads, fewer queries as after pooling."""
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, 16, 8, generator=generator)
    key, value = torch.randn(2, 2, 3, 64, 8, generator=generator)
    return query, key, value


def operators(precision: str, qkv: tuple[Tensor, ...], **options: object) -> list[str]:
    with autocast(CPU, precision), Operators() as seen:
        F.scaled_dot_product_attention(*qkv, **options)
    return seen.names


def test_plain_attention_equals_torchs(qkv):
    expected = F.scaled_dot_product_attention(*qkv)
    torch.testing.assert_close(plain_attention(*qkv), expected)


def test_gradients_of_plain_attention_equal_torchs(qkv):
    found = []
    for attend in (plain_attention, F.scaled_dot_product_attention):
        leaves = [tensor.clone().requires_grad_() for tensor in qkv]
        attend(*leaves).square().sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for plain, expected in zip(*found, strict=True):
        torch.testing.assert_close(plain, expected)


def test_bfloat16_on_a_cpu_uses_plain_attention(qkv):
    names = operators("bfloat16", qkv)
    assert not any("scaled_dot_product" in name for name in names)
    assert any("softmax" in name for name in names)


def test_float32_keeps_torchs_kernel(qkv):
    with PlainAttention():
        assert any("scaled_dot_product" in name for name in operators("float32", qkv))


def test_masks_and_dropout_are_left_to_torch(qkv):
    mask = torch.ones(16, 64, dtype=torch.bool)
    query, key, value = qkv
    with autocast(CPU, "bfloat16"):
        half = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.tril())
    exact = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.tril())
    torch.testing.assert_close(half.float(), exact, atol=0.05, rtol=0)


def test_bfloat16_attention_is_close_to_float32(qkv):
    with autocast(CPU, "bfloat16"):
        half = F.scaled_dot_product_attention(*qkv)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(
        half.float(), F.scaled_dot_product_attention(*qkv), atol=0.02, rtol=0
    )

"""Attention in bfloat16 on a CPU by plain matrix products, because torch's kernel is slow there.

`scaled_dot_product_attention` uses its flash kernel on a CPU. In bfloat16 its backward pass takes
three to eight times as long as the products, within windows and over the whole image, and its
forward pass up to twice as long. Float32 and GPUs are left to torch.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def quick_attention() -> AbstractContextManager[object]:
    """Return the context for attention under the current autocast.

    Without bfloat16 on a CPU it is empty, since a mode intercepts every call of torch.
    """
    return PlainAttention() if _in_bfloat16_on_cpu() else nullcontext()


class PlainAttention(TorchFunctionMode):
    """Context in which attention under a bfloat16 autocast on a CPU is computed by plain products.

    Everything else, attention with a mask or dropout too, is computed by torch as usual.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace slow attention; pass every other call on to torch."""
        if func is F.scaled_dot_product_attention and len(args) == 3 and _is_slow(args[0]):
            dropout = (kwargs or {}).get("dropout_p", 0)
            if not dropout and set(kwargs or {}) <= {"dropout_p"}:
                return plain_attention(*args)
        return func(*args, **(kwargs or {}))


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute scaled dot-product attention, softmax(Q Kᵀ / √d) V.

    Parameters
    ----------
    query
        `(B, heads, N, d)`.
    key, value
        `(B, heads, M, d)`.

    Returns
    -------
    `(B, heads, N, d)`.

    References
    ----------
    Vaswani et al.: "Attention Is All You Need", NeurIPS 2017, equation 1.
    """
    scaled = query * query.shape[-1] ** -0.5
    weights = torch.matmul(scaled, key.transpose(-2, -1)).softmax(-1)
    return torch.matmul(weights, value)


def _is_slow(query: Tensor) -> bool:
    return query.device.type == "cpu" and _in_bfloat16_on_cpu()


def _in_bfloat16_on_cpu() -> bool:
    enabled = torch.is_autocast_enabled("cpu")
    return enabled and torch.get_autocast_dtype("cpu") == torch.bfloat16

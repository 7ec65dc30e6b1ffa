"""Attention in bfloat16 on a CPU, by three plain products; torch's own kernel is slow there.

`scaled_dot_product_attention` takes its flash kernel on a CPU. In bfloat16 its backward pass costs
three to eight times what the products cost, in the windows of SAM 2 as over the whole image, and
its forward pass up to twice as much. Float32 and GPUs are left to torch.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def quick_attention() -> AbstractContextManager[object]:
    """Give the context for attention under the autocast that holds now.

    Where it would change nothing it costs nothing either: a mode sees each call of torch.
    """
    return PlainAttention() if _in_bfloat16_on_cpu() else nullcontext()


class PlainAttention(TorchFunctionMode):
    """Inside this context, attention that autocast computes in bfloat16 on a CPU is plain products.

    Everything else is as it was, a mask and dropout included; so the context may be entered
    anywhere.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute what torch would, attention in another way."""
        if func is F.scaled_dot_product_attention and len(args) == 3 and _is_slow(args[0]):
            dropout = (kwargs or {}).get("dropout_p", 0)
            if not dropout and set(kwargs or {}) <= {"dropout_p"}:
                return plain_attention(*args)
        return func(*args, **(kwargs or {}))


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Let each query gather the values whose keys it fits: softmax(Q Kᵀ / √d) V.

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
    shares = torch.matmul(scaled, key.transpose(-2, -1)).softmax(-1)
    return torch.matmul(shares, value)


def _is_slow(query: Tensor) -> bool:
    return query.device.type == "cpu" and _in_bfloat16_on_cpu()


def _in_bfloat16_on_cpu() -> bool:
    enabled = torch.is_autocast_enabled("cpu")
    return enabled and torch.get_autocast_dtype("cpu") == torch.bfloat16

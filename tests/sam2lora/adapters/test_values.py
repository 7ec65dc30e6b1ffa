"""Adapters that cannot work are refused when they are installed, not when they are used."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import safetensors.torch
import torch

from sam2lora.adapters import Adapter, import_adapter, installed_names
from sam2lora.adapters.values import check_tensors
from sam2lora.errors import AdapterError
from sam2lora.settings import LoraSettings

Tensors = dict[str, torch.Tensor]
WITH_HEADS = LoraSettings(rank=4, alpha=8, train_heads=True)


def write(adapter: Adapter, tensors: Tensors) -> None:
    adapter.weights.write_bytes(safetensors.torch.save(tensors, metadata={"format": "pt"}))


def first(tensors: Tensors, end: str) -> str:
    return next(name for name in sorted(tensors) if name.endswith(end))


def put_nan(tensors: Tensors) -> None:
    tensors[first(tensors, "lora_B.weight")][0, 0] = float("nan")


def put_infinity(tensors: Tensors) -> None:
    tensors[first(tensors, "conv_s0.bias")][0] = float("inf")


def change_inner_shape(tensors: Tensors) -> None:
    name = first(tensors, "lora_A.weight")
    tensors[name] = torch.zeros(len(tensors[name]), 3)


def leave_out_pair(tensors: Tensors) -> None:
    for matrix in "AB":
        del tensors[first(tensors, f"attn.qkv.lora_{matrix}.weight")]


def leave_out_head(tensors: Tensors) -> None:
    del tensors[first(tensors, "conv_s0.bias")]


def add_pair(tensors: Tensors) -> None:
    for matrix in "AB":
        name = first(tensors, f"blocks.0.attn.qkv.lora_{matrix}.weight")
        tensors[name.replace("blocks.0.", "blocks.99.")] = tensors[name].clone()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put_nan, "values that are not finite"),
        (put_infinity, "values that are not finite"),
        (change_inner_shape, "the adapter has shape .*, the network shape"),
        (leave_out_pair, "the adapter has no such tensor"),
        (leave_out_head, "the adapter has no such tensor"),
        (add_pair, "the network no such tensor"),
    ],
)
def test_adapter_that_cannot_work_is_not_installed(
    make_adapter: Callable[..., Adapter], change: Callable[[Tensors], None], message: str
) -> None:
    adapter = make_adapter("broken", lora=WITH_HEADS)
    check_tensors(adapter)
    tensors = safetensors.torch.load_file(adapter.weights)
    change(tensors)
    write(adapter, tensors)
    with pytest.raises(AdapterError, match=message) as caught:
        import_adapter(adapter.folder)
    assert str(adapter.weights) in str(caught.value)
    assert installed_names() == set()


def test_adapter_of_an_unknown_base_model_is_checked_for_its_values(
    make_adapter: Callable[..., Adapter],
) -> None:
    adapter = make_adapter()
    base = adapter.card.base.model_copy(update={"name": "of-another-version"})
    other = Adapter(adapter.folder, adapter.card.model_copy(update={"base": base}))
    tensors = safetensors.torch.load_file(adapter.weights)
    leave_out_pair(tensors)
    write(other, tensors)
    check_tensors(other)
    put_nan(tensors)
    write(other, tensors)
    with pytest.raises(AdapterError, match="not finite"):
        check_tensors(other)


def test_checking_loads_no_triton():
    """Triton and OpenGL without a graphics card crash in one process: napari installs adapters."""
    code = (
        "import sys\n"
        "from sam2lora.adapters import list_adapters\n"
        "from sam2lora.adapters.values import check_tensors\n"
        "for adapter in list_adapters(): check_tensors(adapter)\n"
        "assert 'triton' not in sys.modules and 'torch._dynamo' not in sys.modules\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr

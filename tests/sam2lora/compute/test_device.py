import gc
import weakref

import pytest
import torch

from sam2lora.compute import device as module
from sam2lora.compute.device import (
    autocast,
    choose_device,
    choose_precision,
    explain_out_of_memory,
    gpu_hint,
    release_memory,
)
from sam2lora.errors import DeviceError

CPU = torch.device("cpu")


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def one_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate one CUDA device."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")


@pytest.mark.usefixtures("no_cuda")
def test_without_a_gpu_the_cpu_is_best():
    assert choose_device() == CPU
    assert choose_device("cpu") == CPU
    with pytest.raises(DeviceError, match="No CUDA device"):
        choose_device("cuda")


@pytest.mark.usefixtures("one_cuda")
def test_a_gpu_that_works_is_best(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_works", lambda device: True)
    assert choose_device() == torch.device("cuda")
    assert choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(DeviceError, match=r"no cuda:1: this computer has 1"):
        choose_device("cuda:1")


@pytest.mark.usefixtures("one_cuda")
def test_unsupported_gpu_is_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_works", lambda device: False)
    assert choose_device() == CPU
    with pytest.raises(DeviceError, match="Old GPU is too old"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "meta"])
def test_unknown_device_error_lists_the_known_ones(name: str):
    with pytest.raises(DeviceError, match="auto, cpu, cuda"):
        choose_device(name)


def test_mps_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="MPS"):
        choose_device("mps")


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_tile": True}, "bfloat16")],
)
def test_auto_is_bfloat16_on_a_cpu_with_bfloat16_units(
    capabilities: dict, precision: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        torch.cpu, "_is_avx512_bf16_supported", lambda: capabilities.get("avx512_bf16", False)
    )
    monkeypatch.setattr(
        torch.cpu, "_is_amx_tile_supported", lambda: capabilities.get("amx_tile", False)
    )
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert choose_precision("auto", CPU) == precision


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_auto_is_bfloat16_on_a_gpu_with_bfloat16_units(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", torch.device("cuda")) == precision


def test_requested_precision_is_used_or_refused():
    assert choose_precision("float32", CPU) == "float32"
    assert choose_precision("bfloat16", CPU) == "bfloat16"
    assert choose_precision("float16", torch.device("cuda")) == "float16"
    with pytest.raises(DeviceError, match="float16 is for GPUs"):
        choose_precision("float16", CPU)
    with pytest.raises(DeviceError, match="'int8'"):
        choose_precision("int8", CPU)


def test_autocast_computes_in_the_precision():
    ones = torch.ones(2, 2)
    with autocast(CPU, "bfloat16"):
        assert (ones @ ones).dtype == torch.bfloat16
    with autocast(CPU, "float32"):
        assert (ones @ ones).dtype == torch.float32


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_out_of_memory_error_is_explained(error: Exception):
    with (
        pytest.raises(DeviceError, match=r"Encoding an image needs more memory.*nano"),
        explain_out_of_memory(CPU, "Encoding an image"),
    ):
        raise error


@pytest.mark.parametrize(
    ("less", "advice"),
    [
        ("a smaller batch", "choose a smaller batch, or a smaller model (--model nano)."),
        ("", "choose a smaller model (--model nano)."),
    ],
)
def test_out_of_memory_error_advises_what_needs_less(less: str, advice: str):
    with pytest.raises(DeviceError) as caught, explain_out_of_memory(CPU, "Work", less=less):
        raise MemoryError
    assert str(caught.value).endswith(advice)


def test_out_of_memory_releases_the_tensors():
    kept = []

    def work() -> None:
        tensor = torch.ones(10)
        kept.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(DeviceError), explain_out_of_memory(CPU, "Work"):
        work()
    gc.collect()
    assert kept[0]() is None


def test_real_out_of_memory_is_recognized():
    with pytest.raises(DeviceError), explain_out_of_memory(CPU, "Work"):
        torch.empty(2**50)


def test_other_errors_are_not_changed():
    with pytest.raises(RuntimeError, match="shapes"), explain_out_of_memory(CPU, "Work"):
        raise RuntimeError("shapes do not match")


def test_unused_gpu_hint_names_the_right_torch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(module.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(module.sys, "platform", "win32")
    assert "pytorch.org/get-started" in gpu_hint()
    monkeypatch.setattr(module.sys, "platform", "linux")
    assert gpu_hint().endswith("pip install --force-reinstall torch torchvision")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="pip install"):
        choose_device("cuda")
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert gpu_hint() is None


@pytest.mark.gpu
def test_gpu_out_of_memory_is_explained_and_memory_released():
    device = choose_device("cuda")
    release_memory(device)
    free, _ = torch.cuda.mem_get_info(device)

    def work() -> None:
        held = torch.empty(2**28, dtype=torch.uint8, device=device)
        torch.empty(2**50, dtype=torch.uint8, device=held.device)

    with (
        pytest.raises(DeviceError, match=r"GiB\) has free.*--device cpu"),
        explain_out_of_memory(device, "Work"),
    ):
        work()
    assert torch.cuda.mem_get_info(device)[0] > free - 2**27


@pytest.mark.gpu
def test_gpu_is_found():
    assert choose_device().type == "cuda"
    assert choose_precision("auto", choose_device()) in ("float32", "bfloat16")

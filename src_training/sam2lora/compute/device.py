"""Choose the device and the precision, and explain when the memory runs out."""

import gc
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sam2lora.compute.allocator import use_huge_pages
from sam2lora.compute.attention import quick_attention
from sam2lora.errors import DeviceError
from sam2lora.settings import Precision, PrecisionChoice

use_huge_pages()  # before torch's first allocation

_DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",  # torch on Linux and macOS
    "not enough memory",  # torch on Windows
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "bad_alloc",
)
"""Parts of the messages of errors without a type of their own, in lower case."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`, or the best one.

    Parameters
    ----------
    name
        "auto" (a CUDA device that works, else the CPU), "cpu", "cuda", "cuda:1", … or "mps".
        Apple's "mps" is untested, so "auto" never chooses it.

    Raises
    ------
    DeviceError
        If there is no such device, or the installed torch does not support it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and _works("cuda") else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"No device is called {name!r}. There are: auto, cpu, cuda, cuda:1, mps.")
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("This computer has no MPS device (Apple's GPU). Use --device cpu.")
    return device


def count_gpus(name: str) -> int:
    """Return how many CUDA devices workers of this machine can be shared among.

    Parameters
    ----------
    name
        As for `choose_device`. A device that is named with its number is used by all workers, and
        counts as none, as do other devices than CUDA's.

    Raises
    ------
    DeviceError
        As for `choose_device`.
    """
    device = choose_device(name)
    return torch.cuda.device_count() if device.type == "cuda" and device.index is None else 0


def choose_precision(name: PrecisionChoice, device: torch.device) -> Precision:
    """Return the precision called `name`, or the fastest one that is accurate enough.

    "auto" is bfloat16 where the hardware multiplies it faster than float32, else float32: CUDA
    devices with bfloat16 units (compute capability 8.0 and above), and x86 CPUs with AVX512-BF16 or
    AMX-BF16. Plain AVX-512 only emulates it, and MPS is untested.

    Raises
    ------
    DeviceError
        If `name` is unknown, or is float16 on a CPU.
    """
    if name == "auto":
        return "bfloat16" if _has_fast_bfloat16(device) else "float32"
    if name not in _DTYPES:
        known = ", ".join(_DTYPES)
        raise DeviceError(f"No precision is called {name!r}. There are: auto, {known}.")
    if name == "float16" and device.type == "cpu":
        raise DeviceError("float16 is for GPUs; on a CPU use float32 or bfloat16.")
    return name


@contextmanager
def autocast(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute in `precision` inside this context; weights and results stay float32."""
    if precision == "float32":
        yield
        return
    with torch.autocast(device.type, dtype=_DTYPES[precision]), quick_attention():
        yield


@contextmanager
def explain_out_of_memory(
    device: torch.device, doing: str, *, less: str = "a smaller batch"
) -> Iterator[None]:
    """Turn running out of memory into a DeviceError, and release the device's memory.

    Parameters
    ----------
    device
        The device in use.
    doing
        Description of the work, as in "Encoding an image".
    less
        A choice that needs less memory; may be empty.

    Raises
    ------
    DeviceError
        If the memory is not sufficient.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        # The stack frames of the failed work keep its tensors alive as long as the error.
        traceback.clear_frames(error.__traceback__)
        release_memory(device)
        cpu = "" if device.type == "cpu" else "--device cpu"
        remedies = ", or ".join(filter(None, (less, "a smaller model (--model nano)", cpu)))
        raise DeviceError(
            f"{doing} needs more memory than {_describe(device)} has free. Close other programs "
            f"that use it, or choose {remedies}."
        ) from error


def release_memory(device: torch.device) -> None:
    """Return unused memory to the operating system."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_memory(device: torch.device) -> int | None:
    """Return the free memory of a GPU in bytes; None for devices without memory of their own."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def gpu_hint() -> str | None:
    """Return how to install the right torch where an NVIDIA GPU is present but not used.

    Returns
    -------
    A message to show, or None if there is nothing to change.
    """
    if torch.version.cuda is not None or shutil.which("nvidia-smi") is None:
        return None
    how = (
        "pip install --force-reinstall torch torchvision"
        if sys.platform == "linux"
        else "the command for your system is at https://pytorch.org/get-started/locally/"
    )
    return (
        "This computer has an NVIDIA GPU, but the installed torch was built without CUDA. To use "
        f"it: {how}"
    )


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        hint = gpu_hint() or "Use --device cpu."
        raise DeviceError(f"No CUDA device can be used here. {hint}")
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise DeviceError(
            f"There is no {device}: this computer has {torch.cuda.device_count()} CUDA device(s), "
            "counted from cuda:0."
        )
    if not _works(str(device)):
        raise DeviceError(
            f"{torch.cuda.get_device_name(device)} is too old or too new for the installed torch "
            f"{torch.__version__}. Use --device cpu, or another torch."
        )


def _works(device: str) -> bool:
    """Check whether a kernel runs: a device can be listed and yet not be supported."""
    try:
        return bool(torch.ones(2, device=device).sum().item() == 2)
    except RuntimeError:
        return False


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Private, and missing in some supported versions of torch: taken for False there.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        has_units = any(bool(getattr(torch.cpu, name, bool)()) for name in checks)
        return has_units and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return False


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error).lower()
    return any(part in message for part in _OUT_OF_MEMORY)


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        return f"{torch.cuda.get_device_name(device)} ({total / 2**30:.0f} GiB)"
    return {"cpu": "this computer", "mps": "the Apple GPU"}[device.type]

"""Load torch in a thread while the window goes on being drawn."""

import ctypes
import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

_LIBRARIES = ("c10", "torch_cpu", "torch")
"""Shared libraries of torch that know no Python, each after those it needs."""


def load_torch() -> None:
    """Import torch and what predicting needs, without a long standstill of other threads.

    A plain import opens torch's libraries, and collects garbage among a hundred thousand new
    objects, with Python's lock held: the window would stand still for up to a second. A C function
    called by ctypes does not hold it, and the collector can wait until all is loaded.
    """
    if "sam2lora.predicting" in sys.modules:
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        _open_libraries()
        import sam2lora.predicting
        import sam2lora.predictor  # noqa: F401
    finally:
        if collecting:
            gc.enable()


def _open_libraries() -> None:
    """Open torch's libraries; those that are not found here are opened by the import."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None or sys.platform == "win32":
        return
    open_library = ctypes.CDLL(None).dlopen
    open_library.restype, open_library.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    ending = "dylib" if sys.platform == "darwin" else "so"
    for name in _LIBRARIES:
        path = Path(torch.origin).parent / "lib" / f"lib{name}.{ending}"
        if path.is_file():
            open_library(str(path).encode(), os.RTLD_NOW | os.RTLD_LOCAL)

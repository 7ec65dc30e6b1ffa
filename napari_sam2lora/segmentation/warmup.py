"""Load torch on a worker thread without blocking the main thread."""

import ctypes
import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from napari.utils import DirectLabelColormap

_LIBRARIES = ("c10", "torch_cpu", "torch")
"""Shared libraries of torch that know no Python, each after those it needs."""


def load_torch() -> None:
    """Import torch and what prediction needs, without blocking other threads for long.

    A plain import opens torch's libraries, and collects garbage among a hundred thousand new
    objects, with the GIL held: the window would freeze for up to a second. A C function called
    by ctypes releases the GIL, and garbage collection can wait until everything is loaded.
    """
    if "sam2lora.inference.pipeline" in sys.modules:
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        _open_libraries()
        import sam2lora.inference.pipeline
        import sam2lora.inference.predictor  # noqa: F401
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


def warm_up_colors() -> None:
    """Color one pixel as a mask's: before the first one, napari compiles that, for over a second.

    The window would stand still as long when the first answer is accepted. Neither Qt nor OpenGL
    is touched.
    """
    colors = {0: "transparent", 1: "white", None: "white"}
    DirectLabelColormap(color_dict=colors).map(np.zeros((1, 1), np.uint8))

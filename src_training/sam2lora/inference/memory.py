"""Estimate the memory that a prediction needs, before it is requested. Imports no torch."""

import math

import psutil

from sam2lora.models.registry import BaseModel
from sam2lora.settings import GeometrySettings

_WINDOWS_AT_ONCE = 4  # the batch of `Predictor`
_PER_WINDOW = 22  # arrays of the encoder's first stage that exist at once, as measured
_DETAIL_MAPS = 50  # float32 maps of the input's size in a detail head, as measured
_NATIVE_MAPS = 7  # float32 maps of the image's size while windows are blended
_RGB = 3
_PYTORCH = 400 << 20  # without any model


def max_windows(base: BaseModel, geometry: GeometrySettings) -> int:
    """Return in how many windows an image is predicted, at most: tiles fill a square field.

    Parameters
    ----------
    base
        The base model, for the size of its input.
    geometry
        The input mode and its parameters.
    """
    if geometry.detail == "zoom":
        return 2 if geometry.zoom_extent is None else 3
    if geometry.detail != "tiles":
        return 1
    beyond = max(0.0, geometry.field_size - base.input_size)
    return (math.ceil(beyond / (base.input_size * (1 - geometry.overlap))) + 1) ** 2


def bytes_needed(
    base: BaseModel,
    shape: tuple[int, int],
    geometry: GeometrySettings,
    *,
    detail_head: bool = False,
    loaded: bool = False,
) -> int:
    """Estimate the bytes of memory that a prediction takes.

    Parameters
    ----------
    base
        The base model.
    shape
        `(H, W)` of the image.
    geometry
        The input mode and its parameters.
    detail_head
        Whether a detail head draws the mask.
    loaded
        Whether PyTorch and the base model are loaded already; if not, they are included.
    """
    windows = max_windows(base, geometry)
    at_once, pixels = min(windows, _WINDOWS_AT_ONCE), base.input_size**2
    computing = at_once * _PER_WINDOW * 4 * base.width * pixels // 16
    kept = windows * base.embedding_bytes
    if detail_head:
        computing = max(computing, at_once * _DETAIL_MAPS * 4 * pixels)
        kept += windows * pixels * (_RGB + 4)  # the pixels, and logits of their size
    native = shape[0] * shape[1] * (_RGB + 4 * _NATIVE_MAPS)
    resident = 0 if loaded else _PYTORCH + 4 * base.parameters
    return resident + computing + kept + native


def memory_warning(
    base: BaseModel,
    shape: tuple[int, int],
    geometry: GeometrySettings,
    *,
    detail_head: bool = False,
    loaded: bool = False,
    free: int | None = None,
) -> str | None:
    """Return a warning if there is not enough free memory for an image, or None.

    Parameters
    ----------
    base, shape, geometry, detail_head, loaded
        As for `bytes_needed`.
    free
        Free bytes of the device; None asks the operating system for the free main memory.
    """
    needed = bytes_needed(base, shape, geometry, detail_head=detail_head, loaded=loaded)
    available = psutil.virtual_memory().available if free is None else free
    if needed <= available:
        return None
    return (
        f"{shape[1]} × {shape[0]} pixels need about {needed / 2**30:.1f} GiB of memory with "
        f"{base.name}, and {available / 2**30:.1f} GiB are free. Close other programs, choose a "
        "smaller base model, or make the image smaller."
    )

"""Estimate the memory an image needs before it is asked for. Nothing here imports torch."""

import math

import psutil

from sam2lora.models.registry import BaseModel
from sam2lora.settings import GeometrySettings

_WINDOWS_AT_ONCE = 4  # as the predictor encodes them
_PER_WINDOW = 22  # arrays of the encoder's first stage that live at once, as measured
_NATIVE_MAPS = 7  # float32 maps of the image's size while an answer is put together
_RGB = 3
_PYTORCH = 400 << 20  # what it takes by itself


def windows_at_most(base: BaseModel, geometry: GeometrySettings) -> int:
    """Give how many windows an image is looked at in; of tiles, if the field of view is a square.

    Parameters
    ----------
    base
        The base model, for the size of its input.
    geometry
        How images are looked at.
    """
    if geometry.detail != "tiles":
        return 2 if geometry.detail == "zoom" else 1
    beyond = max(0.0, geometry.field_size - base.input_size)
    return (math.ceil(beyond / (base.input_size * (1 - geometry.overlap))) + 1) ** 2


def bytes_needed(
    base: BaseModel, shape: tuple[int, int], geometry: GeometrySettings, *, loaded: bool = False
) -> int:
    """Estimate the memory that answering in an image takes.

    Parameters
    ----------
    base
        The base model.
    shape
        `(H, W)` of the image.
    geometry
        How it is looked at.
    loaded
        Whether PyTorch and the base model have their memory already; else they are included.
    """
    windows = windows_at_most(base, geometry)
    side = base.input_size // 4
    encoding = min(windows, _WINDOWS_AT_ONCE) * _PER_WINDOW * 4 * base.width * side**2
    native = shape[0] * shape[1] * (_RGB + 4 * _NATIVE_MAPS)
    kept = windows * base.embedding_bytes
    resident = 0 if loaded else _PYTORCH + 4 * base.parameters
    return resident + encoding + kept + native


def memory_warning(
    base: BaseModel,
    shape: tuple[int, int],
    geometry: GeometrySettings,
    *,
    loaded: bool = False,
    free: int | None = None,
) -> str | None:
    """Say what an image needs and what is free, where that does not suffice; else None.

    Parameters
    ----------
    base, shape, geometry, loaded
        As for `bytes_needed`.
    free
        Bytes of memory that are free where it computes; by default what the operating system says
        of the main memory.
    """
    needed = bytes_needed(base, shape, geometry, loaded=loaded)
    there = psutil.virtual_memory().available if free is None else free
    if needed <= there:
        return None
    return (
        f"{shape[1]} × {shape[0]} pixels need about {needed / 2**30:.1f} GiB of memory with "
        f"{base.name}, and {there / 2**30:.1f} GiB are free. Close other programs, choose a "
        "smaller base model, or make the image smaller."
    )

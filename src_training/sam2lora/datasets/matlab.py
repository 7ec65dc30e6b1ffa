"""Read the array `mask` of a MATLAB file (version 4 to 7.2)."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import MAX_BYTES, check_size

_HEADER = 128  # bytes before the first element of version 5
_COMPRESSED = 15  # data type of an element that holds another one, deflated
_WIDTHS = {"double": 8, "single": 4, "int64": 8, "uint64": 8, "int32": 4, "uint32": 4}


def read_matlab_mask(path: Path, shape: tuple[int, int]) -> NDArray[Any]:
    """Read the array `mask`; one that is wider than the image is cropped equally on both sides.

    Parameters
    ----------
    path
        The file.
    shape
        `(H, W)` of the image.

    Raises
    ------
    ImageError
        If the file is damaged, too large when unpacked, or holds no such array.
    """
    from scipy.io import loadmat, whosmat

    try:
        _check_unpacked(path)
        for name, size, kind in whosmat(path):
            if name == "mask" and len(size) == 2:
                check_size(path, *size, pixel_bytes=_WIDTHS.get(kind, 2))
        content = loadmat(path, variable_names=["mask"])
    except ImageError:
        raise
    except NotImplementedError as error:
        raise ImageError(
            f"{path}: is a MATLAB file of version 7.3 (HDF5), which is not supported. "
            "Save it again in MATLAB with save(..., '-v7')."
        ) from error
    except Exception as error:  # a damaged file makes scipy raise anything; it is reported
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path}: cannot be read as a MATLAB file ({reason}).") from error
    values = content.get("mask")
    if (
        not isinstance(values, np.ndarray)
        or values.ndim != 2
        or values.dtype.kind not in "buif"
        or math.prod(values.shape) == 0
    ):
        raise ImageError(f"{path}: holds no two-dimensional array of numbers named `mask`.")
    surplus = max(0, values.shape[1] - shape[1])
    array: NDArray[Any] = values[:, surplus // 2 : values.shape[1] - (surplus - surplus // 2)]
    return array


def _check_unpacked(path: Path) -> None:
    """Raise an error if the deflated elements unpack to more than the limit, keeping nothing."""
    unpacked = 0
    with path.open("rb") as file:
        head = file.read(_HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        if order is None:  # version 4 is not deflated; damage is found by scipy
            return
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}2I", tag)
            if kind != _COMPRESSED:
                file.seek(length, 1)
                continue
            unpacker = zlib.decompressobj()
            while length and (chunk := file.read(min(length, 1 << 16))):
                length -= len(chunk)
                while chunk:
                    unpacked += len(unpacker.decompress(chunk, 1 << 20))
                    chunk = unpacker.unconsumed_tail
                    if unpacked > MAX_BYTES:
                        raise ImageError(
                            f"{path}: unpacks to more than the limit of {MAX_BYTES:,} bytes."
                        )

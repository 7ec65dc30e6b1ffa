"""The tensors of a detail head in an adapter's folder. Nothing here imports torch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy

from sam2lora.adapters.peft_format import Shapes, check_shapes
from sam2lora.errors import AdapterError
from sam2lora.settings import DetailHeadSettings

_STATISTICS = ("running_mean", "running_var")  # of batch normalization: stored, not trained
_FUSED = "fuse.weight"


def head_shapes(
    settings: DetailHeadSettings, *, embedding_channels: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a detail head's tensors by name: its weights, and its statistics.

    Parameters
    ----------
    settings
        Channels and inputs of the head.
    embedding_channels
        Channels of the decoder's embedding.
    """
    fine, middle, coarse = settings.channels
    planes = 3 + ("contrast" in settings.inputs)
    fused = embedding_channels * ("embedding" in settings.inputs) + ("logits" in settings.inputs)
    blocks = {
        "fine_in.0": (4 * planes, fine),
        "fine_in.1": (fine, fine),
        "middle_in": (fine, middle),
        "middle": (middle, middle),
        "coarse.0": (middle, coarse),
        "coarse.1": (coarse, coarse),
        "middle_out": (middle, middle),
        "fine_out": (fine, fine),
    }
    points = {"to_middle": (coarse, middle), "to_fine": (middle, fine)}
    if fused:
        points["fuse"] = (fused, middle)
    shapes: dict[str, tuple[int, ...]] = {"last.weight": (4, fine, 3, 3), "last.bias": (4,)}
    for name, (inputs, outputs) in blocks.items():
        shapes[f"{name}.0.weight"] = (outputs, inputs, 3, 3)
        for vector in ("weight", "bias", *_STATISTICS):
            shapes[f"{name}.1.{vector}"] = (outputs,)
    for name, (inputs, outputs) in points.items():
        shapes[f"{name}.weight"] = (outputs, inputs, 1, 1)
        shapes[f"{name}.bias"] = (outputs,)
    return shapes


def head_weights(settings: DetailHeadSettings | None, *, embedding_channels: int) -> int:
    """Count the trained weights of a detail head; 0 without one.

    Parameters
    ----------
    settings
        Channels and inputs of the head, or None.
    embedding_channels
        Channels of the decoder's embedding.
    """
    if settings is None:
        return 0
    shapes = head_shapes(settings, embedding_channels=embedding_channels)
    return sum(
        int(np.prod(shape)) for name, shape in shapes.items() if not name.endswith(_STATISTICS)
    )


def check_head_file(path: Path, settings: DetailHeadSettings) -> None:
    """Refuse a file that is not a detail head of these settings, without a base to compare with.

    Parameters
    ----------
    path
        A `.safetensors` file.
    settings
        The settings on the adapter's card.

    Raises
    ------
    AdapterError
        If the file is damaged, names or shapes do not fit, or values are not finite.
    """
    arrays = dict(_read(path))
    fused = arrays.get(_FUSED)
    channels = 0
    if fused is not None and fused.ndim == 4:
        channels = max(1, fused.shape[1] - ("logits" in settings.inputs))
    expected = head_shapes(settings, embedding_channels=channels)
    shapes: Shapes = {name: array.shape for name, array in arrays.items()}
    check_shapes(shapes, expected, str(path))
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise AdapterError(f"{path}: {name!r} holds values that are not finite numbers.")


def _read(path: Path) -> Iterator[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (safetensors.SafetensorError, KeyError) as error:
        raise AdapterError(f"{path}: is truncated or not a safetensors file ({error}).") from error
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise AdapterError(f"{path}: {name!r} holds {array.dtype}, not float32.")
        yield name, array

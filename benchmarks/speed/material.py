"""Inputs of the benchmarks: an image of any size, a base model, a random adapter."""

from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image

from sam2lora.adapters import Adapter, AdapterCard, BaseReference
from sam2lora.adapters.card import now
from sam2lora.adapters.lora import expected_shapes, resolve_lora
from sam2lora.adapters.serialization import save_adapter
from sam2lora.models.loading import LoadedModel, random_base
from sam2lora.models.registry import BASE_MODELS
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings
from sam2lora.targets import get_target

_DRAWN_SIDE = 512  # side of the synthetic image before it is resized


def sample_image(width: int, height: int) -> NDArray[np.uint8]:
    """Create a fundus image of any size quickly: `(height, width, 3)`, the field in the middle."""
    side = min(width, height)
    drawn = Image.fromarray(draw_fundus(0, SyntheticSettings(size=_DRAWN_SIDE)).image)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(drawn.resize((side, side)), ((width - side) // 2, (height - side) // 2))
    return np.array(canvas)


def usable_base(name: str, folder: Path) -> str:
    """Return an argument for `load_base` that needs no download, with random weights if necessary.

    Parameters
    ----------
    name
        Name of a base model, or path of its weights, as for `load_base`.
    folder
        Folder for the random weights of a model that would have to be downloaded: time and memory
        do not depend on the weights.

    Returns
    -------
    `name`, or the path of the random weights.
    """
    if name not in BASE_MODELS or BASE_MODELS[name].embedded:
        return name
    path = folder / f"{name}.safetensors"
    if not path.exists():
        state = random_base(name).network.state_dict()
        path.write_bytes(safetensors.torch.save(dict(state)))
    return str(path)


def random_adapter(base: LoadedModel, rank: int, folder: Path) -> Adapter:
    """Write an adapter with random weights and the default placement."""
    lora = resolve_lora(base.network, LoraSettings(rank=rank))
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=generator) * 0.01
        for name, shape in expected_shapes(base.network, lora).items()
    }
    count = sum(tensor.numel() for tensor in tensors.values())
    card = AdapterCard(
        name="random",
        target=get_target("disc"),
        base=BaseReference(name=base.spec.name, identity=base.weights_sha256),
        geometry=GeometrySettings(),
        lora=lora,
        threshold=0.5,
        multimask_token=False,
        trainable=count,
        share=100 * count / sum(parameter.numel() for parameter in base.network.parameters()),
        created=now(),
    )
    return save_adapter(tensors, card, folder, replace=True)

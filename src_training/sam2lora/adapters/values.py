"""Check all tensors of an adapter before it is installed, without the weights of its base model."""

from typing import TYPE_CHECKING

from sam2lora.adapters.folder import Adapter, read_shapes
from sam2lora.adapters.peft_format import check_shapes
from sam2lora.models.registry import BASE_MODELS

if TYPE_CHECKING:
    from sam2lora.models.sam2_image_model import Sam2ImageModel


def check_tensors(adapter: Adapter) -> None:
    """Check that an adapter has every tensor its base model needs, all of finite numbers.

    An adapter for a base model that this version does not know is checked as far as possible.

    Raises
    ------
    AdapterError
        If a tensor is missing, unexpected, of another shape, or holds values that are not finite;
        the message names it.
    """
    from sam2lora.adapters.detail_head import read_head
    from sam2lora.adapters.lora import expected_shapes
    from sam2lora.adapters.serialization import read_tensors

    shapes = read_shapes(adapter.weights)
    if adapter.card.base.name in BASE_MODELS:
        network = _network(adapter.card.base.name)
        check_shapes(shapes, expected_shapes(network, adapter.card.lora), str(adapter.weights))
        read_head(adapter, network)
    read_tensors(adapter, shapes)


def _network(base: str) -> "Sam2ImageModel":
    """Return the network of a base model without values: its shapes are needed only."""
    import torch
    from accelerate import init_empty_weights
    from torch.overrides import TorchFunctionMode

    from sam2lora.models.loading import build_network

    class NoRandomValues(TorchFunctionMode):
        """Leave out `normal_`, for which torch loads triton where a tensor has no values.

        Its LLVM and that of OpenGL without a graphics card crash in one process, such as napari.
        """

        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            given = kwargs or {}
            return given["tensor"] if func is torch.nn.init.normal_ else func(*args, **given)

    with init_empty_weights(), NoRandomValues():
        return build_network(BASE_MODELS[base])

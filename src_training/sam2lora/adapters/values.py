"""Check all tensors of an adapter before it is installed, without the weights of its base model."""

from sam2lora.adapters.folder import Adapter, read_shapes
from sam2lora.adapters.peft_format import Shapes, check_shapes
from sam2lora.models.registry import BASE_MODELS


def check_tensors(adapter: Adapter) -> None:
    """Check that an adapter has every tensor its base model needs, all of finite numbers.

    An adapter for a base model that this version does not know is checked as far as possible.

    Raises
    ------
    AdapterError
        If a tensor is missing, unexpected, of another shape, or holds values that are not finite;
        the message names it.
    """
    from sam2lora.adapters.serialization import read_tensors

    shapes = read_shapes(adapter.weights)
    if adapter.card.base.name in BASE_MODELS:
        check_shapes(shapes, _expected(adapter), str(adapter.weights))
    read_tensors(adapter, shapes)


def _expected(adapter: Adapter) -> Shapes:
    from accelerate import init_empty_weights

    from sam2lora.adapters.lora import expected_shapes
    from sam2lora.models.loading import build_network

    with init_empty_weights():  # only the shapes are needed
        network = build_network(BASE_MODELS[adapter.card.base.name])
    return expected_shapes(network, adapter.card.lora)

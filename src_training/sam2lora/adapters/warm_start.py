"""Start a training from an adapter, with the encoder frozen on request."""

from typing import TYPE_CHECKING

from torch import nn

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.lora import load_lora, lora_tensors
from sam2lora.adapters.peft_format import HEADS, PREFIX, network_part
from sam2lora.adapters.serialization import read_tensors, shapes_of
from sam2lora.errors import AdapterError
from sam2lora.settings import LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel


def warm_start_lora(settings: LoraSettings, adapter: Adapter) -> LoraSettings:
    """Return the LoRA settings of a training that starts from an adapter.

    Placement, rank and alpha are the adapter's; heads that it trained are trained further.

    Parameters
    ----------
    settings
        Requested settings. A placement, rank or alpha that is the default requests nothing.
    adapter
        The initial adapter.

    Raises
    ------
    AdapterError
        If a placement, rank or alpha is requested that is not the adapter's.
    """
    lora = adapter.card.lora
    default = LoraSettings()
    for field in ("placement", "rank", "alpha"):
        requested, actual = getattr(settings, field), getattr(lora, field)
        if requested not in (getattr(default, field), actual):
            raise AdapterError(
                f"{adapter.name!r} has LoRA of {field} {actual!r}; it cannot be trained with "
                f"{requested!r}. Leave {field} out, or start without an adapter."
            )
    return lora.model_copy(
        update={
            "dropout": settings.dropout,
            "train_heads": settings.train_heads or lora.train_heads,
        }
    )


def start_from_adapter(
    model: "PeftModel", adapter: Adapter, *, freeze_encoder: bool = False
) -> None:
    """Load an adapter's weights into a network with new LoRA, to train them further.

    Parameters
    ----------
    model
        A network from `lora.add_lora`, with the settings of `warm_start_lora`. Heads that the
        adapter did not train start with the base model's weights.
    adapter
        An adapter for the same base model (`selection.check_base`).
    freeze_encoder
        Whether everything that affects the embedding keeps the adapter's weights.

    Raises
    ------
    AdapterError
        If the adapter does not fit or is damaged.
    """
    current = lora_tensors(model)
    untrained = {
        name: tensor
        for name, tensor in current.items()
        if name.removeprefix(PREFIX).startswith(HEADS) and not adapter.card.lora.train_heads
    }
    expected = {name: shape for name, shape in shapes_of(current).items() if name not in untrained}
    load_lora(model, read_tensors(adapter, expected) | untrained, str(adapter.weights))
    if freeze_encoder:
        _freeze_encoder(model)


def _freeze_encoder(model: "PeftModel") -> None:
    """Freeze everything that affects the embedding, its dropout too, so that it stays the same."""
    for name, module in model.named_modules():
        if network_part(name) == "encoder":
            for weight in module.parameters():
                weight.requires_grad_(False)
            if isinstance(module, nn.Dropout) and ".lora_dropout." in name:
                module.p = 0.0

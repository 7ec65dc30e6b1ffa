"""Go on training from an adapter, with the encoder's share of it frozen on request."""

from typing import TYPE_CHECKING

from torch import nn

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.lora import load_lora, lora_tensors
from sam2lora.adapters.peft_format import HEADS, PREFIX, part_of
from sam2lora.adapters.serialization import read_tensors, shapes_of
from sam2lora.errors import AdapterError
from sam2lora.settings import LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel


def continued_lora(settings: LoraSettings, adapter: Adapter) -> LoraSettings:
    """Give the settings a training that starts from an adapter has.

    Placement, rank and alpha are the adapter's; heads that it trained are trained on.

    Parameters
    ----------
    settings
        What is asked for. A rank and alpha of None, and the usual placement, ask for nothing.
    adapter
        Where to start.

    Raises
    ------
    AdapterError
        If something else is asked for than the adapter has.
    """
    lora = adapter.card.lora
    usual = LoraSettings()
    for field in ("placement", "rank", "alpha"):
        asked, has = getattr(settings, field), getattr(lora, field)
        if asked not in (getattr(usual, field), has):
            raise AdapterError(
                f"{adapter.name!r} has LoRA of {field} {has!r}; it cannot go on with {asked!r}. "
                "Leave that out, or start anew."
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
    """Put an adapter's weights into a network with fresh LoRA, to train them on.

    Parameters
    ----------
    model
        From `placement.add_lora`, with settings of `continued_lora`. Heads that the adapter did not
        train start as the base has them.
    adapter
        Made for the same base (`fitting.check_base`).
    freeze_encoder
        Quick adaptation: keep all that changes the features as the adapter has it.

    Raises
    ------
    AdapterError
        If it does not fit or is damaged.
    """
    own = lora_tensors(model)
    untrained = {
        name: tensor
        for name, tensor in own.items()
        if name.removeprefix(PREFIX).startswith(HEADS) and not adapter.card.lora.train_heads
    }
    wanted = {name: shape for name, shape in shapes_of(own).items() if name not in untrained}
    load_lora(model, read_tensors(adapter, wanted) | untrained, str(adapter.weights))
    if freeze_encoder:
        _freeze_encoder(model)


def _freeze_encoder(model: "PeftModel") -> None:
    """Stop training what changes the features, its dropout too, so that they stay the same."""
    for name, module in model.named_modules():
        if part_of(name) == "encoder":
            for weight in module.parameters():
                weight.requires_grad_(False)
            if isinstance(module, nn.Dropout) and ".lora_dropout." in name:
                module.p = 0.0

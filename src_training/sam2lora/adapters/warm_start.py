"""Start a training from an adapter: its LoRA, at a lower rank on request, and its detail head."""

from typing import TYPE_CHECKING

from torch import nn

from sam2lora.adapters.detail_head import load_head, new_detail_head, read_head
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.lora import cut_rank, largest_rank, load_lora, lora_tensors
from sam2lora.adapters.peft_format import HEADS, PREFIX, network_part
from sam2lora.adapters.serialization import read_tensors, shapes_of
from sam2lora.errors import AdapterError
from sam2lora.models.detail_head import DetailHead
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.settings import DetailHeadSettings, LoraSettings

if TYPE_CHECKING:
    from peft import PeftModel


def warm_start_lora(settings: LoraSettings, adapter: Adapter) -> LoraSettings:
    """Return the LoRA settings of a training that starts from an adapter.

    Placement, rank and alpha are the adapter's; heads that it trained are trained further. A lower
    rank may be requested; alpha falls with it.

    Parameters
    ----------
    settings
        Requested settings. A placement, rank or alpha that is the default requests nothing.
    adapter
        The initial adapter.

    Raises
    ------
    AdapterError
        If a placement, alpha or higher rank is requested that is not the adapter's.
    """
    lora = adapter.card.lora
    kept = _of_rank(lora, settings.rank or lora.rank).model_copy(
        update={
            "dropout": settings.dropout,
            "train_heads": settings.train_heads or lora.train_heads,
        }
    )
    default = LoraSettings()
    for field in ("placement", "rank", "alpha"):
        requested, actual = getattr(settings, field), getattr(kept, field)
        if requested not in (getattr(default, field), actual):
            raise AdapterError(
                f"{adapter.name!r} has LoRA of {field} {getattr(lora, field)!r}; it cannot be "
                f"trained with {requested!r}. Leave {field} out, or start without an adapter."
            )
    return kept


def make_room(
    network: Sam2ImageModel, lora: LoraSettings, detail_head: DetailHeadSettings
) -> LoraSettings:
    """Return LoRA of a rank low enough that it and a detail head are below 5 % of the network.

    Parameters
    ----------
    network
        The base model's network, without LoRA.
    lora
        Settings whose rank is set; returned as they are if the rank is low enough.
    detail_head
        The new detail head.
    """
    return _of_rank(lora, largest_rank(network, lora, detail_head=detail_head))


def warm_start_head(
    network: Sam2ImageModel, settings: DetailHeadSettings | None, adapter: Adapter, *, seed: int
) -> DetailHead | None:
    """Return the detail head of a training that starts from an adapter, not attached yet.

    It is the adapter's, if it has one, else a new one as requested.

    Parameters
    ----------
    network
        The base model's network.
    settings
        The requested head; None requests none.
    adapter
        The initial adapter.
    seed
        Seed of a new head.

    Raises
    ------
    AdapterError
        If another head is requested than the adapter's, or the adapter's is damaged.
    """
    actual = adapter.card.detail_head
    if settings is not None and actual not in (None, settings):
        raise AdapterError(
            f"{adapter.name!r} has a detail head of other settings ({actual.model_dump_json()}). "
            "Leave detail_head out to train that one further."
        )
    chosen = actual or settings
    if chosen is None:
        return None
    head = new_detail_head(network, chosen, seed=seed)
    tensors = read_head(adapter, network)
    if tensors is not None:
        load_head(head, tensors, str(adapter.head_weights))
    return head


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
    ranks = {shape[0] for name, shape in expected.items() if name.endswith(".lora_A.weight")}
    stored = adapter.card.lora.rank or max(ranks)  # never None on a card
    tensors = read_tensors(adapter, {n: _stored(n, shape, stored) for n, shape in expected.items()})
    if max(ranks) < stored:
        tensors = cut_rank(tensors, max(ranks))
    load_lora(model, tensors | untrained, str(adapter.weights))
    if freeze_encoder:
        _freeze_encoder(model)


def _of_rank(lora: LoraSettings, rank: int | None) -> LoraSettings:
    """Return settings of a rank that is not above the current one, with the same scale."""
    lowest = min(rank or 1, lora.rank or 1)
    return lora.model_copy(update={"rank": lowest, "alpha": lora.scale * lowest})


def _stored(name: str, shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return the shape of a tensor in a file of LoRA of another rank."""
    if name.endswith(".lora_A.weight"):
        return rank, shape[1]
    return (shape[0], rank) if name.endswith(".lora_B.weight") else shape


def _freeze_encoder(model: "PeftModel") -> None:
    """Freeze everything that affects the embedding, its dropout too, so that it stays the same."""
    for name, module in model.named_modules():
        if network_part(name) == "encoder":
            for weight in module.parameters():
                weight.requires_grad_(False)
            if isinstance(module, nn.Dropout) and ".lora_dropout." in name:
                module.p = 0.0

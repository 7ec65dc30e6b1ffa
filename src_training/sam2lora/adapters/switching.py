"""Switch the adapter of a network for prediction, and restore the base model bit by bit.

The active adapter is merged into the weights, so that predictions take no longer. Subtracting it
again would leave rounding errors, so the original weights are kept and copied back instead.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from sam2lora.adapters.detail_head import load_head, new_detail_head, read_head
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.lora import expected_shapes
from sam2lora.adapters.peft_format import PREFIX, NetworkPart, network_part
from sam2lora.adapters.selection import check_base
from sam2lora.adapters.serialization import read_tensors
from sam2lora.models.loading import LoadedModel

NO_ADAPTER = "bare"
"""State of a part of the network that no adapter changes."""


class AdapterManager:
    """The active adapter of one network; nothing else may change the network's weights.

    Parameters
    ----------
    base
        The base model, without LoRA; it may be moved between devices.

    Attributes
    ----------
    adapter
        The active adapter, or None for the base model without adapter.
    encoder_state, decoder_state
        Hashes of the adapter's tensors that affect the embedding and the decoding (the detail
        head included), or
        `NO_ADAPTER`. Adapters of one encoder state can share embeddings.
    """

    def __init__(self, base: LoadedModel) -> None:
        self._base = base
        self._originals: dict[str, Tensor] = {}
        self.adapter: Adapter | None = None
        self.encoder_state = self.decoder_state = NO_ADAPTER

    def activate(self, adapter: Adapter | None) -> None:
        """Activate an adapter, or None for the base model without adapter.

        Its files are read again each time, unless it is the very object that is active.

        Raises
        ------
        AdapterError
            If it is for another base model, does not fit, or is damaged; the active one stays.
        """
        if adapter is self.adapter:
            return
        if adapter is None:
            self._restore()
            return
        check_base(adapter, self._base.spec.name, self._base.weights_sha256)
        # Names and shapes are the same whether or not another adapter is merged.
        expected = expected_shapes(self._base.network, adapter.card.lora)
        tensors = read_tensors(adapter, expected)
        head = read_head(adapter, self._base.network)
        self._restore()
        try:
            self._merge(tensors, adapter.card.lora.scale)
            self._attach(adapter, head)
        except BaseException:
            self._restore()
            raise
        self.adapter = adapter
        self.encoder_state = _state(tensors, adapter.card.lora.scale, "encoder")
        self.decoder_state = _state(tensors, adapter.card.lora.scale, "decoder", head or {})

    def _attach(self, adapter: Adapter, tensors: Mapping[str, Tensor] | None) -> None:
        """Attach the adapter's detail head, if it has one."""
        settings, network = adapter.card.detail_head, self._base.network
        if settings is not None and tensors is not None:
            head = new_detail_head(network, settings).requires_grad_(False)
            load_head(head, tensors, str(adapter.head_weights))
            network.attach_detail_head(head)

    @torch.no_grad()
    def _merge(self, tensors: Mapping[str, Tensor], scale: float) -> None:
        for name, tensor in tensors.items():
            if name.endswith(".lora_B.weight"):
                continue
            module = name.removesuffix(".lora_A.weight")
            is_lora = module != name
            weight_name = (f"{module}.weight" if is_lora else name).removeprefix(PREFIX)
            weight = self._base.network.get_parameter(weight_name)
            self._originals[weight_name] = weight.detach().to("cpu", copy=True)
            first = tensor.to(weight.device)
            if is_lora:
                second = tensors[f"{module}.lora_B.weight"].to(weight.device)
                weight.add_(second @ first, alpha=scale)
            else:
                weight.copy_(first)

    @torch.no_grad()
    def _restore(self) -> None:
        for name, weight in self._originals.items():
            self._base.network.get_parameter(name).copy_(weight)
        self._originals.clear()
        self._base.network.attach_detail_head(None)
        self.adapter = None
        self.encoder_state = self.decoder_state = NO_ADAPTER


def _state(
    tensors: Mapping[str, Tensor],
    scale: float,
    part: NetworkPart,
    head: Mapping[str, Tensor] = MappingProxyType({}),
) -> str:
    """Hash the tensors of a part and of a detail head, and the scale LoRA is added with."""
    digest = hashlib.sha256(f"{scale!r}".encode())
    hashed = {name: tensor for name, tensor in tensors.items() if network_part(name) == part}
    hashed |= {f"detail_head.{name}": tensor for name, tensor in head.items()}
    for name, tensor in sorted(hashed.items()):
        digest.update(f"{name}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest() if hashed else NO_ADAPTER

"""Trainable models, LoRA on a frozen base or the base itself, and how they are saved."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor

from sam2lora.adapters import (
    Adapter,
    AdapterCard,
    AdapterReference,
    BaseReference,
    check_base,
    check_target,
    find_adapter,
)
from sam2lora.adapters.card import check_name, library_versions, now
from sam2lora.adapters.detail_head import head_tensors, load_head, new_detail_head
from sam2lora.adapters.lora import (
    SHARE_LIMIT,
    add_lora,
    load_lora,
    lora_tensors,
    resolve_lora,
    share_of,
)
from sam2lora.adapters.serialization import save_adapter
from sam2lora.adapters.warm_start import (
    make_room,
    start_from_adapter,
    warm_start_head,
    warm_start_lora,
)
from sam2lora.errors import AdapterError, SettingsError, TrainingError
from sam2lora.models.detail_head import DetailHead
from sam2lora.models.loading import LoadedModel, load_base, random_base
from sam2lora.models.weights import LEARNED, MASK_TOKEN
from sam2lora.settings import LoraSettings
from sam2lora.targets import get_target
from sam2lora.training.prompted_model import PromptedNetwork, checkpoint_blocks
from sam2lora.training.settings import TrainSettings
from sam2lora.training.validation import Validation
from sam2lora.utils.folders import new_folder

logger = logging.getLogger(__name__)

_HEAD = "detail_head."  # before the names of its tensors in a checkpoint


@dataclass(frozen=True)
class TrainingResult:
    """Facts about a trained model besides its weights, for its card.

    Attributes
    ----------
    name
        Name of the adapter.
    step
        Optimizer step at which the weights are saved.
    validation
        Result on the validation images.
    data, data_hash
        Number of images by dataset, and hash of all files used.
    computed
        Device, precision, processes and batch size that were used.
    start_dice
        Dice of the initial adapter on the same validation images; None without one.
    """

    name: str
    step: int
    validation: Validation
    data: Mapping[str, Any]
    data_hash: str
    computed: Mapping[str, Any]
    start_dice: float | None = None


class TrainableModel(Protocol):
    """A model in training.

    Attributes
    ----------
    base
        The loaded base model, whose network holds the LoRA layers, if any.
    model
        The network as a module that predicts batches.
    """

    base: LoadedModel
    model: PromptedNetwork

    def tensors(self) -> dict[str, Tensor]:
        """Return the trained tensors by name: those of the network, not copies."""

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        """Set the trained tensors, for example from a checkpoint."""

    def save(self, folder: Path, record: TrainingResult) -> None:
        """Save the current weights; the folder appears complete or not at all."""


def make_trainable(settings: TrainSettings, *, start: Adapter | None = None) -> TrainableModel:
    """Load the base model and create the trainable model of the settings.

    Parameters
    ----------
    settings
        Training settings.
    start
        The initial adapter that `settings.start_from` names (`find_start`).

    Raises
    ------
    ModelError, AdapterError
        If the base model or the initial adapter cannot be loaded or do not fit.
    SettingsError
        If settings contradict each other.
    """
    if settings.freeze_network and settings.freeze_encoder:
        raise SettingsError(
            "freeze_network leaves only the detail head to train, freeze_encoder the decoder's "
            "LoRA: use one of them."
        )
    if settings.freeze_encoder and not start:
        raise SettingsError(
            "Quick adapt (freeze_encoder) needs an initial adapter: name one by --start-from. To "
            "train a new adapter, use the preset 'standard'."
        )
    if settings.train == "base":
        if settings.detail_head or settings.freeze_network:
            raise SettingsError(
                "A detail head belongs to an adapter, not to a base model: leave out detail_head "
                "and freeze_network (preset 'detail'), or train an adapter (train=adapter)."
            )
        if settings.start_from:
            raise SettingsError(
                f"A base model cannot start from an adapter (start_from {settings.start_from!r}). "
                "Name the initial weights by --model."
            )
        return _TrainableBase(settings)
    if settings.from_scratch:
        raise SettingsError(
            "An adapter on random weights is of no use: from_scratch is for train=base only."
        )
    if settings.also:
        raise SettingsError(
            f"An adapter learns one target: {settings.target!r}. Leave out {settings.also!r} "
            "(also), or train a base model (train=base)."
        )
    return _TrainableLora(settings, start)


def find_start(settings: TrainSettings) -> Adapter | None:
    """Find the initial adapter of a training; None if it has none.

    Raises
    ------
    AdapterError
        If it is missing or damaged.
    """
    return find_adapter(settings.start_from) if settings.start_from else None


class _TrainableLora:
    def __init__(self, settings: TrainSettings, start: Adapter | None) -> None:
        self._settings = settings
        self._start = start
        self.base = load_base(settings.model)
        if start:
            check_base(start, self.base.spec.name, self.base.weights_sha256)
            check_target(start, get_target(settings.target))
        network = self.base.network
        self._lora = self._lora_settings()
        self._peft = add_lora(network, self._lora, seed=settings.seed)
        if start:
            start_from_adapter(self._peft, start, freeze_encoder=settings.freeze_encoder)
        self._head = self._detail_head()
        network.attach_detail_head(self._head)
        if self._head is not None:
            self._check_share(self._head)
        if settings.freeze_network:
            self._freeze_network()
        self.model = _prompted(self.base, settings)

    def _lora_settings(self) -> LoraSettings:
        """Return the settings of LoRA, of a rank that leaves room for a new detail head."""
        settings, start, network = self._settings, self._start, self.base.network
        if start is None:
            return resolve_lora(network, settings.lora, detail_head=settings.detail_head)
        lora = warm_start_lora(settings.lora, start)
        if settings.detail_head and not start.card.detail_head and settings.lora.rank is None:
            return make_room(network, lora, settings.detail_head)
        return lora

    def _detail_head(self) -> DetailHead | None:
        settings, start, network = self._settings, self._start, self.base.network
        if start is not None:
            return warm_start_head(network, settings.detail_head, start, seed=settings.seed)
        if settings.detail_head is None:
            return None
        return new_detail_head(network, settings.detail_head, seed=settings.seed)

    def _check_share(self, head: DetailHead) -> None:
        """Log a warning if LoRA and the detail head together exceed 5 % of the base."""
        share = share_of(self._weights(), self._peft)
        if share > SHARE_LIMIT:
            logger.warning(
                "LoRA of rank %s and the detail head have %.2f %% of the base's weights, more than "
                "the %.0f %% this method is meant for. A smaller rank or fewer channels need less.",
                *(self._lora.rank, share, SHARE_LIMIT),
            )

    def _freeze_network(self) -> None:
        """Freeze everything but the detail head."""
        if self._head is None:
            raise SettingsError(
                "freeze_network trains only the detail head, and there is none: set detail_head, "
                "or use the preset 'detail'."
            )
        self.base.network.requires_grad_(False)
        self._head.requires_grad_(True)

    def tensors(self) -> dict[str, Tensor]:
        head = head_tensors(self._head) if self._head else {}
        return lora_tensors(self._peft) | {_HEAD + name: head[name] for name in head}

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        head = {
            name.removeprefix(_HEAD): tensor
            for name, tensor in tensors.items()
            if name.startswith(_HEAD)
        }
        lora = {name: tensor for name, tensor in tensors.items() if not name.startswith(_HEAD)}
        if self._head is None and head:
            raise AdapterError(f"{source}: holds a detail head, which this training does not have.")
        load_lora(self._peft, lora, source)
        if self._head is not None:
            load_head(self._head, head, source)

    def save(self, folder: Path, record: TrainingResult) -> None:
        settings, validation = self._settings, record.validation
        start, start_dice, target = self._start, record.start_dice, get_target(settings.target)
        measure = target.measure.lower()
        card = AdapterCard(
            name=record.name,
            target=target,
            base=BaseReference(name=self.base.spec.name, identity=self.base.weights_sha256),
            geometry=settings.geometry_for(target.name),
            lora=self._lora,
            detail_head=self._head.settings if self._head else None,
            threshold=validation.threshold,
            iou_offset=validation.iou_offset if self._head else 0.0,
            multimask_token=settings.multimask_token,
            trainable=self._weights(),
            share=share_of(self._weights(), self.model),
            training=_shareable(settings) | dict(record.computed) | {"step": record.step},
            data=dict(record.data),
            data_hash=record.data_hash,
            validation={
                measure: validation.dice,
                "loss": validation.loss,
                "images": len(validation.per_image),
                **({} if start_dice is None else {f"start_{measure}": start_dice}),
            },
            started_from=(
                AdapterReference(name=start.name, digest=start.digest()) if start else None
            ),
            versions=library_versions(),
            created=now(),
        )
        head = head_tensors(self._head) if self._head else None
        save_adapter(lora_tensors(self._peft), card, folder, head=head, replace=True)

    def _weights(self) -> int:
        """Count the weights of the adapter, whether this training changes them or not."""
        head = 0 if self._head is None else sum(w.numel() for w in self._head.parameters())
        return head + sum(tensor.numel() for tensor in lora_tensors(self._peft).values())


class _TrainableBase:
    def __init__(self, settings: TrainSettings) -> None:
        self._settings = settings
        self.base = (
            random_base(settings.model) if settings.from_scratch else load_base(settings.model)
        )
        self.base.network.requires_grad_(True)
        self.model = _prompted(self.base, settings)

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.base.network.state_dict())

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        current = self.tensors()
        if current.keys() != tensors.keys():
            raise SettingsError(f"{source}: does not fit the model {self.base.spec.name!r}.")
        with torch.no_grad():
            for name, tensor in current.items():
                tensor.copy_(tensors[name])

    def save(self, folder: Path, record: TrainingResult) -> None:
        tensors = {
            name: tensor.detach().to("cpu", torch.float16).contiguous()
            for name, tensor in self.tensors().items()
        }
        overflowing = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        if overflowing:
            raise TrainingError(
                f"The weights {', '.join(overflowing[:3])} exceed the range of float16."
            )
        token = "first of three" if self._settings.multimask_token else "single"
        learned = {**self.base.learned_from, **record.data["images"]}
        notes = {
            "format": "pt",
            MASK_TOKEN: token,
            "step": str(record.step),
            "targets": json.dumps(self._settings.targets),
            LEARNED: json.dumps({**record.data, "images": learned}),
            "data_hash": record.data_hash,
        }
        with new_folder(folder, replace=True) as partial:
            path = partial / f"{self.base.spec.name}.safetensors"
            path.write_bytes(safetensors.torch.save(tensors, metadata=notes))


def _shareable(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings without paths and device of this computer, which are private."""
    return settings.model_dump(mode="json", exclude={"data", "model", "start_from", "device"})


def _prompted(base: LoadedModel, settings: TrainSettings) -> PromptedNetwork:
    if settings.gradient_checkpointing:
        checkpoint_blocks(base.network)
    return PromptedNetwork(
        base.network,
        multimask_token=settings.multimask_token,
        only_head=settings.freeze_network,
    )


def name_of_run(folder: Path) -> str:
    """Return a name for a run's adapter: that of the folder, in the characters allowed."""
    letters = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("._-")[:60]
    try:
        return check_name(letters.rstrip("._-"))
    except AdapterError:  # empty, or a name reserved by Windows
        return f"run-{letters.replace('.', '-')}".rstrip("-")

"""What is trained, LoRA on a frozen base or the base itself, and how its result is written."""

import json
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
from sam2lora.adapters.lora import (
    add_lora,
    load_lora,
    lora_tensors,
    resolve_lora,
    trainable_count,
    trainable_share,
)
from sam2lora.adapters.serialization import save_adapter
from sam2lora.adapters.warm_start import start_from_adapter, warm_start_lora
from sam2lora.errors import AdapterError, SettingsError, TrainingError
from sam2lora.models.loading import LoadedModel, load_base, random_base
from sam2lora.models.weights import LEARNED, MASK_TOKEN
from sam2lora.settings import LoraSettings
from sam2lora.targets import get_target
from sam2lora.training.prompted_model import PromptedNetwork, checkpoint_blocks
from sam2lora.training.settings import TrainSettings
from sam2lora.training.validation import Validation
from sam2lora.utils.folders import new_folder


@dataclass(frozen=True)
class TrainingResult:
    """What is known about a result beside its weights, for its card.

    Attributes
    ----------
    start_dice
        Of what the training started from, on the same validation images; None: of nothing.
    """

    name: str
    step: int
    validation: Validation
    data: Mapping[str, Any]
    data_hash: str
    computed: Mapping[str, Any]
    start_dice: float | None = None


class TrainableModel(Protocol):
    """A network in training.

    Attributes
    ----------
    base
        With the network itself, LoRA inside if there is one.
    model
        What answers batches.
    """

    base: LoadedModel
    model: PromptedNetwork

    def tensors(self) -> dict[str, Tensor]:
        """Give what is trained, by name: the network's own tensors, not copies."""

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        """Put trained tensors back, as from a checkpoint."""

    def save(self, folder: Path, record: TrainingResult) -> None:
        """Write the result as it is now; the folder appears whole or not at all."""


def make_trainable(settings: TrainSettings, *, start: Adapter | None = None) -> TrainableModel:
    """Load the base model and make trainable what the settings say.

    Parameters
    ----------
    settings
        Of the training.
    start
        The adapter that `settings.start_from` names (`find_start`).

    Raises
    ------
    ModelError, AdapterError
        If the base model or the adapter to start from cannot be loaded or do not fit.
    SettingsError
        If settings contradict each other.
    """
    if settings.freeze_encoder and not start:
        raise SettingsError(
            "Quick adapt (freeze_encoder) goes on from an adapter: name one by --start-from. A new "
            "adapter is trained by the preset 'standard'."
        )
    if settings.train == "base":
        if settings.start_from:
            raise SettingsError(
                f"A base model cannot go on from an adapter (start_from {settings.start_from!r}). "
                "Give the weights to go on from by --model."
            )
        return _TrainableBase(settings)
    if settings.from_scratch:
        raise SettingsError(
            "An adapter on random weights learns nothing of use: from_scratch is for train=base."
        )
    if settings.also:
        raise SettingsError(
            f"An adapter learns one target: {settings.target!r}. Leave out {settings.also!r} "
            "(also), or train a base model (train=base)."
        )
    return _TrainableLora(settings, start)


def find_start(settings: TrainSettings) -> Adapter | None:
    """Find the adapter a training goes on from, if it does.

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
        asked = settings.lora
        lora = warm_start_lora(asked, self._start) if self._start else resolve_lora(network, asked)
        self._lora: LoraSettings = lora
        self._peft = add_lora(network, lora, seed=settings.seed)
        if self._start:
            start_from_adapter(self._peft, self._start, freeze_encoder=settings.freeze_encoder)
        self.model = _prompted(self.base, settings)

    def tensors(self) -> dict[str, Tensor]:
        return lora_tensors(self._peft)

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        load_lora(self._peft, tensors, source)

    def save(self, folder: Path, record: TrainingResult) -> None:
        settings, validation = self._settings, record.validation
        start, before = self._start, record.start_dice
        card = AdapterCard(
            name=record.name,
            target=get_target(settings.target),
            base=BaseReference(name=self.base.spec.name, identity=self.base.weights_sha256),
            geometry=settings.geometry_for(settings.target),
            lora=self._lora,
            threshold=validation.threshold,
            multimask_token=settings.multimask_token,
            trainable=trainable_count(self.model),
            share=trainable_share(self.model),
            training=_shareable(settings) | dict(record.computed) | {"step": record.step},
            data=dict(record.data),
            data_hash=record.data_hash,
            validation={
                "dice": validation.dice,
                "loss": validation.loss,
                "images": len(validation.per_image),
                **({} if before is None else {"start_dice": before}),
            },
            started_from=(
                AdapterReference(name=start.name, digest=start.digest()) if start else None
            ),
            versions=library_versions(),
            created=now(),
        )
        save_adapter(self.tensors(), card, folder, replace=True)


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
        own = self.tensors()
        if own.keys() != tensors.keys():
            raise SettingsError(f"{source}: does not fit the model {self.base.spec.name!r}.")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])

    def save(self, folder: Path, record: TrainingResult) -> None:
        tensors = {
            name: tensor.detach().to("cpu", torch.float16).contiguous()
            for name, tensor in self.tensors().items()
        }
        wrong = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        if wrong:
            raise TrainingError(f"The weights {', '.join(wrong[:3])} do not fit float16.")
        token = "first of three" if self._settings.multimask_token else "single"
        learned = {**self.base.learned_from, **record.data["images"]}  # it may go on from another
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
    """Give the settings without where files lie on this computer, which is nobody's business."""
    return settings.model_dump(mode="json", exclude={"data", "model", "start_from", "device"})


def _prompted(base: LoadedModel, settings: TrainSettings) -> PromptedNetwork:
    if settings.gradient_checkpointing:
        checkpoint_blocks(base.network)
    return PromptedNetwork(base.network, multimask_token=settings.multimask_token)


def name_of_run(folder: Path) -> str:
    """Give a name for a run's adapter: the folder's, in the letters a name may have."""
    letters = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("._-")[:60]
    try:
        return check_name(letters.rstrip("._-"))
    except AdapterError:  # nothing left, or a name that Windows keeps for itself
        return f"run-{letters.replace('.', '-')}".rstrip("-")

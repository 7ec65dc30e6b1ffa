"""What a predictor is loaded from, so that another process can load the same."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from sam2lora.adapters import Adapter
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.errors import AdapterError, ModelError
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.segment import SegmentationTask
from sam2lora.models.loading import load_base
from sam2lora.settings import Precision


@dataclass(frozen=True)
class PredictorSource:
    """What a predictor is loaded from.

    Attributes
    ----------
    model
        Name of the base model, or its file.
    weights_sha256
        Hash that its weights must have.
    adapters
        Adapters that will be used, with the digests that they must have.
    device
        Where it computes.
    precision
        In which precision, the same for all processes.
    """

    model: str
    weights_sha256: str
    adapters: tuple[tuple[Adapter, str], ...]
    device: str
    precision: Precision

    @classmethod
    def of(cls, predictor: Predictor, tasks: Sequence[SegmentationTask], *, device: str) -> Self:
        """Describe a predictor that computes on another device.

        Parameters
        ----------
        predictor
            The predictor.
        tasks
            What it will predict.
        device
            As for `choose_device`.

        Raises
        ------
        AdapterError
            If the files of an adapter can no longer be read.
        """
        used = {adapter.folder: adapter for adapter in _adapters(tasks)}
        adapters = tuple((adapter, adapter.digest()) for adapter in used.values())
        base = predictor.base
        return cls(base.given, base.weights_sha256, adapters, device, predictor.precision)

    def load(self) -> Predictor:
        """Load it in this process, which then keeps freed memory.

        Raises
        ------
        AdapterError
            If an adapter is missing or has other weights here.
        DeviceError
            If the device does not exist or does not support the precision.
        ModelError
            If the model is missing or has other weights here.
        OutputError
            If a download cannot be written.
        """
        keep_freed_memory()
        base = load_base(self.model)
        if base.weights_sha256 != self.weights_sha256:
            raise ModelError(f"{self.model}: has other weights on a worker than for the command.")
        for adapter, digest in self.adapters:
            if adapter.digest() != digest:
                raise AdapterError(
                    f"{adapter.folder}: has other weights on a worker than for the command."
                )
        return Predictor(base, device=self.device, precision=self.precision)


def load_from(predictor: Predictor | PredictorSource) -> Predictor:
    """Return the predictor, loaded if it is not."""
    return predictor.load() if isinstance(predictor, PredictorSource) else predictor


def _adapters(tasks: Iterable[SegmentationTask]) -> Iterator[Adapter]:
    for task in tasks:
        if task.adapter is not None:
            yield task.adapter
        if task.outer is not None:
            yield from _adapters([task.outer])

"""Training samples and optimizer steps of settings, for tests of training."""

from collections.abc import Callable

from accelerate import Accelerator

from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.runs import Event, RunFolder
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import TrainingDataset, TrainingSample
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import TrainableModel, make_trainable

Make = Callable[..., TrainSettings]
Begin = Callable[..., RunFolder]
RunThrough = Callable[..., tuple[RunFolder, list[Event]]]


def dataset_of(settings: TrainSettings, *, size: int = 128) -> TrainingDataset:
    """Create the training dataset of settings, with windows of `size` pixels."""
    return TrainingDataset(plan_data(settings).groups, settings, size=size, mask_size=size // 4)


def samples_of(settings: TrainSettings, *indices: int) -> list[TrainingSample]:
    """Return the training samples with these indices."""
    dataset = dataset_of(settings)
    return [dataset.sample(index) for index in indices]


def optimizer_step_of(
    settings: TrainSettings, trainable: TrainableModel | None = None
) -> OptimizerStep:
    """Create the optimizer step of settings on the CPU, for a new model if none is given."""
    features = EmbeddingCache(1 << 30)
    model = make_trainable(settings) if trainable is None else trainable
    return OptimizerStep(model, settings, Accelerator(cpu=True), features)

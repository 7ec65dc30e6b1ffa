"""What a checkpoint of a training holds: written between two steps, to resume exactly there."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from sam2lora.errors import TrainingError
from sam2lora.runs import RunFolder
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.trainable import TrainableModel


@dataclass
class TrainingState:
    """What a checkpoint keeps beside the tensors.

    Attributes
    ----------
    step
        Optimizer steps done.
    batch
        Samples in memory at once; halved where they were too many.
    best_dice, best_step
        The best mean validation Dice, and where it was.
    worse
        Validations in a row that were not better.
    """

    step: int = 0
    batch: int = 1
    best_dice: float | None = None
    best_step: int | None = None
    worse: int = 0


_KEYS = {
    *(one.name for one in fields(TrainingState)),
    *("identity", "tensors", "optimizer", "scaler"),
}


def save_training(
    run: RunFolder, state: TrainingState, model: TrainableModel, optimizer: OptimizerStep
) -> None:
    """Write the state of a training to its run folder, in place of the last one.

    Raises
    ------
    OutputError
        If it cannot be written; the older one stays.
    """
    tensors = {name: tensor.detach().cpu() for name, tensor in model.tensors().items()}
    run.save_checkpoint(
        asdict(state)
        | {
            "identity": model.base.weights_sha256,
            "tensors": tensors,
            "optimizer": optimizer.optimizer.state_dict(),
            "scaler": optimizer.scaler.state_dict(),
        }
    )


def load_training(
    run: RunFolder, model: TrainableModel, optimizer: OptimizerStep, *, base: str
) -> TrainingState:
    """Read the state of a training from its run folder, into the model and the optimizer.

    Parameters
    ----------
    run
        The run folder, with a checkpoint.
    model, optimizer
        As they were made for this run; they are changed.
    base
        How the settings name the base model, for messages.

    Raises
    ------
    TrainingError
        If it is of another version of this package, or was made on another base model.
    ModelError
        If it is missing or damaged.
    DeviceError
        If the memory does not suffice.
    """
    content = run.load_checkpoint(map_location=optimizer.device)
    _check(content, run, model, base)
    model.load(content["tensors"], str(run.checkpoint))
    optimizer.optimizer.load_state_dict(content["optimizer"])
    if content["scaler"]:  # it is empty where losses are not scaled, as on a CPU
        optimizer.scaler.load_state_dict(content["scaler"])
    return TrainingState(**{one.name: content[one.name] for one in fields(TrainingState)})


def _check(content: dict[str, Any], run: RunFolder, model: TrainableModel, base: str) -> None:
    """Check whether a checkpoint is of this version and of this base model."""
    missing = _KEYS - content.keys()
    if missing:
        raise TrainingError(
            f"{run.checkpoint}: is of another version; {', '.join(sorted(missing))} is not in it. "
            "Begin a new run from the best adapter."
        )
    if content["identity"] != model.base.weights_sha256:
        raise TrainingError(
            f"{run.checkpoint}: was made on another base model than {base!r} is now. Put the old "
            "one back, or start a new run."
        )

"""Save and load training checkpoints, written between two steps so that a run resumes exactly."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from sam2lora.errors import TrainingError
from sam2lora.runs import RunFolder
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.trainable import TrainableModel


@dataclass
class TrainingState:
    """Progress of a training, kept in a checkpoint next to the tensors.

    Attributes
    ----------
    step
        Number of optimizer steps done.
    batch
        Samples processed at once; halved whenever the memory did not suffice.
    best_dice, best_step
        Highest mean validation Dice so far, and its step; None before the first validation.
    worse
        Number of validations in a row without a new best.
    """

    step: int = 0
    batch: int = 1
    best_dice: float | None = None
    best_step: int | None = None
    worse: int = 0


_KEYS = {
    *(field.name for field in fields(TrainingState)),
    *("identity", "tensors", "optimizer", "scaler"),
}


def save_training(
    run: RunFolder, state: TrainingState, model: TrainableModel, optimizer: OptimizerStep
) -> None:
    """Write a checkpoint to the run folder, replacing the last one.

    Raises
    ------
    OutputError
        If it cannot be written; the previous checkpoint is kept.
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
    """Load the checkpoint of a run folder into the model and the optimizer.

    Parameters
    ----------
    run
        Run folder that holds a checkpoint.
    model, optimizer
        Model and optimizer created for this run; both are modified in place.
    base
        Name of the base model in the settings, for error messages.

    Returns
    -------
    The progress of the training when the checkpoint was written.

    Raises
    ------
    TrainingError
        If the checkpoint was written by another version or with another base model.
    ModelError
        If it is missing or damaged.
    DeviceError
        If it does not fit into memory.
    """
    content = run.load_checkpoint(map_location=optimizer.device)
    _check(content, run, model, base)
    model.load(content["tensors"], str(run.checkpoint))
    optimizer.optimizer.load_state_dict(content["optimizer"])
    if content["scaler"]:  # empty where losses are not scaled, as on a CPU
        optimizer.scaler.load_state_dict(content["scaler"])
    return TrainingState(**{field.name: content[field.name] for field in fields(TrainingState)})


def _check(content: dict[str, Any], run: RunFolder, model: TrainableModel, base: str) -> None:
    """Check whether a checkpoint matches this version and the base model."""
    missing = _KEYS - content.keys()
    if missing:
        raise TrainingError(
            f"{run.checkpoint}: was written by another version; {', '.join(sorted(missing))} is "
            "missing. Start a new run from the best adapter."
        )
    if content["identity"] != model.base.weights_sha256:
        raise TrainingError(
            f"{run.checkpoint}: was written with another base model than the current {base!r}. "
            "Restore the old weights, or start a new run."
        )

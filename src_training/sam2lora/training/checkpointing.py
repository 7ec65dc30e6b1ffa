"""Save and load training checkpoints, written between two steps so that a run resumes exactly."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor
from torch.optim import Optimizer

from sam2lora.compute.device import explain_out_of_memory
from sam2lora.errors import TrainingError
from sam2lora.runs import RunFolder
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.trainable import TrainableModel

_Count = Annotated[int, Field(ge=0, strict=True)]


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

    step: _Count = 0
    batch: Annotated[_Count, Field(ge=1)] = 1
    best_dice: Annotated[float, Field(ge=0, le=1, strict=True)] | None = None
    best_step: _Count | None = None
    worse: _Count = 0


_STATE = TypeAdapter(TrainingState)


_MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, for each weight
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
        If the checkpoint was written by another version or with another base model, or its values
        are not those of a training.
    ModelError
        If it is missing or damaged.
    DeviceError
        If it does not fit into memory.
    """
    content = run.load_checkpoint(map_location=optimizer.device)
    _check(content, run, model, base)
    progress = {field.name: content[field.name] for field in fields(TrainingState)}
    try:
        state = _STATE.validate_python(progress)
        _check_tensors(content["tensors"], model.tensors(), "tensors")
        _check_optimizer(content["optimizer"], optimizer.optimizer)
        with explain_out_of_memory(optimizer.device, "Resuming a training"):
            optimizer.optimizer.load_state_dict(content["optimizer"])
        _check_scaler(content["scaler"])
        if content["scaler"]:  # empty where losses are not scaled, as on a CPU
            optimizer.scaler.load_state_dict(content["scaler"])
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        # torch checks states of optimizers and scalers little, and raises any of these.
        raise TrainingError(
            f"{run.checkpoint}: holds other values than a training writes ({_reason(error)}). "
            f"Start a new run from the best adapter in {run.adapters}, or delete this file to "
            "start this one again."
        ) from error
    model.load(content["tensors"], str(run.checkpoint))
    return state


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


def _check_tensors(found: Mapping[str, object], expected: Mapping[str, Tensor], place: str) -> None:
    """Check whether values are tensors with the names and shapes of others, of finite numbers.

    Raises
    ------
    TypeError
        If they are not; the message names the first.
    """
    for name in sorted({*found, *expected}, key=str):
        tensor, other = found.get(name), expected.get(name)
        if not isinstance(tensor, Tensor) or other is None or tensor.shape != other.shape:
            raise TypeError(f"{place}: {name!r} is {_kind(tensor)} instead of {_kind(other)}")
        if not tensor.isfinite().all():
            raise TypeError(f"{place}: {name!r} holds values that are not finite numbers")


def _check_optimizer(found: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Check whether a state belongs to an optimizer, which `load_state_dict` does in part.

    Raises
    ------
    TypeError, LookupError, AttributeError
        If it does not.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, state in found["state"].items():
        place = f"optimizer state {number}"
        moments = {name: value for name, value in state.items() if name != "step"}
        _check_tensors(moments, dict.fromkeys(_MOMENTS, weights[number]), place)
        if not isinstance(state["step"], Tensor) or state["step"].numel() != 1:
            raise TypeError(f"{place}: 'step' is {_kind(state['step'])} instead of a number")
    for group, own in zip(found["param_groups"], optimizer.param_groups, strict=True):
        for name, value in own.items():
            if name != "params" and type(group[name]) is not type(value):
                raise TypeError(f"optimizer: {name!r} is {_kind(group[name])}")


def _check_scaler(found: object) -> None:
    """Check whether a state holds finite numbers only, which only a GPU's scaler would notice.

    Raises
    ------
    TypeError
        If it does not.
    """
    if not isinstance(found, dict):
        raise TypeError(f"'scaler' is {_kind(found)}")
    for name, value in found.items():
        if not (isinstance(value, int | float) and math.isfinite(value)):
            raise TypeError(f"scaler: {name!r} is {_kind(value)} instead of a finite number")


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return "missing" if value is None else f"a {type(value).__name__}"


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).partition("\n")[0] or type(error).__name__

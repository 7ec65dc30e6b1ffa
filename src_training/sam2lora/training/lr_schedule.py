"""The learning rate as a pure function of the step, so that resuming needs no stored state."""

import math

from sam2lora.training.settings import OptimizerSettings

_FLOOR = 0.01  # of the highest learning rate, at the end of a cosine


def learning_rate(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    step
        Index of the step, from 0.
    steps
        Number of steps of the whole training.
    settings
        Highest learning rate, schedule, warm-up and restarts.

    References
    ----------
    Loshchilov, Hutter: "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "restarts":
        progress = (step % settings.restart_every) / settings.restart_every
        return settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    progress = (step - settings.warmup) / max(1, steps - settings.warmup)
    cosine = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return settings.learning_rate * (_FLOOR + (1 - _FLOOR) * cosine)

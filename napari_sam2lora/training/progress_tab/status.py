"""Progress of a training as a bar and a message: time left, memory, and how it ended."""

from collections.abc import Iterable

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph
from napari_sam2lora.training.run.history import RunHistory
from sam2lora.runs import RunStatus

_NOTHING_TO_LEARN = 0.9995  # validation Dice before the first step
_LITTLE_TO_LEARN = 0.98  # the same
_NAMES = 3  # that a message lists

_MESSAGES = {
    "new": "",
    "starting": "Starting: preparing the model and the images.",
    "running": "Training",
    "paused": "Paused; its memory stays in use.",
    "finished": "Finished.",
    "stopped": "Stopped.",
    "failed": "Failed.",
    "interrupted": "Interrupted.",
    "damaged": "Damaged.",
    "gone": "Gone.",
}


class RunProgressView(QWidget):
    """Shows the state of the run that is followed."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = QProgressBar()
        self._bar.setFormat("step %v of %m")
        self._dice = Paragraph()
        self._state = Paragraph()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._bar, self._state, self._dice):
            layout.addWidget(widget)

    def show_run(
        self, status: RunStatus | None, history: RunHistory, validate_every: int | None = None
    ) -> None:
        """Show a run, or that there is none."""
        begun, last = history.started, history.step
        self._bar.setVisible(status is not None)
        # Not 0 of 0, which Qt shows as a bar that moves: it has the whole window drawn again and
        # again, and without a graphics card that takes the time the training needs to begin.
        self._bar.setMaximum(begun.steps if begun else 1)
        self._bar.setTextVisible(begun is not None)
        self._bar.setValue(last.step if last else 0)
        if status is None:
            self._state.setText("No training yet. Select images, and press Train.")
            self._dice.setText("")
            return
        self._state.setText(describe_state(status, history, validate_every))
        self._dice.setText(describe_dice(history))


def describe_state(
    status: RunStatus, history: RunHistory, validate_every: int | None = None
) -> str:
    """Describe the state of a run, and what one that ended early can resume from."""
    parts = [_MESSAGES[status.state], status.message]
    last = history.step
    if status.state == "running" and last is not None:
        left = history.seconds_left(validate_every)
        time = "" if left is None else f", about {duration(left)} left"
        device = "" if last.device_bytes is None else f", {gib(last.device_bytes)} on the GPU"
        parts = [f"Training{time}; memory {gib(last.host_bytes)}{device}."]
    if status.ended_early:
        parts.append(_last_good(history))
    return " ".join(filter(None, [*parts, *history.warnings]))


def describe_dice(history: RunHistory) -> str:
    """Describe the best validation Dice or closeness, compared with that of the initial adapter."""
    validations = history.validations
    if not validations:
        return ""
    best, step, start = validations[-1].best, validations[-1].best_step, history.start_dice
    if best is None:
        return ""
    if start is not None and start >= _NOTHING_TO_LEARN:
        return (
            f"The initial adapter finds these already (validation {history.measure} 1.000): there "
            "is nothing to learn. Correct what is wrong first."
        )
    if start is not None and step == 0:
        text = f"Validation {history.measure}: {start:.3f} at the start"
        if len(validations) == 1:
            return f"{text}."
        if start < _LITTLE_TO_LEARN:
            return f"{text}; none better."
        return (
            f"{text}; none better. There is little to correct in the validation images "
            f"({_listed(validations[-1].dice)}): correct others, too."
        )
    text = f"Validation {history.measure}: best {best:.3f} at step {step}"
    if start is None:
        return f"{text}."
    gain = round(best, 3) - round(start, 3)  # of the rounded values, as shown
    return f"{text}; at the start {start:.3f} ({gain:+.3f})."


def _listed(names: Iterable[str]) -> str:
    """Return the first names of images as text."""
    listed = list(names)
    return ", ".join(listed[:_NAMES]) + (", …" if len(listed) > _NAMES else "")


def duration(seconds: float) -> str:
    """Return a time as text, as `sam2lora train` prints it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def gib(size: int) -> str:
    """Return a size in bytes as text in GiB."""
    return f"{size / 2**30:.1f} GiB"


def _last_good(history: RunHistory) -> str:
    kept = history.checkpoint
    best = history.validations[-1] if history.validations else None
    text = f"Its last checkpoint is of step {kept.step}" if kept else "It wrote no checkpoint yet"
    learned = history.start_dice is None or (best is not None and best.best_step != 0)
    if best is not None and best.best is not None and learned:
        text += f"; its best adapter, of step {best.best_step}, is kept"
    return text + ("; Resume continues from there." if kept else "; Resume starts again.")

"""How far a training is, in a bar and in words: time left, memory, and how it ended."""

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph
from napari_sam2lora.training.run.history import RunHistory
from sam2lora.runs import RunStatus

_WORDS = {
    "new": "",
    "starting": "Starting: the model and the images are being prepared.",
    "running": "Training",
    "paused": "Paused. It keeps its memory.",
    "finished": "Finished.",
    "stopped": "Stopped.",
    "failed": "Failed.",
    "interrupted": "Interrupted.",
    "damaged": "Damaged.",
    "gone": "Gone.",
}


class RunProgressView(QWidget):
    """Shows how the run stands that is followed."""

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
            self._state.setText("No training yet. Tick images, and press Train.")
            self._dice.setText("")
            return
        self._state.setText(describe_state(status, history, validate_every))
        self._dice.setText(describe_dice(history))


def describe_state(
    status: RunStatus, history: RunHistory, validate_every: int | None = None
) -> str:
    """Say how a run stands; of one that ended early, what it can go on from."""
    words = [_WORDS[status.state], status.message]
    last = history.step
    if status.state == "running" and last is not None:
        left = history.seconds_left(validate_every)
        time = "" if left is None else f", about {duration(left)} left"
        device = "" if last.device_bytes is None else f", {gib(last.device_bytes)} on the GPU"
        words = [f"Training{time}; memory {gib(last.host_bytes)}{device}."]
    if status.ended_early:
        words.append(_last_good(history))
    return " ".join(filter(None, [*words, *history.warnings]))


def describe_dice(history: RunHistory) -> str:
    """Say the best validation Dice, beside that of what it started from."""
    validations = history.validations
    if not validations:
        return ""
    best, step, start = validations[-1].best, validations[-1].best_step, history.start_dice
    if best is None:
        return ""
    if start is not None and step == 0:
        words = f"Validation Dice: {start:.3f} at the start"
        return words + ("; none better." if len(validations) > 1 else ".")
    words = f"Validation Dice: best {best:.3f} at step {step}"
    if start is None:
        return f"{words}."
    gain = round(best, 3) - round(start, 3)  # of the figures that are shown
    return f"{words}; at the start {start:.3f} ({gain:+.3f})."


def duration(seconds: float) -> str:
    """Give a time in words, as `sam2lora train` does."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def gib(size: int) -> str:
    """Give a size in GiB."""
    return f"{size / 2**30:.1f} GiB"


def _last_good(history: RunHistory) -> str:
    kept = history.checkpoint
    best = history.validations[-1] if history.validations else None
    words = f"Its last state is of step {kept.step}" if kept else "It wrote no state yet"
    learned = history.start_dice is None or (best is not None and best.best_step != 0)
    if best is not None and best.best is not None and learned:
        words += f"; its best adapter, of step {best.best_step}, is kept"
    return words + ("; Resume goes on from there." if kept else "; Resume begins again.")

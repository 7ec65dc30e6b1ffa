"""Train while somebody grades: Quick adapt on the images that are done, as soon as there are more.

The training is one as of the Train dock, in a process of its own. Its adapter is used from then on
if it is better on the validation images than the one that all of these trainings start from.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora._settings import preferences, set_adapter_of
from napari_sam2lora.grading.finished_images import finished_images
from napari_sam2lora.grading.initial_adapter import current_adapter, initial_adapter
from napari_sam2lora.grading.trainings_file import (
    Trainings,
    read_trainings,
    write_trainings,
)
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.qt.dock_protocol import free_gpu, use_adapter
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.run.session import TrainingSession
from sam2lora.adapters import Adapter, find_adapter, installed_names, is_best_installed
from sam2lora.adapters.card import AdapterReference
from sam2lora.errors import AdapterError, Sam2LoraError, SessionError
from sam2lora.runs import RunStatus

LEAST = 2
"""Images from which a training can tell anything: one of them is left for validation."""


@dataclass(frozen=True)
class _Round:
    """A training whose adapter is wanted.

    Attributes
    ----------
    work
        Whose images it trains on.
    target
        Name of the target.
    initial, before
        Names of the adapter it starts from, and of the one that was in use at the start.
    chosen
        The adapter that was chosen at the start; None for the default.
    name
        Name of the adapter that it makes.
    stems
        The images.
    finished
        Whether it has finished, and its adapter is better, though not installed yet.
    """

    work: GraderWork
    target: str
    initial: str
    before: str
    chosen: str | None
    name: str
    stems: tuple[str, ...]
    finished: bool = False


class BackgroundTraining(QObject):
    """Adapts the network to what a grader draws.

    Parameters
    ----------
    viewer
        Viewer whose docks use the adapter.
    parent
        Parent of this object.

    Signals
    -------
    said(text)
        What is going on.
    adapter_changed()
        Another adapter is used, as a training finished or was undone, or one was chosen by hand.
    """

    said = Signal(str)
    adapter_changed = Signal()

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.session = TrainingSession(self)
        self.session.starting.connect(self._on_starting)
        self.session.installed.connect(self._on_installed)
        self.session.message.connect(self._on_message)
        self.session.watcher.status_changed.connect(self._on_status)
        self._round: _Round | None = None

    def consider(self, work: GraderWork, target: str, every: int) -> None:
        """Start a training if enough images are done that the last one did not have.

        Parameters
        ----------
        work
            What the grader did.
        target
            Name of the target to train.
        every
            Number of images.
        """
        if self.session.busy or self.session.alive:
            if self._round is None:
                self.said.emit("The training that you stopped is still ending.")
            return
        if work.grader.read_only:
            self.said.emit("There is no training while the session is read only.")
            return
        if self._round is not None and self._round.finished:
            return  # its adapter is being installed
        images, known = finished_images(work, target), self._known(work).of(target)
        stems = tuple(pair.name for pair in images.pairs)
        new = set(stems) - set(known.trained)
        if len(new) < every or len(stems) < LEAST:
            counted = f"Newly finished images with a mask of the {target}: {len(new)} of {every}."
            self.said.emit(f"{counted} {images.left_out()}".strip())
            return
        with show_user_errors(self):
            start = initial_adapter(work.session, work.grader.name, self._known(work), target)
            plan = TrainingPlan(
                target=target,
                model=start.card.base.name,
                preset="quick",
                start_from=start.name,
                pairs=images.pairs,
            )
            self._start(work, start, replace(plan, name=plan.run_name()))
            text = f"Training on {len(stems)} images, starting from {start.name}."
            self.said.emit(f"{text} {images.left_out()}".strip())

    def can_undo(self, work: GraderWork, target: str) -> bool:
        """Check whether a training made the adapter in use, and an earlier one is installed."""
        return bool(self._earlier(work, target)) and not work.grader.read_only

    def undo(self, work: GraderWork, target: str) -> None:
        """Use the adapter again that was in use before that of the last training.

        A training of the target that is in progress does not replace it.
        """
        if not self.can_undo(work, target):
            self.said.emit(f"There is nothing to undo for the {target}.")
            self.adapter_changed.emit()
            return
        earlier = self._earlier(work, target)
        with show_user_errors(self):
            self._use(target, earlier)
            known = self._known(work).of(target)
            write_trainings(work.grader.folder, target, known.up_to(earlier))
            running = self._round is not None and self._round.target == target
            more = " The training in progress will not replace it." if running else ""
            self.said.emit(f"The {target} is predicted with {earlier} again.{more}")
            self.adapter_changed.emit()

    def stop(self) -> None:
        """Stop a training that runs; its adapter is not used."""
        if self._give_up():
            with show_user_errors(self):
                self.session.stop()
                self.said.emit("Training stopped; its adapter will not be used.")

    def release(self) -> None:
        """Stop a training that runs; the dock is gone, so nothing can be said."""
        if self._give_up():
            with suppress(Sam2LoraError):
                self.session.stop()

    def close(self) -> None:
        """Stop a training that runs, and follow it no more."""
        self.stop()
        self.session.close()

    def _start(self, work: GraderWork, start: Adapter, plan: TrainingPlan) -> None:
        """Start a training, and write down what it starts from and what it will make."""
        target = plan.target
        current = current_adapter(target)
        if not current.shipped and target not in preferences().adapters:
            # The default is the newest one: it would become that of the training, while it runs.
            self._use(target, current.name)
        reference = AdapterReference(name=start.name, digest=start.digest())
        known = self._known(work).of(target)
        changes = {
            "initial": reference,
            "made": tuple(dict.fromkeys((*known.made, plan.name))),
            "used": known.used if known.initial == reference else (),
        }
        write_trainings(work.grader.folder, target, known.model_copy(update=changes))
        self.session.start(plan)
        self._round = _Round(
            work,
            target,
            start.name,
            current.name,
            preferences().adapters.get(target),
            plan.name,
            tuple(pair.name for pair in plan.pairs),
        )

    def _give_up(self) -> bool:
        """Want the adapter of no training; return whether one is to be stopped."""
        wanted, self._round = self._round, None
        return wanted is not None and (self.session.alive or self.session.is_starting)

    def _known(self, work: GraderWork) -> Trainings:
        """Read the grader's trainings; none if their file is damaged, which is said."""
        try:
            return read_trainings(work.grader.folder)
        except SessionError as error:
            self.said.emit(str(error))
            return Trainings()

    def _earlier(self, work: GraderWork, target: str) -> str:
        """Return the adapter that Undo takes; empty if there is none."""
        chosen = preferences().adapters.get(target, "")
        earlier, installed = self._known(work).of(target).before(chosen), installed_names()
        return next((name for name in earlier if name in installed), "")

    def _use(self, target: str, name: str) -> None:
        """Predict a target with an adapter from now on, also if no dock that predicts is open."""
        find_adapter(name)
        use_adapter(self._viewer, name)
        set_adapter_of(target, name)

    def _on_starting(self, device: str) -> None:
        free_gpu(self._viewer, device)

    def _on_message(self, text: str) -> None:
        self.said.emit(text)
        if self._round is not None and self._round.finished:
            self._round = None  # its adapter cannot be installed

    def _on_installed(self, _name: str) -> None:
        self._use_if_installed()

    def _on_status(self, status: RunStatus | None) -> None:
        ended = self._round
        if ended is None or ended.finished or status is None or status.alive:
            return
        self._round = None
        if status.state != "finished":
            reason = status.message or f"It is {status.state}."
            self.said.emit(f"The training did not finish, so nothing changes. {reason}")
            return
        with show_user_errors(self):
            known = self._known(ended.work).of(ended.target)
            trained = known.model_copy(update={"trained": ended.stems})
            write_trainings(ended.work.grader.folder, ended.target, trained)
        history = self.session.watcher.history
        before, best = history.start_dice, self._best()
        if before is not None and best > before:
            self._round = replace(ended, finished=True)
            self._use_if_installed()
            return
        kept = preferences().adapters.get(ended.target) or ended.before
        over = "" if kept == ended.initial else f" over {ended.initial}"
        score = "no score to compare with" if before is None else f"{history.measure} {before:.3f}"
        self.said.emit(f"No improvement{over} ({score}); keeping {kept}.")

    def _use_if_installed(self) -> None:
        """Use the adapter of a training that finished, once the best one of it is installed."""
        ended, run = self._round, self.session.run
        if ended is None or not ended.finished or run is None or not _is_installed(run):
            return
        self._round = None
        target, name, history = ended.target, ended.name, self.session.watcher.history
        scores = (
            f"{history.measure} {history.start_dice:.3f} ({ended.initial}) → {self._best():.3f} "
            "on the validation images."
        )
        if preferences().adapters.get(target) not in (ended.chosen, name):
            reason = f"as the adapter of the {target} was changed meanwhile"
            self.said.emit(f"{name} is not used, {reason}: {scores}")
            return
        with show_user_errors(self):
            known = self._known(ended.work).of(target).up_to(ended.before)
            used = known.model_copy(update={"used": (*known.used, name)})
            write_trainings(ended.work.grader.folder, target, used)
            self._use(target, name)
            self.said.emit(f"The {target} is predicted with {name} from now on: {scores}")
            self.adapter_changed.emit()

    def _best(self) -> float:
        """Return the highest validation score of the training."""
        validations = self.session.watcher.history.validations
        return max((one.mean or 0.0 for one in validations), default=0.0)


def _is_installed(run: Path) -> bool:
    try:
        return is_best_installed(run)
    except AdapterError:  # damaged, or another one has the name
        return False

"""Train while somebody grades: Quick adapt on the images that are done, as soon as there are more.

The training is one as of the Train dock, in a process of its own. An adapter that is better than
the one before on the validation images is used from then on, until that is undone.
"""

from collections.abc import Sequence

from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora._settings import preferences
from napari_sam2lora.grading.session_images import image_file
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.layers.loading import ImageFile
from napari_sam2lora.qt.dock_protocol import free_gpu, use_adapter
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.training.data.folder_pairs import FilePair
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.data.pairs import pair_key, real_path
from napari_sam2lora.training.run.session import TrainingSession
from sam2lora.adapters import Adapter, list_adapters, sort_by_preference
from sam2lora.errors import ImageError, SettingsError
from sam2lora.runs import RunStatus

LEAST = 2
"""Images from which a training can tell anything: one of them is left for validation."""


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
    can_undo(can)
        Whether the adapter before can be used again.
    """

    said = Signal(str)
    can_undo = Signal(bool)

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.session = TrainingSession(self)
        self.session.starting.connect(self._on_starting)
        self.session.installed.connect(self._on_installed)
        self.session.message.connect(self.said)
        self.session.watcher.status_changed.connect(self._on_status)
        self._learned: set[str] = set()  # images of the last training
        self._target = self._before = self._after = ""

    def consider(self, work: GraderWork, target: str, every: int) -> None:
        """Start a training if enough images are done that the last one did not have.

        Parameters
        ----------
        work
            What the grader did.
        target
            Name of the target that is learned.
        every
            Number of images.
        """
        if self.session.busy or self.session.alive:
            return
        pairs = done_pairs(work, target)
        new = {pair.name for pair in pairs} - self._learned
        if len(new) < every or len(pairs) < LEAST:
            self.said.emit(f"{len(new)} of {every} more images with a {target} are done.")
            return
        with show_user_errors(self):
            start = initial_adapter(target)
            plan = TrainingPlan(
                target=target,
                model=start.card.base.name,
                preset="quick",
                start_from=start.name,
                pairs=pairs,
            )
            self.session.start(plan)
            self._learned = {pair.name for pair in pairs}
            self._target, self._before, self._after = target, start.name, ""
            self.can_undo.emit(False)
            self.said.emit(f"{start.name} is being adapted to {len(pairs)} images.")

    def undo(self) -> None:
        """Use the adapter again that was used before the last training."""
        if self._after:
            with show_user_errors(self):
                use_adapter(self._viewer, self._before)
                self.said.emit(f"{self._before} is used again for the {self._target}.")
                self._after = ""
                self.can_undo.emit(False)

    def close(self) -> None:
        """Stop a training that runs, which keeps the best adapter, and follow it no more."""
        with show_user_errors(self):
            if self.session.alive or self.session.is_starting:
                self.session.stop()
        self.session.close()

    def _on_starting(self, device: str) -> None:
        free_gpu(self._viewer, device)

    def _on_installed(self, name: str) -> None:
        """Use an adapter; one is installed only if it is better than the initial one."""
        with show_user_errors(self):
            use_adapter(self._viewer, name)
            self._after = name
            self.can_undo.emit(True)
            self.said.emit(self._comparison())

    def _on_status(self, status: RunStatus | None) -> None:
        if status is None or status.alive:
            return
        if status.state != "finished":
            self.said.emit(f"The training ended: {status.message or status.state}")
        elif self.session.watcher.history.validations:
            self.said.emit(self._comparison())

    def _comparison(self) -> str:
        """Return whether the new adapter is better on the validation images."""
        history = self.session.watcher.history
        before = history.start_dice
        best = max((one.mean or 0.0 for one in history.validations), default=0.0)
        known = "unknown" if before is None else f"{before:.3f}"
        if before is not None and best <= before:
            return f"No better than {history.measure} {known}: {self._before} stays."
        return (
            f"Better on the validation images: {history.measure} {known} → {best:.3f}. "
            f"The {self._target} is predicted with {self._after or 'the new adapter'} from now on."
        )


def done_pairs(work: GraderWork, target: str) -> Sequence[FilePair]:
    """Return the images that a grader is done with and drew a target in, with their masks.

    Images whose file is missing are left out.
    """
    corrections = work.grader.corrections
    pairs = []
    for image in work.session.images:
        if work.grader.grade(image.stem).done and corrections.has(image.stem, target):
            try:
                file: ImageFile = image_file(work.session, image.stem)
            except ImageError:
                continue
            path = real_path(file.path)
            pair = FilePair(
                key=pair_key(path, target),
                name=image.stem,
                labels=work.grader.name,
                patient=image.patient,
                preselected=True,
                issue=None,
                file=path,
                as_predicted=corrections.as_predicted(image.stem, target),
                image=file,
                corrections=corrections,
            )
            pairs.append(pair)
    return pairs


def initial_adapter(target: str) -> Adapter:
    """Return the adapter that a target is predicted with: as chosen last, or else the default.

    Raises
    ------
    AdapterError
        If the installed adapters cannot be read.
    SettingsError
        If there is none.
    """
    fitting = [one for one in list_adapters() if one.card.target.name == target]
    chosen = preferences().adapters.get(target)
    found = [one for one in fitting if one.name == chosen] or sort_by_preference(fitting)
    if not found:
        raise SettingsError(
            f"There is no adapter of the {target} to start from. Train one in the Train dock."
        )
    return found[0]

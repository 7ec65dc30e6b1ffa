"""The training loop: sample, forward, loss, backward, clip, step, validate, save.

`train` starts or resumes a run and yields every event it writes to the run folder. The command
line, the viewer's child process and notebooks all call it.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    InitProcessGroupKwargs,
    broadcast_object_list,
    gather_object,
)

from sam2lora.adapters import Adapter, open_adapter
from sam2lora.adapters.lora import trainable_share
from sam2lora.compute.device import choose_device
from sam2lora.errors import DeviceError, OutputError, TrainingError
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.models.weights import weights_digest
from sam2lora.runs import (
    CheckpointEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    PreviewEvent,
    ResumedEvent,
    RunFolder,
    StartedEvent,
    StepEvent,
    StoppedEvent,
    ValidationEvent,
    WarningEvent,
    prune_adapters,
    read_events,
    set_best,
    summarize,
)
from sam2lora.runs.control import Request
from sam2lora.runs.folder import MANIFEST, START_ADAPTER
from sam2lora.training.checkpointing import TrainingState, load_training, save_training
from sam2lora.training.data_loader import read_samples, sample_numbers
from sam2lora.training.data_split import DataPlan, data_hash, plan_data
from sam2lora.training.dataset import TrainingDataset, TrainingSample
from sam2lora.training.lr_schedule import learning_rate
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.settings import TrainSettings, validate_settings
from sam2lora.training.trainable import (
    TrainableModel,
    TrainingResult,
    find_start,
    make_trainable,
    name_of_run,
)
from sam2lora.training.validation import ValidationImage, read_validation_images, validate
from sam2lora.utils.files import durable_path
from sam2lora.utils.folders import new_folder
from sam2lora.utils.json_files import read_json


def train(run: RunFolder | str | Path, settings: TrainSettings | None = None) -> Iterator[Event]:
    """Train in a run folder: start, or resume from the last checkpoint; do nothing if finished.

    With `torchrun`, several processes share the work; only the main process yields events. The best
    adapter so far is `runs.best_adapter` of the folder, which itself also serves as an adapter.

    Parameters
    ----------
    run
        The run folder; the run can be paused or stopped through `RunFolder.control`.
    settings
        Settings of a new run, or those with which the run was started; relative data paths are
        resolved against the current folder. None: use the settings in the run folder.

    Yields
    ------
    Each event after it has been written to disk.

    Raises
    ------
    Sam2LoraError
        If the settings, data, model, memory or disk do not allow the training. A `FailedEvent`
        with the same message is then written as the last event, if possible.
    """
    run = _run_folder(run, settings)
    settings = validate_settings(run.read_settings()).counted_from(run.path)
    if summarize(run.path).state == "finished":
        return
    main = int(os.environ.get("RANK", "0")) == 0  # among the processes of torchrun
    # Locked first, so that no request is lost while the rest is prepared.
    with run.hold() if main else nullcontext():
        step = 0
        try:
            for event in _Training(run, settings, _accelerator(settings)).events():
                step = event.step
                if main:
                    run.append(event)
                    yield event
        except Exception as error:  # any error is reported to whoever follows the run
            if main:
                text = str(error) or "No error message; see the log of the training process."
                with suppress(OutputError):  # on a full disk; then the first error is to be seen
                    run.append(FailedEvent(step=step, reason=type(error).__name__, words=text))
            raise


_FEATURES = "features"
_POLL = 0.5  # seconds


class _Training:
    """A run while it is being trained."""

    def __init__(self, run: RunFolder, settings: TrainSettings, accelerator: Accelerator) -> None:
        self.state = TrainingState(batch=settings.batch)
        self._run, self._settings, self._accelerator = run, settings, accelerator
        self._plan: DataPlan = plan_data(settings)
        start = _copy_of_start(run, settings)
        self._start_threshold = start.card.threshold if start else 0.5
        self._trainable: TrainableModel = make_trainable(settings, start=start)
        self._manifest = self._plan.manifest()
        self._optimizer_step = OptimizerStep(
            self._trainable, settings, accelerator, self._feature_cache()
        )
        self._validation_images: list[ValidationImage] = []
        self._seconds: list[float] = []
        self._start_dice: float | None = None

    def events(self) -> Iterator[Event]:
        """Train to the end, or until a stop is requested."""
        yield from self._start_or_resume()
        settings, state = self._settings, self.state
        samples = self._samples()
        while state.step < settings.steps and not self._is_out_of_patience():
            if self._is_requested("pause"):
                yield PausedEvent(step=state.step)
                while self._is_requested("pause") and not self._is_requested("stop"):
                    time.sleep(_POLL)
            if self._is_requested("stop"):
                yield from self._checkpoint()
                if self._accelerator.is_main_process:
                    self._run.control.clear("stop")
                yield StoppedEvent(step=state.step)
                return
            yield from self._step(self._next_samples(samples))
            last = state.step == settings.steps
            if last or state.step % settings.validation.every == 0:
                yield from self._validate()
            if last or self._is_out_of_patience() or state.step % settings.checkpoint_every == 0:
                yield from self._checkpoint()
        reason = ""
        if self._is_out_of_patience():
            reason = f"No improvement in {state.worse} validations."
        yield FinishedEvent(step=state.step, words=reason)
        shutil.rmtree(self._run.path / _FEATURES, ignore_errors=True)

    def _is_out_of_patience(self) -> bool:
        patience = self._settings.validation.patience
        return patience is not None and self.state.worse >= patience

    def _start_or_resume(self) -> Iterator[Event]:
        """Start from scratch, or resume from the last checkpoint."""
        if self._run.checkpoint.exists():
            self.state = load_training(
                self._run, self._trainable, self._optimizer_step, base=self._settings.model
            )
        events, _ = read_events(self._run.events)
        of_start = (
            event for event in events if isinstance(event, ValidationEvent) and event.step == 0
        )
        self._start_dice = next((event.mean for event in of_start), None)
        if any(isinstance(event, StartedEvent) for event in events):
            yield ResumedEvent(step=self.state.step)
        else:
            yield StartedEvent(
                target=self._settings.target,
                base=self._trainable.base.spec.name,
                steps=self._settings.steps,
                samples=self._plan.summary()["images"],
                validation=len(self._plan.validation),
                trainable=sum(weight.numel() for weight in self._optimizer_step.weights),
                share=trainable_share(self._trainable.model),
                processes=self._accelerator.num_processes,
            )
        if self._trainable.base.note:
            yield WarningEvent(step=self.state.step, words=self._trainable.base.note)
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            yield from self._write_or_check_manifest()
            self._validation_images = read_validation_images(self._plan.validation)
        if self._settings.start_from and self.state.step == 0 and self.state.best_step is None:
            yield from self._validate()  # the result to improve on

    def _write_or_check_manifest(self) -> Iterator[Event]:
        """Write which files are used, or warn if they have changed since the run began."""
        path = self._run.data / MANIFEST
        if not path.exists():
            with durable_path(path) as temporary:
                temporary.write_text(json.dumps(self._manifest, indent=1), encoding="utf-8")
        elif self._has_other_data(path):
            yield WarningEvent(
                step=self.state.step,
                words="The images or masks have changed since this training began.",
            )

    def _has_other_data(self, path: Path) -> bool:
        """Check whether the images or masks differ from those the run began with."""
        try:
            # Names of files may be in an old encoding.
            entries = read_json(path, error=TrainingError, any_text=True)
            if not isinstance(entries, list):
                raise TypeError(type(entries))
            before = data_hash(entries)
        except (TrainingError, TypeError, KeyError) as error:
            reason = str(error) if isinstance(error, TrainingError) else f"{path}: lists no files."
            raise TrainingError(
                f"{reason} Delete it to resume; whether the images have changed is then unknown."
            ) from error
        return before != data_hash(self._manifest)

    def _feature_cache(self) -> EmbeddingCache:
        """Return a cache for the features of a frozen encoder, on disk if memory does not suffice.

        The folder's name is a hash of everything that features depend on besides the window.
        """
        if not self._settings.reuses_windows:
            return EmbeddingCache(0)
        windows = self._plan.samples_per_epoch * self._settings.variants
        limit = psutil.virtual_memory().available // 4
        if (
            self._trainable.base.network.embedding_bytes // 2 * windows <= limit
        ):  # stored as float16
            return EmbeddingCache(limit)
        weights = weights_digest(self._trainable.base.network)
        dependencies = (data_hash(self._manifest), self._settings.model_dump_json(), weights)
        name = hashlib.sha256("|".join(dependencies).encode()).hexdigest()[:16]
        return EmbeddingCache(limit, folder=self._run.path / _FEATURES / name)

    def _samples(self) -> Iterator[TrainingSample]:
        settings, network = self._settings, self._trainable.base.network
        samples = TrainingDataset(
            self._plan.groups, settings, size=network.input_size, mask_size=network.mask_size
        )
        numbers = sample_numbers(
            range(self.state.step, settings.steps),
            batch=settings.batch,
            accumulate=settings.accumulate,
            process=self._accelerator.process_index,
            processes=self._accelerator.num_processes,
        )
        # Windows that are used repeatedly are cached by the process that cuts them.
        workers = 0 if settings.reuses_windows else settings.workers
        return read_samples(samples, numbers, workers=workers)

    def _next_samples(self, samples: Iterator[TrainingSample]) -> list[TrainingSample]:
        """Return the samples of the next step; an error in one process is raised in all of them.

        Otherwise the main process would wait for the others, and could not report the error.
        """
        count = self._settings.batch * self._settings.accumulate
        if self._accelerator.num_processes == 1:
            return list(islice(samples, count))
        loaded: list[TrainingSample] = []
        failure: list[Exception | None] = [None]
        try:
            loaded = list(islice(samples, count))
        except Exception as error:
            failure = [error]
        failures: list[Exception | None] = gather_object(failure)
        for problem in failures:
            if problem is not None:
                raise problem
        return loaded

    def _step(self, samples: Sequence[TrainingSample]) -> Iterator[Event]:
        """Do one optimizer step; if memory does not suffice, repeat it with smaller batches."""
        settings, state = self._settings, self.state
        started = time.perf_counter()
        rate = learning_rate(state.step, settings.steps, settings.optimizer)
        try:
            loss, terms = self._optimizer_step.step(
                samples, number=state.step, rate=rate, batch=state.batch
            )
        except DeviceError as error:
            if state.batch == 1 or self._accelerator.num_processes > 1:
                raise
            state.batch //= 2
            yield WarningEvent(
                step=state.step,
                words=f"{error} Continuing with batches of {state.batch}, and more of them a step. "
                "Use a smaller --batch to avoid this.",
            )
            loss, terms = self._optimizer_step.step(
                samples, number=state.step, rate=rate, batch=state.batch
            )
        state.step += 1
        self._seconds.append(time.perf_counter() - started)
        yield StepEvent(
            step=state.step,
            loss=loss,
            terms=terms,
            lr=rate,
            seconds=self._seconds[-1],
            host_bytes=psutil.Process().memory_info().rss,
            device_bytes=_peak_device_bytes(self._optimizer_step.device),
            eta_s=self._remaining_seconds(),
        )

    def _validate(self) -> Iterator[Event]:
        """Segment the validation images, save the result, and update the best."""
        state, run = self.state, self._run
        if self._accelerator.is_main_process:
            started = time.perf_counter()
            preview = run.previews / f"{state.step:06d}.png"
            result = validate(
                self._trainable.base,
                self._validation_images,
                self._settings,
                precision=self._optimizer_step.precision,
                batch=state.batch,
                preferred=self._start_threshold,
                preview=preview,
            )
            if state.step == 0:
                self._start_dice = result.dice
            record = TrainingResult(
                name_of_run(run.path),
                state.step,
                result,
                self._plan.summary(),
                data_hash(self._manifest),
                {
                    "device": self._optimizer_step.device.type,
                    "precision": self._optimizer_step.precision,
                    "processes": self._accelerator.num_processes,
                    "batch": state.batch,
                },
                self._start_dice,
            )
            self._trainable.save(run.adapter(state.step), record)
            better = state.best_dice is None or result.dice > state.best_dice
            state.worse = 0 if better else state.worse + 1
            if better:
                state.best_dice, state.best_step = result.dice, state.step
                set_best(run.path, state.step, result.dice)
            prune_adapters(run.path)
            yield ValidationEvent(
                step=state.step,
                dice=dict(result.per_image),
                mean=result.dice,
                loss=result.loss,
                best=state.best_dice,
                best_step=state.best_step,
                seconds=time.perf_counter() - started,
            )
            yield PreviewEvent(step=state.step, path=f"previews/{preview.name}")
        state.worse = _from_main(state.worse)

    def _checkpoint(self) -> Iterator[Event]:
        if self._accelerator.is_main_process:
            started = time.perf_counter()
            save_training(self._run, self.state, self._trainable, self._optimizer_step)
            yield CheckpointEvent(step=self.state.step, seconds=time.perf_counter() - started)

    def _is_requested(self, request: Request) -> bool:
        """Check whether a request was made; all processes use the result of the main process."""
        requested = self._accelerator.is_main_process and request in self._run.control.requested
        return bool(_from_main(requested))

    def _remaining_seconds(self) -> float:
        recent = self._seconds[-50:]
        return sum(recent) / len(recent) * (self._settings.steps - self.state.step)


def _run_folder(run: RunFolder | str | Path, settings: TrainSettings | None) -> RunFolder:
    """Create the run folder for settings, or open an existing one if there are none."""
    if isinstance(run, RunFolder) and settings is None:
        return run
    path = run.path if isinstance(run, RunFolder) else Path(run).expanduser()
    if settings is None:
        return RunFolder.open(path)
    return RunFolder.create(path, settings.counted_from(Path()).model_dump_json(indent=2))


def _copy_of_start(run: RunFolder, settings: TrainSettings) -> Adapter | None:
    """Return the initial adapter, copied to the run: the original may change or be deleted."""
    folder = run.data / START_ADAPTER
    if not folder.exists():
        start = find_start(settings)
        if start is None:
            return None
        try:
            with new_folder(folder) as partial:
                shutil.copytree(start.folder, partial, dirs_exist_ok=True)
        except OutputError:
            if not folder.exists():  # otherwise another process was first
                raise
    return open_adapter(folder)


def _accelerator(settings: TrainSettings) -> Accelerator:
    device = choose_device(settings.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    # Base models are trained with prompts of all kinds, so not every step uses every weight.
    unused = DistributedDataParallelKwargs(find_unused_parameters=settings.train == "base")
    # While the main process validates or pauses, the others wait.
    patient = InitProcessGroupKwargs(timeout=timedelta(days=7))
    accelerator = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[unused, patient])
    if accelerator.device.type != device.type:
        raise DeviceError(
            f"This process has already trained on {accelerator.device} and cannot change to "
            f"{device}. Start a new process."
        )
    return accelerator


def _from_main(value: bool | int) -> bool | int:
    """Return the value of the main process, in every process."""
    values: list[bool | int] = [value]
    broadcast_object_list(values)
    return values[0]


def _peak_device_bytes(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    peak: int = torch.cuda.max_memory_allocated(device)
    return peak

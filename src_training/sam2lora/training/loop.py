"""The training loop: draw, forward, loss, backward, clip, step, validate, save.

`train` runs a run folder from where it is to its end, and yields every event it writes there. The
command line, the viewer's child process and a notebook all call it.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
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
from sam2lora.errors import DeviceError, OutputError
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


def train(run: RunFolder | str | Path, settings: TrainSettings | None = None) -> Iterator[Event]:
    """Train in a run folder: begin, or resume after its last checkpoint; nothing if it is finished.

    Started by `torchrun`, several processes share the work; only the first one yields. The best
    adapter so far is `runs.best_adapter` of the folder, which also serves as an adapter itself.

    Parameters
    ----------
    run
        The run folder; anyone may ask it to pause or to stop (`RunFolder.control`).
    settings
        What to begin with in a new folder, or to resume with in the one that was begun by them;
        relative paths of the data count from the current folder. None: those in the run folder.

    Yields
    ------
    Each event once it is on disk.

    Raises
    ------
    Sam2LoraError
        If the settings, the data, the model, the memory or the disk do not allow it. A
        `FailedEvent` with the same words is then the run's last, where it can still be written.
    """
    run = _run_folder(run, settings)
    settings = validate_settings(run.read_settings()).counted_from(run.path)
    if summarize(run.path).state == "finished":
        return
    main = int(os.environ.get("RANK", "0")) == 0  # of the processes torchrun starts
    # First of all, so that no request is lost while the rest is made ready.
    with run.hold() if main else nullcontext():
        step = 0
        try:
            for event in _Training(run, settings, _accelerator(settings)).events():
                step = event.step
                if main:
                    run.append(event)
                    yield event
        except Exception as error:  # whatever it is, those who watch the run are told
            if main:
                words = str(error) or "It ended without a word; see the log of its process."
                run.append(FailedEvent(step=step, reason=type(error).__name__, words=words))
            raise


_FEATURES = "features"
_POLL = 0.5  # seconds


class _Training:
    """One run in memory."""

    def __init__(self, run: RunFolder, settings: TrainSettings, accelerator: Accelerator) -> None:
        self.state = TrainingState(batch=settings.batch)
        self._run, self._settings, self._accelerator = run, settings, accelerator
        self._plan: DataPlan = plan_data(settings)
        start = _kept_start(run, settings)
        self._usual = start.card.threshold if start else 0.5
        self._trainable: TrainableModel = make_trainable(settings, start=start)
        self._manifest = self._plan.manifest()
        self._optimizer_step = OptimizerStep(
            self._trainable, settings, accelerator, self._feature_cache()
        )
        self._validation_images: list[ValidationImage] = []
        self._seconds: list[float] = []
        self._start_dice: float | None = None

    def events(self) -> Iterator[Event]:
        """Train to the end, or until asked to stop."""
        yield from self._begin()
        settings, state = self._settings, self.state
        samples = self._samples()
        while state.step < settings.steps and not self._has_given_up():
            if self._everyone("pause"):
                yield PausedEvent(step=state.step)
                while self._everyone("pause") and not self._everyone("stop"):
                    time.sleep(_POLL)
            if self._everyone("stop"):
                yield from self._checkpoint()
                if self._accelerator.is_main_process:
                    self._run.control.clear("stop")
                yield StoppedEvent(step=state.step)
                return
            yield from self._step(self._draw(samples))
            last = state.step == settings.steps
            if last or state.step % settings.validation.every == 0:
                yield from self._validate()
            if last or self._has_given_up() or state.step % settings.checkpoint_every == 0:
                yield from self._checkpoint()
        words = f"Not better for {state.worse} validations." if self._has_given_up() else ""
        yield FinishedEvent(step=state.step, words=words)
        shutil.rmtree(self._run.path / _FEATURES, ignore_errors=True)

    def _has_given_up(self) -> bool:
        patience = self._settings.validation.patience
        return patience is not None and self.state.worse >= patience

    def _begin(self) -> Iterator[Event]:
        """Start anew, or go on after the last checkpoint."""
        if self._run.checkpoint.exists():
            self.state = load_training(
                self._run, self._trainable, self._optimizer_step, base=self._settings.model
            )
        events, _ = read_events(self._run.events)
        judged = (one for one in events if isinstance(one, ValidationEvent) and one.step == 0)
        self._start_dice = next((one.mean for one in judged), None)
        if any(isinstance(event, StartedEvent) for event in events):
            yield ResumedEvent(step=self.state.step)
        else:
            yield StartedEvent(
                target=self._settings.target,
                base=self._trainable.base.spec.name,
                steps=self._settings.steps,
                samples=self._plan.summary()["images"],
                validation=len(self._plan.validation),
                trainable=sum(one.numel() for one in self._optimizer_step.weights),
                share=trainable_share(self._trainable.model),
                processes=self._accelerator.num_processes,
            )
        if self._trainable.base.note:
            yield WarningEvent(step=self.state.step, words=self._trainable.base.note)
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            yield from self._keep_manifest()
            self._validation_images = read_validation_images(self._plan.validation)
        if self._settings.start_from and self.state.step == 0 and self.state.best_step is None:
            yield from self._validate()  # what it started from is what it has to beat

    def _keep_manifest(self) -> Iterator[Event]:
        """Write which files are used, or say that they are others than when the run began."""
        path = self._run.data / MANIFEST
        if not path.exists():
            with durable_path(path) as temporary:
                temporary.write_text(json.dumps(self._manifest, indent=1), encoding="utf-8")
        elif data_hash(json.loads(path.read_bytes())) != data_hash(self._manifest):
            yield WarningEvent(
                step=self.state.step,
                words="The images or masks have changed since this training began.",
            )

    def _feature_cache(self) -> EmbeddingCache:
        """Keep the features of a frozen encoder in memory, or in the run folder if they are many.

        The folder's name is a hash of all that features depend on beside the window's number.
        """
        if not self._settings.freeze_encoder:
            return EmbeddingCache(0)
        windows = self._plan.samples_per_epoch * self._settings.variants
        limit = psutil.virtual_memory().available // 4
        if self._trainable.base.network.embedding_bytes // 2 * windows <= limit:  # kept in float16
            return EmbeddingCache(limit)
        weights = weights_digest(self._trainable.base.network)
        depends = (data_hash(self._manifest), self._settings.model_dump_json(), weights)
        name = hashlib.sha256("|".join(depends).encode()).hexdigest()[:16]
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
        # Windows that come again are kept by the process that makes them.
        workers = 0 if settings.freeze_encoder else settings.workers
        return read_samples(samples, numbers, workers=workers)

    def _draw(self, samples: Iterator[TrainingSample]) -> list[TrainingSample]:
        """Give the samples of the next step; what fails in one process is raised in all of them.

        Otherwise the first process would wait for the others, and could not say what went wrong.
        """
        count = self._settings.batch * self._settings.accumulate
        if self._accelerator.num_processes == 1:
            return list(islice(samples, count))
        drawn: list[TrainingSample] = []
        own: list[Exception | None] = [None]
        try:
            drawn = list(islice(samples, count))
        except Exception as error:
            own = [error]
        everyones: list[Exception | None] = gather_object(own)
        for problem in everyones:
            if problem is not None:
                raise problem
        return drawn

    def _step(self, samples: Sequence[TrainingSample]) -> Iterator[Event]:
        """Do one optimizer step; out of memory, do it again in smaller batches."""
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
                words=f"{error} It goes on with batches of {state.batch}, and more of them a step; "
                "a smaller --batch avoids this.",
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
            device_bytes=_most_device_bytes(self._optimizer_step.device),
            eta_s=self._seconds_to_go(),
        )

    def _validate(self) -> Iterator[Event]:
        """Segment the held-out images, keep what answered, and name the best."""
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
                usual=self._usual,
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

    def _everyone(self, what: Request) -> bool:
        """Tell whether a request is there; all processes get the first one's answer."""
        wanted = self._accelerator.is_main_process and what in self._run.control.requested
        return bool(_from_main(wanted))

    def _seconds_to_go(self) -> float:
        recent = self._seconds[-50:]
        return sum(recent) / len(recent) * (self._settings.steps - self.state.step)


def _run_folder(run: RunFolder | str | Path, settings: TrainSettings | None) -> RunFolder:
    """Create the run folder of settings, or without settings open the one that is there."""
    if isinstance(run, RunFolder) and settings is None:
        return run
    path = run.path if isinstance(run, RunFolder) else Path(run).expanduser()
    if settings is None:
        return RunFolder.open(path)
    return RunFolder.create(path, settings.counted_from(Path()).model_dump_json(indent=2))


def _kept_start(run: RunFolder, settings: TrainSettings) -> Adapter | None:
    """Give the adapter to go on from, as a copy in the run: the original may change or go."""
    folder = run.data / START_ADAPTER
    if not folder.exists():
        start = find_start(settings)
        if start is None:
            return None
        try:
            with new_folder(folder) as partial:
                shutil.copytree(start.folder, partial, dirs_exist_ok=True)
        except OutputError:
            if not folder.exists():  # else another process was first
                raise
    return open_adapter(folder)


def _accelerator(settings: TrainSettings) -> Accelerator:
    device = choose_device(settings.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    # Prompts of a base's samples are of all kinds, so not every weight is used in every step.
    unused = DistributedDataParallelKwargs(find_unused_parameters=settings.train == "base")
    # While the first process validates or pauses, the others wait.
    patient = InitProcessGroupKwargs(timeout=timedelta(days=7))
    accelerator = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[unused, patient])
    if accelerator.device.type != device.type:
        raise DeviceError(
            f"This process has trained on {accelerator.device} before and cannot change to "
            f"{device}. Start a new one."
        )
    return accelerator


def _from_main(value: bool | int) -> bool | int:
    """Give every process the value of the first one."""
    values: list[bool | int] = [value]
    broadcast_object_list(values)
    return values[0]


def _most_device_bytes(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    most: int = torch.cuda.max_memory_allocated(device)
    return most

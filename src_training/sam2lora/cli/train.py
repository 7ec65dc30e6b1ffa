"""`sam2lora train`: start or continue a training in a run folder."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sam2lora.cli.rows import print_suspicious
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.errors import SettingsError
from sam2lora.utils.json_files import parse_json, read_json_object

if TYPE_CHECKING:
    from sam2lora.datasets.label_maps import Labels
    from sam2lora.runs import Event, RunFolder
    from sam2lora.training.estimate import Estimate
    from sam2lora.training.settings import TrainSettings

_LINE_EVERY = 10  # steps between lines in a log


def train(
    run: Annotated[Path, typer.Argument(help="Run folder: a new one, or one to continue.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="Dataset to train on: a folder or a CSV file; repeatable."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Values of a target in label maps, as disc=1+2; repeatable."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="vessel, disc, cup, fovea or your own; required for a new run."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Base model: a name or a file.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="standard, quick, detail, low-memory or paper.")
    ] = None,
    start_from: Annotated[
        str | None, typer.Option(help="Initial adapter: a name, a folder or a run.")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="LoRA rank.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples in a batch.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any other setting, as optimizer.learning_rate=5e-4; repeatable.",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="A settings.json to start with, as of another run."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
) -> None:
    """Train an adapter (or a base model) in a run folder, or continue a run.

    `sam2lora train RUN` continues after the last checkpoint. With --data and --target, a new run
    starts. Ctrl-C stops it after the current step and keeps everything; so does a file named `stop`
    in RUN/control, and one named `pause` pauses it.
    """
    from sam2lora.adapters import is_installed
    from sam2lora.datasets import parse_labels
    from sam2lora.models.registry import BASE_MODELS
    from sam2lora.runs import RunFolder
    from sam2lora.training.settings import make_settings, validate_settings

    values = parse_labels(labels or ())
    if values and not data:
        raise SettingsError("--labels says what the masks of --data show; give it, too.")
    options = {
        "target": target,
        "model": model if model in BASE_MODELS else _absolute(model),
        "start_from": (
            start_from if start_from and is_installed(start_from) else _absolute(start_from)
        ),
        "lora": None if rank is None else {"rank": rank},
        "steps": steps,
        "batch": batch,
        "device": device,
        "seed": seed,
        "data": [_source(root, values) for root in data] if data else None,
    }
    changes = {name: value for name, value in options.items() if value is not None}
    for text in change or ():
        _set(changes, text)
    main = int(os.environ.get("RANK", "0")) == 0  # of the processes torchrun starts
    # No markup or emoji: paths may contain brackets and colons.
    console = Console(soft_wrap=True, markup=False, emoji=False, highlight=False, quiet=not main)
    if not changes and preset is None and settings is None:
        existing = RunFolder.open(run)
        chosen = validate_settings(existing.read_settings())
        if not dry_run:
            _follow(existing, chosen, console)
        elif main:
            _print_plan(chosen.counted_from(run), console)
        return
    if settings is not None:
        if preset is not None:
            raise SettingsError("Use either --settings or --preset.")
        given = read_json_object(settings, error=SettingsError)
        chosen = make_settings("standard", given, changes).counted_from(settings.parent)
    else:
        if not changes.keys() >= {"data", "target"}:
            raise SettingsError(_how_to_start(run))
        chosen = make_settings(preset or "standard", changes)
    if main:
        _print_plan(chosen, console)  # before anything is written: raises if it cannot be trained
    if dry_run:
        return
    folder = RunFolder.create(run, chosen.model_dump_json(indent=2))
    console.print(f"  repeat with: sam2lora train NEW --settings {_quoted(folder.settings)}")
    _follow(folder, chosen, console)


def _source(root: str, labels: "Labels") -> dict[str, Any]:
    """Return the settings of a data source."""
    source: dict[str, Any] = {"root": str(Path(root).resolve())}
    return source | {"labels": dict(labels)} if labels else source


def _absolute(name: str | None) -> str | None:
    """Return a path that exists as an absolute one; a name stays as it is."""
    return str(Path(name).resolve()) if name and Path(name).exists() else name


def _how_to_start(run: Path) -> str:
    if (run / "settings.json").exists():
        return (
            f"{run}: the settings of an existing run cannot be changed. Continue it with sam2lora "
            f"train {run}; or start another one like it: sam2lora train NEW --settings "
            f"{run / 'settings.json'} with the options to change, and --start-from for its adapter."
        )
    return f"{run}: a new run needs a dataset and a target: --data FOLDER --target TARGET"


def _quoted(path: Path) -> str:
    """Return a path as one argument of a command, quoted for the shell."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def _set(changes: dict[str, Any], text: str) -> None:
    """Set `a.b=value` in nested settings; the value is JSON, or else a string."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set takes name=value, as in steps=300, not {text!r}.")
    *path, last = key.split(".")
    group = changes
    for name in path:
        group = group.setdefault(name, {})
        if not isinstance(group, dict):
            raise SettingsError(f"--set {text}: {name} is no group of settings.")
    try:
        group[last] = parse_json(value, "--set", error=SettingsError)
    except SettingsError:
        group[last] = value


def _print_plan(settings: "TrainSettings", console: Console) -> None:
    """Print what the training will do, estimated from one sample."""
    from sam2lora.training.estimate import estimate

    found: Estimate = estimate(settings)
    kind = "base model" if settings.train == "base" else "adapter"
    console.print(f"{kind} for {', '.join(settings.targets)} on {settings.model}: {found.share}")
    for name, count in found.images.items():
        console.print(f"  trained on   {count:4} images of {name}")
    console.print(f"  validated on {found.validation:4} images of other patients")
    print_suspicious(found.suspicious)
    samples = settings.batch * settings.accumulate
    console.print(
        f"  {settings.steps} steps of {samples} samples on {found.device} in {found.precision}: "
        f"about {_duration(found.seconds)} and {found.bytes / 2**30:.1f} GiB (estimate)"
    )


def _follow(run: "RunFolder", settings: "TrainSettings", console: Console) -> None:
    """Train, and show the progress: a bar on a terminal, lines elsewhere."""
    from sam2lora.runs import StepEvent, best_adapter
    from sam2lora.targets import get_target
    from sam2lora.training.loop import train as run_training

    if not settings.gradient_checkpointing:  # it is set where memory is scarce
        keep_freed_memory()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]}"),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    measure = get_target(settings.target).measure
    with _stop_on_interrupt(run, console), bar:
        task = bar.add_task(settings.target, total=settings.steps, loss="-")
        for event in run_training(run):
            if isinstance(event, StepEvent):
                bar.update(task, completed=event.step, loss=f"{event.loss:.3f}")
            if not isinstance(event, StepEvent) or (
                not console.is_terminal and event.step % _LINE_EVERY == 0
            ):
                text = _describe(event, measure)
                if text:
                    console.print(f"step {event.step:6}  {text}")
    _end_process_group()
    best = best_adapter(run.path)
    if best:
        console.print(f"Best: {best.folder} (validation {measure} {_number(best.dice)})")
        if settings.train == "adapter":
            console.print(f"Install it: sam2lora adapters import {_quoted(run.path)} --name NAME")
    console.print(f"Continue or show again: sam2lora train {_quoted(run.path)}")


def _end_process_group() -> None:
    """Destroy the process group of torchrun, once all processes are done.

    If that were left to the interpreter's exit, threads of the first process could abort it.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def _describe(event: "Event", measure: str) -> str:
    """Return an event as a line of the log; empty for events that are not logged."""
    from sam2lora.runs import CheckpointEvent, PreviewEvent, StepEvent, ValidationEvent

    match event:
        case StepEvent():
            terms = ", ".join(f"{name} {value:.3f}" for name, value in event.terms.items())
            return f"loss {event.loss:.3f} ({terms}), {_duration(event.eta_s or 0)} left"
        case ValidationEvent():
            mean, loss, best = (_number(value) for value in (event.mean, event.loss, event.best))
            return (
                f"validation {measure} {mean}, loss {loss}; best {best} at step {event.best_step}"
            )
        case CheckpointEvent() | PreviewEvent():
            return ""
    text = getattr(event, "words", "")
    return f"{event.kind}: {text}" if text else event.kind


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


@contextmanager
def _stop_on_interrupt(run: "RunFolder", console: Console) -> Iterator[None]:
    """Stop after the step on the first Ctrl-C (or SIGTERM), and at once on the second."""

    def request_stop(number: int, frame: FrameType | None) -> None:
        console.print("Stopping after this step; a second interrupt ends it at once.")
        run.control.request("stop")
        signal.signal(number, before[signal.Signals(number)])

    before = {kind: signal.signal(kind, request_stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)

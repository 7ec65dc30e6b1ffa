"""`sam2lora train`: begin a training in a run folder, or go on with one."""

import json
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

from sam2lora.compute.allocator import keep_freed_memory

if TYPE_CHECKING:
    from sam2lora.runs import Event, RunFolder
    from sam2lora.training.estimate import Estimate
    from sam2lora.training.settings import TrainSettings

_LINE_EVERY = 10  # steps between lines in a log


def train(
    run: Annotated[Path, typer.Argument(help="Run folder: a new one, or one to go on with.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="Data set, folder or CSV file to learn from; repeatable."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="vessel, disc, cup or your own; needed to begin.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Base model: a name or a file.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="standard, quick, low-memory or paper.")
    ] = None,
    start_from: Annotated[
        str | None, typer.Option(help="Adapter to go on from: a name, a folder or a run.")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Rank of LoRA.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples at once.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    seed: Annotated[int | None, typer.Option(help="What every draw derives from.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any other setting, as optimizer.learning_rate=5e-4; repeatable.",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="A settings.json to begin with, as of another run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would do, and stop.")
    ] = False,
) -> None:
    """Train an adapter (or a base model) in a run folder, or go on with one.

    `sam2lora train RUN` goes on after the last checkpoint. With --data and --target, a new training
    begins. Ctrl-C stops it after the current step and keeps everything; so does a file named `stop`
    in RUN/control, and one named `pause` lets it wait.
    """
    from sam2lora.adapters import is_installed
    from sam2lora.errors import SettingsError
    from sam2lora.models.registry import BASE_MODELS
    from sam2lora.runs import RunFolder
    from sam2lora.training.settings import make_settings, validate_settings

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
        "data": [{"root": str(Path(root).resolve())} for root in data] if data else None,
    }
    changes = {name: value for name, value in options.items() if value is not None}
    for text in change or ():
        _set(changes, text)
    main = int(os.environ.get("RANK", "0")) == 0  # of the processes torchrun starts
    # Paths are printed as they are, whatever brackets and colons are in them.
    console = Console(soft_wrap=True, markup=False, emoji=False, highlight=False, quiet=not main)
    if not changes and preset is None and settings is None:
        begun = RunFolder.open(run)
        chosen = validate_settings(begun.read_settings())
        if not dry_run:
            _follow(begun, chosen, console)
        elif main:
            _print_plan(chosen.counted_from(run), console)
        return
    if settings is not None:
        if preset is not None:
            raise SettingsError("Give either --settings or --preset.")
        chosen = make_settings("standard", _read(settings), changes).counted_from(settings.parent)
    else:
        if not changes.keys() >= {"data", "target"}:
            raise SettingsError(_how_to_begin(run))
        chosen = make_settings(preset or "standard", changes)
    if main:
        _print_plan(chosen, console)  # before anything is written: it refuses what cannot be done
    if dry_run:
        return
    folder = RunFolder.create(run, chosen.model_dump_json(indent=2))
    console.print(f"  the same again: sam2lora train NEW --settings {_word(folder.settings)}")
    _follow(folder, chosen, console)


def _absolute(name: str | None) -> str | None:
    """Make a path independent of the folder the command is given in; a name stays a name."""
    return str(Path(name).resolve()) if name and Path(name).exists() else name


def _how_to_begin(run: Path) -> str:
    if (run / "settings.json").exists():
        return (
            f"{run}: the settings of a training that has begun stay as they are. Go on with "
            f"sam2lora train {run}; or begin another one like it: sam2lora train NEW --settings "
            f"{run / 'settings.json'} with the options to change, and --start-from for its adapter."
        )
    return f"{run}: to begin, say what to learn and from what: --data FOLDER --target TARGET"


def _word(path: Path) -> str:
    """Give a path as one word of a command."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def _set(changes: dict[str, Any], text: str) -> None:
    """Put `a.b=value` into nested settings; a value is JSON, or else a word."""
    from sam2lora.errors import SettingsError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set takes name=value, as in steps=300, not {text!r}.")
    *path, last = key.split(".")
    place = changes
    for name in path:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise SettingsError(f"--set {text}: {name} is no group of settings.")
    try:
        place[last] = json.loads(value)
    except ValueError:
        place[last] = value


def _read(path: Path) -> dict[str, Any]:
    from sam2lora.errors import SettingsError

    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as settings ({error}).") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: is no JSON object of settings.")
    return content


def _print_plan(settings: "TrainSettings", console: Console) -> None:
    """Say what the training will do, from one sample that is tried."""
    from sam2lora.training.estimate import estimate

    found: Estimate = estimate(settings)
    what = "base model" if settings.train == "base" else "adapter"
    console.print(f"{what} for {', '.join(settings.targets)} on {settings.model}: {found.share}")
    for name, count in found.images.items():
        console.print(f"  learns from {count:4} images of {name}")
    console.print(f"  judged by   {found.validation:4} images of other patients")
    samples = settings.batch * settings.accumulate
    console.print(
        f"  {settings.steps} steps of {samples} samples on {found.device} in {found.precision}: "
        f"about {_duration(found.seconds)} and {found.bytes / 2**30:.1f} GiB, by one sample tried"
    )


def _follow(run: "RunFolder", settings: "TrainSettings", console: Console) -> None:
    """Train, and show what happens: a bar on a terminal, lines elsewhere."""
    from sam2lora.runs import StepEvent, best_adapter
    from sam2lora.training.loop import train as run_training

    if not settings.gradient_checkpointing:  # who asks for that has little memory
        keep_freed_memory()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]}"),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    with _stop_on_interrupt(run, console), bar:
        task = bar.add_task(settings.target, total=settings.steps, loss="-")
        for event in run_training(run):
            if isinstance(event, StepEvent):
                bar.update(task, completed=event.step, loss=f"{event.loss:.3f}")
            if not isinstance(event, StepEvent) or (
                not console.is_terminal and event.step % _LINE_EVERY == 0
            ):
                text = _in_words(event)
                if text:
                    console.print(f"step {event.step:6}  {text}")
    _leave_together()
    best = best_adapter(run.path)
    if best:
        console.print(f"Best: {best.folder} (validation Dice {_number(best.dice)})")
        if settings.train == "adapter":
            console.print(f"Keep it: sam2lora adapters import {_word(run.path)} --name NAME")
    console.print(f"Go on or see again: sam2lora train {_word(run.path)}")


def _leave_together() -> None:
    """Take apart what joins the processes of torchrun, once all of them are done.

    Left to the interpreter's end, the threads of a process that is done first may abort it.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def _in_words(event: "Event") -> str:
    """Say what happened; nothing for what nobody waits for."""
    from sam2lora.runs import CheckpointEvent, PreviewEvent, StepEvent, ValidationEvent

    match event:
        case StepEvent():
            terms = ", ".join(f"{name} {value:.3f}" for name, value in event.terms.items())
            return f"loss {event.loss:.3f} ({terms}), {_duration(event.eta_s or 0)} left"
        case ValidationEvent():
            mean, loss, best = (_number(one) for one in (event.mean, event.loss, event.best))
            return f"validation Dice {mean}, loss {loss}; best {best} at step {event.best_step}"
        case CheckpointEvent() | PreviewEvent():
            return ""
    words = getattr(event, "words", "")
    return f"{event.kind}: {words}" if words else event.kind


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
    """Let the first Ctrl-C (or SIGTERM) ask for a stop; the second one ends at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        console.print("Stopping after this step; once more ends it at once.")
        run.control.request("stop")
        signal.signal(number, before[signal.Signals(number)])

    before = {one: signal.signal(one, ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

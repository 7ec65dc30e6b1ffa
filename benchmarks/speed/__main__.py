"""Speed and memory on this computer, as ratios against peers.

python -m benchmarks.speed                            # all benchmarks, on nano
python -m benchmarks.speed encode train --base tiny   # some, on tiny
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkSettings
from benchmarks.speed.result import HEADER, BenchmarkResult, By, write_results
from benchmarks.speed.rounds import run_benchmark
from sam2lora.cli.rows import print_rows
from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.settings import PrecisionChoice


def benchmark(
    benchmarks: Annotated[
        list[str] | None,
        typer.Argument(help=f"What to measure: {', '.join(BENCHMARKS)}; by default all."),
    ] = None,
    base: Annotated[
        str,
        typer.Option(help="Base model or file; random weights if it would be downloaded."),
    ] = "nano",
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Turns of each side.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        PrecisionChoice,
        typer.Option(help="Precision of this project's sides; peers use float32."),
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each side.")] = None,
    size: Annotated[
        tuple[int, int], typer.Option(help="Width and height of the image, in pixels.")
    ] = (1444, 1444),
    rank: Annotated[int, typer.Option(min=1, max=1024, help="Rank of LoRA.")] = 16,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Images in a training step.")] = 1,
    images: Annotated[int, typer.Option(min=1, max=1000, help="Images of quick adapt.")] = 20,
    by: Annotated[
        By,
        typer.Option(help="Elapsed or processor time; processor if other programs run."),
    ] = "clock",
    json: Annotated[
        Path | None, typer.Option("--json", help="Also write all turns to this file.")
    ] = None,
) -> None:
    """Measure this project against its peers, in turns: seconds, memory, ratios, aims."""
    selected = [name for name in BENCHMARKS if name in (benchmarks or BENCHMARKS)]
    unknown = set(benchmarks or ()) - BENCHMARKS.keys()
    if unknown:
        raise SettingsError(
            f"No benchmark is called {', '.join(sorted(unknown))}. "
            f"There are: {', '.join(BENCHMARKS)}."
        )
    settings = BenchmarkSettings(
        base=base,
        rounds=rounds,
        device=device,
        precision=precision,
        threads=threads,
        width=size[0],
        height=size[1],
        rank=rank,
        batch=batch,
        images=images,
    )
    console = Console(stderr=True)
    results: list[BenchmarkResult] = []
    for name in selected:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(name, total=rounds)
            results.append(run_benchmark(name, settings, progress=_ShowProgress(bar, task)))
        result = results[-1]
        print_rows(HEADER, result.rows(by), title=BENCHMARKS[name].description)
        typer.echo(result.conditions(by))
        if json:
            write_results(json, results)


@dataclass(frozen=True)
class _ShowProgress:
    """Shows progress in a bar."""

    bar: Progress
    task: TaskID

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)


def main() -> None:
    """Run the command line; errors are printed as a message, with exit code 2."""
    try:
        typer.run(benchmark)
    except Sam2LoraError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()

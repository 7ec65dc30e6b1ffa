"""Speed and memory on this computer, as ratios against peers.

python -m benchmarks.speed                            # all questions, on nano
python -m benchmarks.speed encode train --base tiny   # some, on tiny
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks.speed.questions import BENCHMARKS, BenchmarkSettings
from benchmarks.speed.result import HEADER, BenchmarkResult, By, write_results
from benchmarks.speed.rounds import run_benchmark
from sam2lora.cli.rows import print_rows
from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.settings import PrecisionChoice


def benchmark(
    questions: Annotated[
        list[str] | None,
        typer.Argument(help=f"What to measure: {', '.join(BENCHMARKS)}; by default all of it."),
    ] = None,
    base: Annotated[
        str,
        typer.Option(help="Base model, or a file; of those to be downloaded, random weights."),
    ] = "nano",
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Turns of each side.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Of this project's sides; peers are in float32.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each side.")] = None,
    size: Annotated[
        tuple[int, int], typer.Option(help="Width and height of the image, in pixels.")
    ] = (1444, 1444),
    rank: Annotated[int, typer.Option(min=1, max=1024, help="Rank of LoRA.")] = 16,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Images of a training step.")] = 1,
    images: Annotated[int, typer.Option(min=1, max=1000, help="Images of quick adapt.")] = 20,
    by: Annotated[
        By, typer.Option(help="Whose time: the processor's, where other programs do not rest.")
    ] = "clock",
    json: Annotated[
        Path | None, typer.Option("--json", help="Write all turns to this file, too.")
    ] = None,
) -> None:
    """Measure this project's ways beside their peers, in turns: seconds, memory, ratios, aims."""
    asked = [question for question in BENCHMARKS if question in (questions or BENCHMARKS)]
    unknown = set(questions or ()) - BENCHMARKS.keys()
    if unknown:
        raise SettingsError(
            f"There is no benchmark {', '.join(sorted(unknown))}. There are: "
            f"{', '.join(BENCHMARKS)}."
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
    for question in asked:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(question, total=rounds)
            results.append(run_benchmark(question, settings, progress=_Shown(bar, task)))
        result = results[-1]
        print_rows(HEADER, result.rows(by), title=BENCHMARKS[question].asks)
        typer.echo(result.conditions(by))
        if json:
            write_results(json, results)


@dataclass(frozen=True)
class _Shown:
    """Progress as a bar."""

    bar: Progress
    task: TaskID

    def __call__(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total)


def main() -> None:
    """Run the command line; an error is one message and exit code 2."""
    try:
        typer.run(benchmark)
    except Sam2LoraError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()

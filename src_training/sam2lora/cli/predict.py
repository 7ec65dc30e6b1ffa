"""`sam2lora predict`: masks for image files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from sam2lora.cli.models import load_with_bar
from sam2lora.cli.rows import print_rows
from sam2lora.errors import GeometryError, Sam2LoraError
from sam2lora.settings import PrecisionChoice

if TYPE_CHECKING:
    from sam2lora.batch import FileProgress, Outcome


def predict(
    images: Annotated[
        list[str], typer.Argument(help="Image files, folders, data sets or patterns ('*.tif').")
    ],
    out: Annotated[Path, typer.Option(help="Folder for <stem>_<target>.png.")],
    target: Annotated[
        list[str], typer.Option(help="vessel, disc, cup or one of your own; repeatable.")
    ],
    model: Annotated[
        str, typer.Option(help="Base model: a name, or the path of a file with weights.")
    ] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(
            help="Name of an adapter, its folder, or a run folder, for its best one; by default "
            "the shipped one, else your newest."
        ),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(help="x,y,+ on the target or x,y,- off it, in image pixels; repeatable."),
    ] = None,
    box: Annotated[str | None, typer.Option(help="x0,y0,x1,y1 in image pixels.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="auto takes bfloat16 where it is faster.")
    ] = "auto",
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over mirror images; takes four times as long.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write probabilities as float32 TIFF, too.")
    ] = False,
) -> None:
    """Segment images: one mask (0 and 255, native size) for each image and target.

    Of several files those that fail are named at the end with the reason, the others are written,
    and the exit code is then 1. Masks that are there already are replaced.
    """
    from sam2lora.adapters import choose_adapter
    from sam2lora.batch import Task, segment_files
    from sam2lora.image_files import find_images
    from sam2lora.image_prompts import ImagePrompts, parse_box, parse_point
    from sam2lora.predictor import Predictor
    from sam2lora.targets import get_target

    prompts = ImagePrompts(
        tuple(parse_point(text) for text in point or ()), parse_box(box) if box else None
    )
    targets = [get_target(name) for name in dict.fromkeys(target)]
    paths = find_images(images)
    if not prompts.empty and (len(paths) > 1 or len(targets) > 1):
        raise GeometryError(
            f"Points and boxes belong to one target in one image; there are {len(targets)} targets "
            f"and {len(paths)} images."
        )
    base = load_with_bar(model)
    chosen = {
        one: choose_adapter(
            base.base, base.identity, one, named=adapter, prompted=not prompts.empty
        )
        for one in targets
    }
    tasks = [Task.of(one, adapter=chosen[one], prompts=prompts, flips=tta) for one in targets]
    predictor = Predictor(base, device=device, precision=precision)
    with _bar(paths) as show:
        outcomes = list(
            segment_files(predictor, paths, tasks, out, probabilities=probabilities, progress=show)
        )
    _report(outcomes, out)


@contextmanager
def _bar(paths: Sequence[Path]) -> Iterator["FileProgress"]:
    """Show how many images are done, and how much of the present one, where there is a terminal."""
    numbers = {path: number for number, path in enumerate(paths)}
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Segmenting", total=len(paths))

        def show(path: Path, share: float) -> None:
            progress.update(bar, completed=numbers[path] + share)

        yield show
        progress.update(bar, completed=len(paths))


def _report(outcomes: Sequence["Outcome"], out: Path) -> None:
    """Say what was written and what failed; exit with 1 if anything did, with 2 if it was alone."""
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed and len(outcomes) == 1:
        raise Sam2LoraError(failed[0].error)
    typer.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} images segmented into {out}")
    if not failed:
        return
    rows = [(str(one.path), one.error.removeprefix(f"{one.path}: ")) for one in failed]
    print_rows(("image", "reason"), rows, title=f"{len(failed)} failed:", stderr=True)
    raise typer.Exit(1)

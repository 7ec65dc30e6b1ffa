"""`sam2lora predict`: masks for image files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from sam2lora.cli.models import load_with_bar
from sam2lora.cli.rows import print_rows
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.errors import AdapterError, Sam2LoraError, SettingsError
from sam2lora.settings import PrecisionChoice

if TYPE_CHECKING:
    from sam2lora.inference.batch import FileProgress, FileResult


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
    mask: Annotated[
        Path | None, typer.Option(help="File of a previous mask of the image, to start from.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Answer by the base model alone, without an adapter.")
    ] = False,
    detail: Annotated[
        Literal["whole", "tiles", "zoom", "squash"] | None,
        typer.Option(help="How images are looked at; by default as the adapter was trained."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Probability from which a pixel is on the target, between 0 and 1."),
    ] = None,
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
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave masks that are there already as they are.")
    ] = False,
) -> None:
    """Segment images: one mask (0 and 255, native size) for each image and target.

    Of several files those that fail are named at the end with the reason, the others are written,
    and the exit code is then 1. Masks that are there already are replaced, unless --keep is given.
    """
    from sam2lora.datasets.image_search import find_images
    from sam2lora.inference.batch import segment_files
    from sam2lora.inference.pipeline import tasks_of
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.settings import PredictSettings
    from sam2lora.prompts.user_prompts import Prompts, parse_box, parse_point
    from sam2lora.targets import get_target

    if bare and adapter is not None:
        raise AdapterError("--bare is without an adapter, and --adapter names one. Leave one out.")
    if threshold is not None and not 0 < threshold < 1:
        raise SettingsError(f"A threshold is a probability between 0 and 1, not {threshold}.")
    points = tuple(parse_point(text) for text in point or ())
    Prompts(points, corners := parse_box(box) if box else None)  # refused before all else
    for name in target:
        get_target(name)
    paths = find_images(images)
    settings = PredictSettings(
        images=tuple(images),
        targets=tuple(dict.fromkeys(target)),
        out=str(out),
        model=model,
        adapter=adapter,
        no_adapter=bare,
        points=points,
        box=corners,
        mask=None if mask is None else str(mask),
        detail=detail,
        threshold=threshold,
        tta=tta,
        device=device,
        precision=precision,
        probabilities=probabilities,
        keep=keep,
    )
    settings.check_prompts_fit(len(paths))
    keep_freed_memory()
    base = load_with_bar(settings.model)
    tasks = tasks_of(settings, base)
    predictor = Predictor(base, device=settings.device, precision=settings.precision)
    with _bar(paths) as show:
        results = list(
            segment_files(
                predictor,
                paths,
                tasks,
                out,
                probabilities=probabilities,
                keep=keep,
                progress=show,
            )
        )
    _report(results, out)


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


def _report(results: Sequence["FileResult"], out: Path) -> None:
    """Say what was written and what failed; exit with 1 if anything did, with 2 if it was alone."""
    failed = [result for result in results if result.error]
    if failed and len(results) == 1:
        raise Sam2LoraError(failed[0].error)
    kept = sum(len(result.kept) for result in results)
    words = f"; {kept} masks that were there are kept" if kept else ""
    typer.echo(f"{len(results) - len(failed)} of {len(results)} images segmented into {out}{words}")
    if not failed:
        return
    rows = [(str(one.path), one.error.removeprefix(f"{one.path}: ")) for one in failed]
    print_rows(("image", "reason"), rows, title=f"{len(failed)} failed:", stderr=True)
    raise typer.Exit(1)

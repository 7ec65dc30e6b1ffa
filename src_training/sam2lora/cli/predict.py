"""`sam2lora predict`: segment image files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sam2lora.cli.bars import ImageBar
from sam2lora.cli.models import download_bar
from sam2lora.cli.rows import print_rows
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.compute.cluster import HELP, open_cluster
from sam2lora.errors import Sam2LoraError
from sam2lora.settings import PrecisionChoice

if TYPE_CHECKING:
    from sam2lora.inference.batch import BatchProgress
    from sam2lora.inference.result_files import FileResult
    from sam2lora.inference.settings import PredictSettings

_MOST_NOTES = 5  # lines about conversions
_DOUBTFUL = 0.5  # confidence below which a mask is named
_MOST_NAMED = 5  # doubtful masks


def predict(
    images: Annotated[
        list[str], typer.Argument(help="Image files, folders, datasets or patterns ('*.tif').")
    ],
    out: Annotated[Path, typer.Option(help="Folder for <stem>_<target>.png.")],
    target: Annotated[
        list[str], typer.Option(help="vessel, disc, cup, fovea or one of your own; repeatable.")
    ],
    model: Annotated[
        str, typer.Option(help="Base model: a name, or the path of a file with weights.")
    ] = "nano",
    adapter: Annotated[
        str | None,
        typer.Option(
            help="Name of an adapter, its folder, or a run folder for its best one; by default "
            "the shipped one, or else your newest."
        ),
    ] = None,
    outer_adapter: Annotated[
        str | None,
        typer.Option(
            help="The same for the target that one of these lies in, as the cup in the disc."
        ),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option(
            help="x,y,+ (on the target) or x,y,- (off it), in image pixels; repeatable. With "
            ",branch it adds or removes a branch of a tree."
        ),
    ] = None,
    box: Annotated[str | None, typer.Option(help="x0,y0,x1,y1 in image pixels.")] = None,
    mask: Annotated[
        Path | None, typer.Option(help="File of a previous mask of the image, to start from.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Use the base model without an adapter.")
    ] = False,
    detail: Annotated[
        Literal["whole", "tiles", "zoom", "squash"] | None,
        typer.Option(help="Input mode; by default the one the adapter was trained with."),
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
    field_size: Annotated[
        list[int] | None,
        typer.Option(
            min=128,
            max=8192,
            help="Diameter of the field of view for tiles, in network pixels, instead of the "
            "adapter's: smaller is faster; given repeatedly, predictions are averaged.",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write probability maps as float32 TIFF, too.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep existing masks.")] = False,
    measure: Annotated[
        Path | None,
        typer.Option(help="Measure the masks into this table, .csv or .parquet; a row an image."),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help=HELP)] = None,
) -> None:
    """Segment images: one mask (0 and 255, native size) for each image and target.

    A target that is a point, as the fovea, is written as <stem>_<target>.json: x and y in image
    pixels, and the confidence. --point sets it.

    If some of several files fail, they are listed at the end with the reason, the others are
    written, and the exit code is 1. Existing masks are replaced, unless --keep is given.

    With --measure the masks are measured as `sam2lora measure` does; what is in the table already,
    predicted from the same image in the same way, is not predicted again.
    """
    from sam2lora.inference.settings import PredictSettings
    from sam2lora.prompts.user_prompts import parse_box, parse_point

    settings = PredictSettings(
        images=tuple(images),
        targets=tuple(dict.fromkeys(target)),
        out=str(out),
        model=model,
        adapter=adapter,
        outer_adapter=outer_adapter,
        no_adapter=bare,
        points=tuple(parse_point(text) for text in point or ()),
        box=parse_box(box) if box else None,
        mask=None if mask is None else str(mask),
        detail=detail,
        threshold=threshold,
        tta=tta,
        field_sizes=tuple(field_size or ()),
        device=device,
        precision=precision,
        probabilities=probabilities,
        keep=keep,
    )
    keep_freed_memory()
    _report(_segment(settings, measure, cluster), out)


def _segment(
    settings: "PredictSettings", table: Path | None, cluster: str | None
) -> list["FileResult"]:
    """Segment the images, and measure them into a table; show on a terminal how many are done."""
    from sam2lora.cohort.predictions import predict_and_measure
    from sam2lora.inference.pipeline import segment_files

    bar = ImageBar("Segmenting", lines=bool(cluster))

    def show(progress: "BatchProgress") -> None:
        bar.show(progress.done, progress.total)

    with open_cluster(cluster, device=settings.device) as workers:
        # Only one bar can be shown at a time: that of the download ends before the other starts.
        with download_bar(settings.model) as show_download:
            if table is None:
                pending = segment_files(
                    settings, download_progress=show_download, progress=show, cluster=workers
                )
            else:
                pending = predict_and_measure(
                    settings,
                    table,
                    download_progress=show_download,
                    progress=show,
                    cluster=workers,
                )
        with bar:
            results = list(pending)
            bar.show(len(results), len(results))
    return results


def _report(results: Sequence["FileResult"], out: Path) -> None:
    """Print what was written and what failed; exit with 1, or with 2 if the only file failed."""
    failed = [result for result in results if result.error]
    if failed and len(results) == 1:
        raise Sam2LoraError(failed[0].error)
    kept = sum(len(result.kept) for result in results)
    note = f"; {kept} existing masks kept" if kept else ""
    typer.echo(f"{len(results) - len(failed)} of {len(results)} images segmented into {out}{note}")
    _report_doubtful(results)
    _report_conversions(results)
    if not failed:
        return
    rows = [(str(file.path), file.error.removeprefix(f"{file.path}: ")) for file in failed]
    print_rows(("image", "reason"), rows, title=f"{len(failed)} failed:", stderr=True)
    raise typer.Exit(1)


def _report_doubtful(results: Sequence["FileResult"]) -> None:
    """Print which masks are more likely wrong than right, the least sure first."""
    known = [
        (confidence, f"{result.path.name} {target} {confidence:.2f}")
        for result in results
        for target, confidence in result.confidence.items()
        if confidence is not None
    ]
    doubtful = sorted(one for one in known if one[0] < _DOUBTFUL)
    if doubtful:
        named = ", ".join(text for _, text in doubtful[:_MOST_NAMED])
        more = ", …" if len(doubtful) > _MOST_NAMED else ""
        typer.echo(
            f"{len(doubtful)} of {len(known)} masks are doubtful (confidence): {named}{more}"
        )


def _report_conversions(results: Sequence["FileResult"]) -> None:
    """Print how images were converted on reading, the most frequent conversions first."""
    counts = Counter(result.note for result in results if result.note)
    for note, count in counts.most_common(_MOST_NOTES):
        typer.echo(f"{count} converted on reading: {note}")
    others = counts.total() - sum(count for _, count in counts.most_common(_MOST_NOTES))
    if others:
        typer.echo(f"{others} converted on reading in other ways")

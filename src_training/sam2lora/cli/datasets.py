"""`sam2lora datasets`: list the recognised layouts, check a dataset, draw a synthetic one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from sam2lora.cli.rows import print_rows

if TYPE_CHECKING:
    from sam2lora.datasets import DatasetReport

app = typer.Typer(help="List layouts, check datasets, draw synthetic ones.", no_args_is_help=True)


@app.command(name="list")
def list_layouts() -> None:
    """List the recognised layouts with the paths of their images and masks."""
    from sam2lora.datasets import DATASETS, ENCODINGS

    for layout in DATASETS.values():
        typer.secho(layout.name, bold=True, nl=False)
        typer.echo(f"  {layout.about}")
        typer.echo(f"    image  {layout.example}")
        for target, graders in layout.masks.items():
            for place in graders:
                shown = "" if target == "*" else f"{target}: "
                about = ENCODINGS[place.encoding].about
                typer.echo(f"    mask   {shown}{' or '.join(place.paths)} ({about})")
        if layout.fov is not None:
            typer.echo(f"    field of view  {layout.fov.paths[0]}")
        if layout.note:
            typer.echo(f"    note   {layout.note}")


@app.command()
def check(
    root: Annotated[Path, typer.Argument(help="Folder of the dataset, or its CSV file.")],
    layout: Annotated[
        str | None, typer.Option(help="Its layout (see `datasets list`); recognised if not given.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Check only this target; also the target of masks that do not name one."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Values of a target in label maps, as disc=1+2; repeatable."),
    ] = None,
) -> None:
    """Read every file of a dataset and list every problem.

    Exit code 0: no problems; 1: the dataset can be used, but has problems; 2: no dataset.
    """
    from sam2lora.datasets import check_dataset, parse_labels

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("Reading images", total=None)
        report = check_dataset(
            root,
            layout=layout,
            target=target,
            labels=parse_labels(labels or ()),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    dataset = report.dataset
    patients = len({record.patient for record in dataset.records})
    typer.echo(f"{dataset.name} (layout {dataset.layout}) in {dataset.root}")
    typer.echo(f"{len(dataset.records)} images of {patients} patients")
    if report.note:
        typer.echo(report.note)
    pairs = [(t, split or "-", str(count)) for (t, split), count in report.pairs.items()]
    print_rows(("target", "split", "images with a mask"), pairs)
    if not report.problems:
        typer.echo("No problems.")
        return
    typer.echo(f"Problems: {len(report.problems)}")
    print_rows(("file", "problem"), list(_problem_rows(report)))
    raise typer.Exit(1)


@app.command()
def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder of the new dataset.")],
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first image.")] = 0,
    size: Annotated[
        int, typer.Option(min=64, max=4096, help="Side of the images in pixels.")
    ] = 1024,
) -> None:
    """Draw synthetic images with exact masks, as a dataset to train or to test with.

    Existing images are kept, so the command can be repeated after an interruption.
    """
    from sam2lora.synthetic import SyntheticSettings
    from sam2lora.synthetic.folder import write_synthetic_dataset

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("Drawing images", total=count)
        write_synthetic_dataset(
            out,
            count=count,
            seed=seed,
            settings=SyntheticSettings(size=size),
            progress=lambda done, total: progress.update(task, completed=done),
        )
    typer.echo(f"{count} images: {out / 'images'}")


def _problem_rows(report: "DatasetReport") -> Iterator[tuple[str, str]]:
    """Yield the file, relative to the folder of the dataset, and the text of each problem."""
    root = report.dataset.root
    folder = root if root.is_dir() else root.parent
    for problem in report.problems:
        inside = problem.path.is_relative_to(folder) and problem.path != folder
        path = problem.path.relative_to(folder) if inside else problem.path
        yield str(path), problem.text

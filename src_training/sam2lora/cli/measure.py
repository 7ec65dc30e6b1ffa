"""`sam2lora measure`: a table of what the masks of images measure."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam2lora.cli.bars import ImageBar
from sam2lora.cli.rows import print_rows
from sam2lora.compute.cluster import HELP, open_cluster
from sam2lora.errors import SettingsError

if TYPE_CHECKING:
    from sam2lora.cohort import TableResult
    from sam2lora.datasets import Record


def measure(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Image files, folders, datasets or patterns ('*.tif')."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The table, .csv or .parquet.")] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder of <stem>_<target>.png, as predict writes them; by default the masks of "
            "the dataset that the images are in."
        ),
    ] = None,
    vascx: Annotated[
        Path | None,
        typer.Option(
            help="Let VascX (the extra vascx) measure the vessels, too, in this folder of its own."
        ),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help=HELP)] = None,
    definitions: Annotated[
        bool, typer.Option("--definitions", help="Print what each column is, and do nothing else.")
    ] = False,
) -> None:
    """Measure the masks of images: a table with one row an image.

    An existing table is continued: rows of the same image, masks and version stay. An image that
    cannot be measured has a row with the reason; it is listed at the end, and the exit code is 1.
    """
    if definitions:
        _print_definitions()
        return
    if vascx is not None:
        from sam2lora.cohort.vascx import check_installed

        check_installed()
    if not images or out is None:
        raise SettingsError(
            "Images and a table are needed: sam2lora measure FOLDER --out table.csv"
        )
    from sam2lora.cohort import find_records, measure_records

    records = find_records(images, masks=masks)
    with open_cluster(cluster) as workers, ImageBar("Measuring", lines=bool(cluster)) as bar:
        result = measure_records(records, out, progress=bar.show, cluster=workers)
    if vascx is not None:
        _add_vascx(records, out, vascx)
    _report(result, out)


def _add_vascx(records: "Sequence[Record]", out: Path, folder: Path) -> None:
    from sam2lora.cohort.vascx import add_biomarkers

    with ImageBar("Measuring by VascX") as bar:
        failed = add_biomarkers(records, out, folder, progress=bar.show)
    for name, reason in failed.items():
        typer.echo(f"{name}: VascX could not measure it ({reason})", err=True)


def _report(result: "TableResult", out: Path) -> None:
    """Print what was measured and what failed; exit with 1 if anything did."""
    kept = f", {result.kept} of them kept" if result.kept else ""
    typer.echo(f"{result.rows - len(result.failed)} of {result.rows} images measured{kept}: {out}")
    if result.failed:
        rows = list(result.failed.items())
        print_rows(("image", "reason"), rows, title=f"{len(rows)} failed:", stderr=True)
        raise typer.Exit(1)


def _print_definitions() -> None:
    from sam2lora.measurements import DEFINITIONS

    rows = [
        (one.name, one.unit, ", ".join(one.needs), one.text, one.source)
        for one in DEFINITIONS.values()
    ]
    print_rows(("column", "unit", "needs", "what it is", "source"), rows)

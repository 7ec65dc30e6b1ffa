"""`sam2lora session export`, `agree` and `consensus`: what comes out of a session."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from sam2lora.cli.bars import ImageBar
from sam2lora.cli.rows import print_rows
from sam2lora.errors import SessionError, SettingsError

Folder = Annotated[Path, typer.Argument(help="Folder of the session.")]
Graders = Annotated[
    list[str] | None,
    typer.Option("--grader", help="Name of a grader; repeatable. By default all of them."),
]


def export(
    session: Folder,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    grader: Graders = None,
    masks: Annotated[
        str | None,
        typer.Option(help="Also write the masks of this grader, in the formats given."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="coco, label-maps or dataset; repeatable. Default: all."),
    ] = None,
    numbers: Annotated[
        bool, typer.Option(help="Measure the masks of images that all graders are done with.")
    ] = True,
    copy: Annotated[
        bool, typer.Option(help="Copy the images into the data set, or refer to their files.")
    ] = True,
) -> None:
    """Write session.csv and session.json: states, times, graders and numbers; and masks.

    Exit code 1 if there are masks of targets that this computer does not know.
    """
    from sam2lora.grading import GradingSession, Review
    from sam2lora.grading.mask_export import FORMATS, ExportFormat, export_masks
    from sam2lora.grading.session_table import write_session_table

    chosen: list[ExportFormat] = [name for name in FORMATS if name in (formats or FORMATS)]
    unknown = [name for name in formats or () if name not in FORMATS]
    if unknown:
        raise SettingsError(f"--format {unknown[0]!r} is unknown. Use: {', '.join(FORMATS)}.")
    if formats and masks is None:
        raise SettingsError("--format says how masks are written: name their grader with --masks.")
    review = Review(GradingSession.open(session), grader or ())
    if masks is not None:
        with ImageBar("Writing masks") as bar:
            count = export_masks(out, review, masks, formats=chosen, copy=copy, progress=bar.show)
        typer.echo(f"Masks of {masks} in {count} images: {', '.join(chosen)} in {out}")
    with ImageBar("Measuring") as bar:
        table, document = write_session_table(out, review, numbers=numbers, progress=bar.show)
    typer.echo(f"Session: {table} and {document}")
    report_unreadable(review.unreadable)
    _report_problems(review.unknown_masks())


def agree(
    session: Folder,
    out: Annotated[Path, typer.Option(help="Folder to write to; an earlier one is replaced.")],
    grader: Graders = None,
    target: Annotated[
        list[str] | None, typer.Option(help="What to compare; repeatable. Default: all masks.")
    ] = None,
) -> None:
    """Compare two graders in the images that both are done with.

    Exit code 1 if an image could not be compared, or not in all targets.
    """
    from sam2lora.grading import GradingSession, Review
    from sam2lora.grading.agreement import compare_graders
    from sam2lora.grading.agreement_report import summary_rows, write_agreement

    review = Review(GradingSession.open(session), grader or ())
    if len(review.graders) != 2:
        raise SessionError(
            f"Two graders are compared; there are: {', '.join(review.graders)}. Name two: "
            "--grader A --grader B"
        )
    review.session.check_outside(out)
    with ImageBar("Comparing") as bar:
        found = compare_graders(review, *review.graders, targets=target or (), progress=bar.show)
    names = write_agreement(out, found)
    header, *rows = summary_rows(found)
    print_rows(header, rows, title=f"Agreement of {found.first} and {found.second}")
    sealed = len(review.session.images) - len(review.open_stems())
    if sealed:
        typer.echo(f"{sealed} images are not compared: not both are done with them.")
    typer.echo(f"Agreement: {out / names[0]}")
    report_unreadable(found.unreadable)
    _report_problems(dict(found.problems))


def consensus(
    session: Folder,
    out: Annotated[Path, typer.Option(help="Folder to create.")],
    grader: Graders = None,
    adjudicator: Annotated[
        str | None, typer.Option(help="Name of the adjudicator whose decisions are taken.")
    ] = None,
    otherwise: Annotated[
        str | None,
        typer.Option(
            help="What is taken where nothing was decided: a grader's name, majority or staple. By "
            "default nothing is."
        ),
    ] = None,
    copy: Annotated[bool, typer.Option(help="Copy the images, or refer to their files.")] = True,
) -> None:
    """Write the consensus as a data set, with each grader's masks beside it.

    Exit code 1 if an image could not be written, or not with all targets.
    """
    from sam2lora.grading import Adjudicator, GradingSession, Review
    from sam2lora.grading.consensus import STAPLE
    from sam2lora.grading.consensus_dataset import write_consensus

    opened = GradingSession.open(session)
    decided: Adjudicator | None = None
    if adjudicator is not None:
        decided = Adjudicator(opened, adjudicator, graders=grader or (), read_only=True)
    review = decided.review if decided else Review(opened, grader or ())
    with ImageBar("Writing the consensus") as bar:
        result = write_consensus(
            out, review, adjudicator=decided, otherwise=otherwise, copy=copy, progress=bar.show
        )
    print_rows(("choice", "masks"), [(name, str(n)) for name, n in result.chosen.items()])
    if STAPLE in result.chosen and len(review.graders) == 2:
        typer.echo(
            "Of two graders STAPLE cannot know who is right: it takes about their union or their "
            "intersection. Let a third person decide.",
            err=True,
        )
    if result.sealed:
        typer.echo(f"{len(result.sealed)} images are left out: not all graders are done with them.")
    if result.undecided:
        rows = [(stem, ", ".join(targets)) for stem, targets in result.undecided.items()]
        print_rows(("image", "targets"), rows, title="Left out, because nothing was decided:")
    if result.void:
        rows = [(stem, ", ".join(targets)) for stem, targets in result.void.items()]
        print_rows(
            ("image", "targets"),
            rows,
            title="Left out, because a grader changed them after they were decided; decide again:",
        )
    typer.echo(f"Consensus: {out}")
    report_unreadable(review.unreadable)
    _report_problems(result.problems)


def report_unreadable(lines: Mapping[str, int]) -> None:
    """Print how many lines of logs cannot be read, by person, if there are any."""
    rows = [(name, str(count)) for name, count in lines.items() if count]
    if rows:
        title = "Lines of logs that cannot be read; images they may be about do not count as done:"
        print_rows(("name", "lines"), rows, title=title, stderr=True)


def _report_problems(problems: dict[str, str]) -> None:
    """Print why images or targets were left out, and exit with 1 if there are any."""
    if problems:
        rows = list(problems.items())
        title = f"{len(rows)} left out, wholly or in part:"
        print_rows(("image", "reason"), rows, title=title, stderr=True)
        raise typer.Exit(1)

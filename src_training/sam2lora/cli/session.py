"""`sam2lora session`: create, list, move and send sessions in which people grade images.

What comes out of a session is in `session_results`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam2lora.cli.bars import ImageBar
from sam2lora.cli.rows import print_rows
from sam2lora.cli.session_results import (
    Folder,
    agree,
    consensus,
    export,
    report_unreadable,
)

if TYPE_CHECKING:
    from sam2lora.grading import GradingSession

app = typer.Typer(
    help="Grade images in a session: several people, agreement, consensus.", no_args_is_help=True
)
app.command()(export)
app.command()(agree)
app.command()(consensus)

_MOST_NAMED = 5  # doubtful images

Images = Annotated[
    list[str],
    typer.Argument(
        help="Data sets, folders, image files, patterns, or a CSV file with the column image and "
        "optionally patient, eye and dataset."
    ),
]


@app.command()
def new(session: Folder, images: Images) -> None:
    """Create a session in a new folder; the images stay where they are."""
    from sam2lora.grading import GradingSession, list_sources

    sources = list_sources(images)
    with ImageBar("Reading images") as bar:
        created = GradingSession.create(session, sources, progress=bar.show)
    patients = len({image.patient for image in created.images})
    typer.echo(f"{len(created.images)} images of {patients} patients: {created.folder}")
    _report_copies(len(sources) - len(created.images))


@app.command()
def add(session: Folder, images: Images) -> None:
    """Add images at the end of a session; those it has already are left out."""
    from sam2lora.grading import GradingSession, list_sources

    opened = GradingSession.open(session)
    sources = list_sources(images)
    with ImageBar("Reading images") as bar:
        added = opened.add(sources, progress=bar.show)
    typer.echo(f"{len(added)} images added; {len(opened.images)} in all.")
    _report_copies(len(sources) - len(added))


@app.command()
def status(session: Folder) -> None:
    """Show the progress of each grader, and which images are missing.

    Exit code 1 if an image is missing.
    """
    from sam2lora.grading import GradingSession
    from sam2lora.grading.agreement import STATES
    from sam2lora.grading.grades import UNTOUCHED
    from sam2lora.grading.participants import corrections_in, read_grades
    from sam2lora.grading.session import GRADERS

    opened = GradingSession.open(session)
    typer.echo(f"{len(opened.images)} images, created {opened.created:%Y-%m-%d %H:%M} UTC")
    rows = []
    flagged = []
    unreadable: dict[str, int] = {}
    unknown: list[tuple[str, str, str]] = []
    stems = [image.stem for image in opened.images]
    for name in opened.graders():
        grades, unreadable[name] = read_grades(opened, name)
        store = corrections_in(opened.folder / GRADERS / name, opened)
        unknown += [
            (name, stem, ", ".join(targets))
            for stem, targets in store.unknown_targets(stems).items()
        ]
        each = [grades.get(image.stem, UNTOUCHED) for image in opened.images]
        counts = [str(sum(grade.state == state for grade in each)) for state in STATES]
        minutes = sum(grade.seconds for grade in each) / 60
        rows.append((name, *counts, f"{minutes:.1f}"))
        pairs = zip(opened.images, each, strict=True)
        flagged += [
            (name, image.stem, grade.reason) for image, grade in pairs if grade.state == "flagged"
        ]
    if rows:
        print_rows(("grader", *STATES, "minutes"), rows)
    else:
        typer.echo("Nobody has graded anything yet.")
    if opened.adjudicators():
        typer.echo(f"Adjudicators: {', '.join(opened.adjudicators())}")
    if flagged:
        print_rows(("grader", "image", "reason"), flagged, title="Flagged:")
    if unknown:
        title = "Masks of targets that this computer does not know, which are not read:"
        print_rows(("grader", "image", "targets"), unknown, title=title, stderr=True)
    report_unreadable(unreadable)
    _report_missing(opened)


@app.command()
def doubt(
    session: Folder,
    predictions: Annotated[
        Path, typer.Argument(help="Folder that `sam2lora predict` wrote the masks to.")
    ],
    other: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of other predictions of the same images, as with another adapter or with "
            "--tta: the less both agree, the larger the doubt. Without it, confidences count."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="What counts; repeatable. Default: all that was predicted."),
    ] = None,
) -> None:
    """Write how doubtful predictions are, so that the most doubtful image can be graded next.

    Earlier doubts of the session are replaced.
    """
    from sam2lora.grading import GradingSession
    from sam2lora.grading.doubts import find_doubts, write_doubts

    opened = GradingSession.open(session)
    with ImageBar("Comparing") as bar:
        found = find_doubts(opened, predictions, other, targets=target or (), progress=bar.show)
    path = write_doubts(opened, found.doubts)
    most = sorted(found.doubts.items(), key=lambda one: -one[1].value)[:_MOST_NAMED]
    rows = [(stem, f"{one.value:.2f}", one.reason) for stem, one in most]
    print_rows(("image", "doubt", "reason"), rows, title="Most doubtful:")
    if found.without:
        typer.echo(f"{len(found.without)} images have no such predictions.")
    typer.echo(f"Doubts about {len(found.doubts)} images: {path}")


@app.command()
def locate(
    session: Folder,
    folders: Annotated[list[Path], typer.Argument(help="Folders to look in, at any depth.")],
) -> None:
    """Find images that lie elsewhere now, by their content.

    Exit code 1 if an image is still missing.
    """
    from sam2lora.grading import GradingSession
    from sam2lora.grading import locate as find

    opened = GradingSession.open(session)
    with ImageBar("Looking for images") as bar:
        located = find(opened, folders, progress=bar.show)
    typer.echo(f"{len(located.found)} images found.")
    _report_missing(opened)


@app.command()
def pack(
    session: Folder,
    out: Annotated[Path, typer.Argument(help="The .zip file to write.")],
    images: Annotated[bool, typer.Option("--images", help="Pack the images, too.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing file.")] = False,
) -> None:
    """Write a session into one .zip file, to send it."""
    from sam2lora.grading import GradingSession
    from sam2lora.grading.archive import pack_session

    opened = GradingSession.open(session)
    with ImageBar("Packing") as bar:
        pack_session(opened, out, images=images, replace=replace, progress=bar.show)
    typer.echo(f"{len(opened.images)} images{'' if images else ', without their files'}: {out}")


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(help="A .zip file that `session pack` wrote.")],
    session: Annotated[Path, typer.Argument(help="Folder to create.")],
) -> None:
    """Unpack a session into a new folder.

    Exit code 1 if images are missing; `session locate` finds them.
    """
    from sam2lora.grading.archive import unpack_session

    opened = unpack_session(file, session)
    typer.echo(f"{len(opened.images)} images: {opened.folder}")
    _report_missing(opened)


def _report_copies(count: int) -> None:
    if count:
        typer.echo(f"{count} files are left out: their content is in the session already.")


def _report_missing(session: "GradingSession") -> None:
    missing = session.missing()
    if missing:
        rows = [(image.stem, str(session.path(image.stem))) for image in missing]
        print_rows(("image", "was at"), rows, title=f"{len(missing)} missing:", stderr=True)
        typer.echo(f"Find them with: sam2lora session locate {session.folder} FOLDER", err=True)
        raise typer.Exit(1)

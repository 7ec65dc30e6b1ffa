"""`sam2lora evaluate`: score adapters on datasets, and compare two reports."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sam2lora.cli.bars import ImageBar
from sam2lora.cli.models import download_bar
from sam2lora.cli.points import device_text
from sam2lora.cli.reports import check_options, compare_reports, join_cup_and_disc
from sam2lora.cli.rows import number, print_rows, print_suspicious
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.compute.cluster import HELP, open_cluster
from sam2lora.errors import SettingsError
from sam2lora.settings import PrecisionChoice, ProtocolName, SplitChoice

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster
    from sam2lora.evaluation import Candidate, EvaluateSettings, Report
    from sam2lora.inference.predictor import Predictor


def evaluate(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the report; an existing one is replaced.")],
    roots: Annotated[
        list[Path] | None,
        typer.Argument(metavar="ROOT", help="Datasets: folders or CSV files with masks."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="vessel, disc, cup, fovea or your own.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Base model: a name or a file of weights; nano by default.")
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or folder of an adapter, repeatable; by default the shipped one, else your "
            "newest. With --compare or --cup-disc: the model of each report."
        ),
    ] = None,
    outer_adapter: Annotated[
        str | None,
        typer.Option(
            help="Adapter that finds the target it lies in, as the disc of the cup; by default as "
            "for --adapter."
        ),
    ] = None,
    bare: Annotated[
        bool,
        typer.Option("--bare", help="Score the base model without adapter, too."),
    ] = False,
    second_grader: Annotated[
        bool,
        typer.Option(
            "--second-grader",
            help="Score grader 2 against grader 1; with --model, --adapter or --bare, in addition.",
        ),
    ] = False,
    regimes: Annotated[
        str, typer.Option(help="Comma-separated: none, 1p, 2p, 5p, 5p1n, box, 5p1n+box; or all.")
    ] = "none",
    protocol: Annotated[
        ProtocolName,
        typer.Option(help="literature: native size, field of view; paper: 1024², as SAM2LoRA."),
    ] = "literature",
    split: Annotated[
        SplitChoice, typer.Option(help="auto takes test if there is one, or else all images.")
    ] = "auto",
    include: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Score only images whose stem it matches."),
    ] = None,
    exclude: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Leave out images whose stem it matches."),
    ] = None,
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
    interactive: Annotated[
        bool,
        typer.Option("--interactive", help="Simulate corrections by clicks, and what they do."),
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of sampled prompts and of confidence intervals.")
    ] = 0,
    layout: Annotated[
        str | None, typer.Option(help="Layout of the datasets; recognised if not given.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Values of a target in label maps, as disc=1+2; repeatable."),
    ] = None,
    grades: Annotated[
        str, typer.Option(help="Comma-separated grades of the ellipses to score; all by default.")
    ] = "",
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Compare two existing reports, image by image."),
    ] = None,
    cup_disc: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="DISC_REPORT CUP_REPORT",
            help="Compute vertical cup/disc ratios from a report on the disc and one on the cup.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="auto takes bfloat16 where it is faster.")
    ] = "auto",
    cluster: Annotated[str | None, typer.Option(help=HELP)] = None,
) -> None:
    """Score adapters on datasets; write tables, masks and pictures to a report folder.

    The report names its protocol, so that its scores can be compared with others, and shows
    published ones next to them. Images that cannot be read are listed in it and at the end, and the
    exit code is then 1.

    `--compare REPORT_A REPORT_B` compares two reports of the same images; `--cup-disc DISC_REPORT
    CUP_REPORT` computes the vertical cup/disc ratios of two reports.
    """
    command = shlex.join(["sam2lora", *sys.argv[1:]])
    if compare is not None:
        check_options(context, "--compare", used={"out", "adapter", "seed"})
        compare_reports(compare, adapter or [], out, command=command, seed=seed)
        return
    if cup_disc is not None:
        check_options(context, "--cup-disc", used={"out", "adapter"})
        join_cup_and_disc(cup_disc, adapter or [], out, command=command)
        return
    if not roots or target is None:
        raise SettingsError(
            "A dataset and a target are needed: sam2lora evaluate ROOT --target vessel --out REPORT"
        )
    from sam2lora.datasets import parse_labels
    from sam2lora.datasets.splits import check_expression
    from sam2lora.evaluation import (
        EvaluateSettings,
        grader_candidate,
        parse_regimes,
        plan_parts,
        write_report,
    )
    from sam2lora.evaluation.report.folder import check_output
    from sam2lora.targets import get_target

    settings = EvaluateSettings(
        target=target,
        protocol=protocol,
        regimes=parse_regimes(regimes),
        split=split,
        include=check_expression(include),
        exclude=check_expression(exclude),
        grades=tuple(grade.strip() for grade in grades.split(",") if grade.strip()),
        outer_adapter=outer_adapter,
        seed=seed,
        flips=tta,
        field_sizes=tuple(field_size or ()),
        interactive=interactive,
    )
    parts = plan_parts(roots, settings, layout=layout, labels=parse_labels(labels or ()))
    check_output(out)
    print_suspicious([problem for part in parts for problem in part.suspicious])
    bar = ImageBar("Evaluating", lines=bool(cluster))
    with open_cluster(cluster, device=device) as workers:
        if get_target(target).kind == "point":
            from sam2lora.cli.points import point_report, print_points

            if bare or second_grader:
                raise SettingsError(f"{target!r} is a point, which only an adapter locates.")
            predictor = _load(model or "nano", device, precision)
            with bar:
                points = point_report(
                    predictor, parts, settings, adapter or (), out, command, bar.show, workers
                )
            print_points(points, out)
            return
        candidates: list[Candidate] = []
        used = ("none", "none")
        if model or adapter or bare or not second_grader:
            predictor = _load(model or "nano", device, precision)
            used = (device_text(predictor, workers), predictor.precision)
            candidates += _network_candidates(
                predictor, settings, adapter or [], bare=bare, cluster=workers
            )
        if second_grader:
            candidates.append(grader_candidate(settings))
        with bar:
            report = write_report(
                out,
                candidates,
                parts,
                settings,
                command=command,
                device=used[0],
                precision=used[1],
                progress=bar.show,
            )
    _print_result(report, out)


def _load(model: str, device: str, precision: PrecisionChoice) -> "Predictor":
    from sam2lora.inference.pipeline import load_predictor

    keep_freed_memory()
    with download_bar(model) as show:
        return load_predictor(model, device=device, precision=precision, progress=show)


def _network_candidates(
    predictor: "Predictor",
    settings: "EvaluateSettings",
    named: Sequence[str],
    *,
    bare: bool,
    cluster: "Cluster | None",
) -> list["Candidate"]:
    """Return the named adapters, or else the default one; and the base model if requested."""
    from sam2lora.adapters import choose_adapter
    from sam2lora.evaluation import network_candidate
    from sam2lora.targets import get_target

    base, target = predictor.base, get_target(settings.target)
    prompted = "none" not in settings.regimes
    names: Sequence[str | None] = named or ([] if bare else [None])
    adapters = [
        choose_adapter(base.spec, base.weights_sha256, target, named=name, prompted=prompted)
        for name in names
    ]
    if bare and None not in adapters:
        adapters.append(None)
    return [
        network_candidate(predictor, settings, adapter, cluster=cluster) for adapter in adapters
    ]


def _print_result(report: "Report", out: Path) -> None:
    """Print the mean Dice of each model; exit with 1 if an image failed."""
    rows = [
        (
            cell.dataset,
            cell.model,
            cell.regime,
            number(cell.per_image["dice"].mean if cell.per_image else None),
            str(cell.images - cell.failed - cell.not_drawn),
        )
        for cell in report.cells
    ]
    print_rows(("dataset", "model", "prompts", "mean Dice", "images"), rows)
    for cell in report.cells:
        if cell.not_drawn:
            typer.echo(
                f"{cell.dataset}: no prompts of the regime {cell.regime} can be sampled for "
                f"{cell.not_drawn} of {cell.images} images; they are left out.",
                err=True,
            )
    typer.echo(f"Report: {out / 'report.md'}")
    failed = {entry.path: entry.problem for entry in report.images if entry.status == "failed"}
    if failed:
        problems = [(path, reason.removeprefix(f"{path}: ")) for path, reason in failed.items()]
        print_rows(("image", "reason"), problems, title=f"{len(failed)} failed:", stderr=True)
        raise typer.Exit(1)

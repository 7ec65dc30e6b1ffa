"""Evaluation of a target that is a point, for `sam2lora evaluate`."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sam2lora.cli.rows import number, print_rows

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster
    from sam2lora.evaluation import EvaluateSettings, EvaluationPart
    from sam2lora.evaluation.points import PointResult
    from sam2lora.evaluation.report.point_report import PointReport
    from sam2lora.evaluation.report.schema import ModelEntry
    from sam2lora.inference.predictor import Predictor
    from sam2lora.utils.progress import Progress


def point_report(
    predictor: "Predictor",
    parts: "Sequence[EvaluationPart]",
    settings: "EvaluateSettings",
    named: Sequence[str],
    out: Path,
    command: str,
    progress: "Progress",
    cluster: "Cluster | None",
) -> "PointReport":
    """Evaluate adapters that locate a point, and write the report.

    Parameters
    ----------
    predictor
        The network.
    parts
        Images of each dataset.
    settings
        Settings of the evaluation.
    named
        Names or folders of adapters; none for the default one.
    out
        Folder for the report.
    command
        Command that repeats the evaluation.
    progress
        Called with (images done, total number of images), over all adapters and datasets.
    cluster
        As for `evaluate_points`.

    Raises
    ------
    AdapterError
        If there is no adapter, or one does not fit.
    SettingsError
        If a setting makes no sense for a point.
    """
    from sam2lora.evaluation import network_candidate
    from sam2lora.evaluation.points import check_point_settings, evaluate_points
    from sam2lora.evaluation.report.point_writer import write_point_report
    from sam2lora.inference.tasks import adapter_for
    from sam2lora.targets import get_target

    check_point_settings(settings)
    target = get_target(settings.target)
    names: Sequence[str | None] = named or (None,)
    chosen = [adapter_for(predictor.base, target, named=name) for name in names]
    total = len(chosen) * sum(len(part.records) for part in parts)
    results: list[tuple[ModelEntry, EvaluationPart, Iterator[PointResult]]] = []
    before = 0
    for adapter in chosen:
        if adapter is None:  # only where there is a prompt
            continue
        entry = network_candidate(predictor, settings, adapter).entry
        for part in parts:
            show = partial(_show, progress, before, total)
            found = evaluate_points(
                predictor,
                part.records,
                settings,
                adapter=adapter,
                progress=show,
                cluster=cluster,
            )
            results.append((entry, part, found))
            before += len(part.records)
    return write_point_report(
        out,
        results,
        settings,
        command=command,
        device=device_text(predictor, cluster),
        precision=predictor.precision,
    )


def device_text(predictor: "Predictor", cluster: "Cluster | None") -> str:
    """Return on what a report was computed: the device, or, where that is others', the cluster."""
    if cluster is None:
        return str(predictor.device)
    return f"workers of a cluster ({cluster.device})"


def print_points(report: "PointReport", out: Path) -> None:
    """Print how far the point is from its reference; exit with 1 if an image failed."""
    rows = [
        (
            *(one.model, one.dataset, number(one.mean), number(one.mean_in_discs)),
            *(number(one.near), str(one.images)),
        )
        for one in report.summaries
    ]
    print_rows(("model", "dataset", "error in px", "in discs", "within 0.25", "images"), rows)
    typer.echo(f"Report: {out / 'report.md'}")
    failed = [(entry.path, entry.problem) for entry in report.images if entry.problem]
    if failed:
        print_rows(("image", "reason"), failed, title=f"{len(failed)} failed:", stderr=True)
        raise typer.Exit(1)


def _show(progress: "Progress", before: int, total: int, done: float, _: int) -> None:
    progress(before + done, total)

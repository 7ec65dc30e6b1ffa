"""Write the report on a target that is a point: tables, and a picture of every image."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from sam2lora.adapters.card import now
from sam2lora.errors import ReportError
from sam2lora.evaluation.data_selection import EvaluationPart
from sam2lora.evaluation.points import PointResult
from sam2lora.evaluation.report.folder import report_folder
from sam2lora.evaluation.report.point_report import (
    NEAR,
    POINT_REPORT,
    PointEntry,
    PointReport,
    summaries,
)
from sam2lora.evaluation.report.provenance import all_versions, describe_machine, describe_part
from sam2lora.evaluation.report.schema import ModelEntry
from sam2lora.evaluation.report.writer import write_texts
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.images.reading import read_image
from sam2lora.images.visualization import draw_crosses, save_picture
from sam2lora.targets import Target, get_target
from sam2lora.types import Pixels
from sam2lora.utils.csv_files import csv_text

_REFERENCE_COLOR = "#3cb44b"
_TILE, _TEXT, _COLUMNS = 260, 14, 6  # pixels, pixels, tiles


def write_point_report(
    out: Path,
    results: Sequence[tuple[ModelEntry, EvaluationPart, Iterator[PointResult]]],
    settings: EvaluateSettings,
    *,
    command: str,
    device: str,
    precision: str,
) -> PointReport:
    """Write the results of a point to a report folder.

    Parameters
    ----------
    out
        Output folder; a report in it is replaced once this one is complete.
    results
        For each model and dataset the results of its images, which are computed while they are
        read.
    settings, command, device, precision
        As for `write_report`.

    Returns
    -------
    The report that was written.

    Raises
    ------
    ReportError
        If no image could be scored; nothing is written then.
    OutputError
        If `out` holds anything but a report, or cannot be written.
    """
    with report_folder(out) as folder:
        images = tuple(
            _entry(model.name, part, result)
            for model, part, of_part in results
            for result in of_part
        )
        scored = [image for image in images if not image.problem]
        if not scored:
            raise ReportError(
                "None of the images could be scored, so no report was written. The first: "
                f"{images[0].problem}"
            )
        parts = {part.dataset.name: part for _, part, _ in results}
        models = {model.name: model for model, _, _ in results}
        report = PointReport(
            made=now(),
            command=command,
            versions=all_versions(),
            machine=describe_machine(device, precision),
            settings=settings,
            target=get_target(settings.target),
            data=tuple(
                describe_part(part, settings.target, settings.conventions)
                for part in parts.values()
            ),
            models=tuple(models.values()),
            summaries=tuple(summaries(scored)),
            images=images,
        )
        texts = {
            POINT_REPORT: json.dumps(report.model_dump(mode="json"), indent=1) + "\n",
            "per_image.csv": _csv(images),
            "report.md": _text(report),
        }
        write_texts(folder, texts)
        save_picture(folder / "overview.png", _sheet(scored, report.target))
    return report


def _entry(model: str, part: EvaluationPart, result: PointResult) -> PointEntry:
    return PointEntry(
        model=model,
        dataset=part.dataset.name,
        image=result.image,
        patient=result.patient,
        path=next(str(record.image) for record in part.records if record.stem == result.image),
        problem=result.problem,
        reference=result.reference,
        found=result.found,
        confidence=result.confidence,
        error=result.error,
        error_in_discs=result.error_in_discs,
        disc=result.disc_source,
        seconds=round(result.seconds, 4),
    )


_COLUMNS_OF_CSV = (
    *("model", "dataset", "image", "patient", "x", "y", "reference_x", "reference_y"),
    *("confidence", "error_px", "error_discs", "disc", "problem"),
)


def _csv(images: Sequence[PointEntry]) -> str:
    rows = []
    for entry in images:
        x, y = entry.found or (None, None)
        reference_x, reference_y = entry.reference or (None, None)
        cells = entry.model_dump(include=set(_COLUMNS_OF_CSV))
        errors = {"error_px": entry.error, "error_discs": entry.error_in_discs}
        places = {"x": x, "y": y, "reference_x": reference_x, "reference_y": reference_y}
        rows.append(cells | errors | places)
    return csv_text(_COLUMNS_OF_CSV, rows)


def _text(report: PointReport) -> str:
    name = report.target.name
    lines = [
        f"# {name}",
        f"How far the {name} is located from its reference: in pixels, and in diameters of the "
        "optic disc (that of the circle with the disc's area), of the reference where there is "
        "one, else of the predicted disc.",
        f"    {report.command}",
        "| model | dataset | images | error in pixels | in discs: mean | median | worst | within "
        f"{NEAR:g} |\n|---|---|---|---|---|---|---|---|\n"
        + "\n".join(
            f"| {one.model} | {one.dataset} | {one.images} | {one.mean:.1f} | "
            f"{_number(one.mean_in_discs)} | {_number(one.median_in_discs)} | "
            f"{_number(one.worst_in_discs)} | {_number(one.near)} |"
            for one in report.summaries
        ),
        f"`overview.png` shows every image, the largest error first: the reference in green, "
        f"the {name} as it was located in {report.target.color}.",
    ]
    failed = [entry for entry in report.images if entry.problem]
    if failed:
        lines.append("\n".join(f"- {entry.image}: {entry.problem}" for entry in failed))
    return "\n\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _sheet(entries: Sequence[PointEntry], target: Target) -> Pixels:
    """Draw every image with reference and prediction, the largest error first."""
    ordered = sorted(entries, key=_size_of_error, reverse=True)
    rows, columns = math.ceil(len(ordered) / _COLUMNS), min(_COLUMNS, len(ordered))
    sheet = Image.new("RGB", (columns * _TILE, rows * (_TILE + _TEXT)))
    draw = ImageDraw.Draw(sheet)
    for number, entry in enumerate(ordered):
        row, column = divmod(number, _COLUMNS)
        x, y = column * _TILE, row * (_TILE + _TEXT)
        sheet.paste(Image.fromarray(_tile(entry, target)), (x, y))
        discs = "" if entry.error_in_discs is None else f"{entry.error_in_discs:.2f} "
        confidence = f"{entry.confidence:.2f}" if entry.confidence is not None else ""
        draw.text((x + 2, y + _TILE), f"{discs}conf {confidence} {entry.image}"[:44])
    return np.asarray(sheet)


def _size_of_error(entry: PointEntry) -> float:
    return entry.error_in_discs if entry.error_in_discs is not None else entry.error or 0.0


def _tile(entry: PointEntry, target: Target) -> Pixels:
    image = Image.fromarray(read_image(Path(entry.path)).pixels)
    scale = min(1.0, _TILE / max(image.size))
    image.thumbnail((_TILE, _TILE))
    places = {_REFERENCE_COLOR: entry.reference, target.color: entry.found}
    crosses = {
        ImageColor.getrgb(color)[:3]: [(place[0] * scale, place[1] * scale)]
        for color, place in places.items()
        if place is not None
    }
    return draw_crosses(np.asarray(image), crosses)

"""Evaluate all candidates on all datasets, and write the report: tables, masks and pictures."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from sam2lora.adapters.card import now
from sam2lora.errors import ReportError, SettingsError
from sam2lora.evaluation.data_selection import EvaluationPart
from sam2lora.evaluation.report.candidates import Candidate
from sam2lora.evaluation.report.clicks import PLOT, click_figure, click_lines, has_corrections
from sam2lora.evaluation.report.folder import MASKS, report_folder
from sam2lora.evaluation.report.gallery import save_galleries
from sam2lora.evaluation.report.markdown import report_text
from sam2lora.evaluation.report.plots import save_plots
from sam2lora.evaluation.report.provenance import all_versions, describe_machine, describe_part
from sam2lora.evaluation.report.schema import (
    REPORT,
    ImageEntry,
    PromptEntry,
    Report,
    defined,
    number_or_none,
)
from sam2lora.evaluation.report.summary import ScoredImage, make_cells
from sam2lora.evaluation.scoring import ImageResult
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.images.file_mark import MASK_SOFTWARE, png_mark
from sam2lora.targets import get_target
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress


def write_report(
    out: Path,
    candidates: Sequence[Candidate],
    parts: Sequence[EvaluationPart],
    settings: EvaluateSettings,
    *,
    command: str,
    device: str = "none",
    precision: str = "none",
    progress: Progress = no_progress,
) -> Report:
    """Evaluate all candidates on all datasets, and write the report to a folder.

    Parameters
    ----------
    out
        Output folder; a report in it is replaced once this one is complete.
    candidates
        Models and graders to evaluate; their names must differ.
    parts
        Images of each dataset.
    settings
        Evaluation settings, the same as those of the candidates.
    command
        Command that repeats the evaluation, for the reader.
    device, precision
        Device and precision of the computation, for the reader.
    progress
        Called with (images done, total number of images), over all candidates and datasets.

    Returns
    -------
    The report that was written.

    Raises
    ------
    SettingsError
        If two candidates have the same name.
    ReportError
        If no image could be scored; nothing is written then.
    OutputError
        If `out` holds anything but a report, or cannot be written.
    """
    _check_names([candidate.entry.name for candidate in candidates])
    scored: list[ScoredImage] = []
    with report_folder(out) as folder:
        runs, done = [], 0
        total = len(candidates) * sum(len(part.records) for part in parts)
        for candidate in candidates:
            for part in parts:
                results = candidate.score(part.records, _offset(progress, done, total))
                runs.append((candidate, part, results))
                done += len(part.records)
        # All candidates have been checked by now; the computation starts here.
        for candidate, part, results in runs:
            for result in results:
                scored.append(_save_result(candidate.entry.name, part, result, folder))
        images = tuple(image.entry for image in scored)
        _check_any_scored(images)
        protocol = settings.conventions
        report = Report(
            made=now(),
            command=command,
            versions=all_versions(),
            machine=describe_machine(device, precision),
            settings=settings,
            target=get_target(settings.target),
            conventions=protocol.about,
            data=tuple(describe_part(part, settings.target, protocol) for part in parts),
            models=tuple(candidate.entry for candidate in candidates),
            cells=tuple(make_cells(scored)),
            images=images,
        )
        text = report_text(report, more=click_lines(report))
        files = {"per_image.csv": report.to_csv(), "report.md": text}
        write_texts(folder, files | {REPORT: report.to_json()})
        save_plots(folder, report)
        if has_corrections(report):
            click_figure(report).savefig(folder / PLOT)
        save_galleries(folder, report)
    return report


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write text files to a folder, given their content by name."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _check_names(names: Sequence[str]) -> None:
    folders = [_path_part(name).casefold() for name in names]
    for number, name in enumerate(names):
        if folders.index(folders[number]) < number:
            raise SettingsError(
                f"Two candidates are called {name!r}, so their results could not be distinguished. "
                "Give one adapter another name: sam2lora adapters rename"
            )


def _check_any_scored(images: Sequence[ImageEntry]) -> None:
    if not any(image.status == "scored" for image in images):
        raise ReportError(
            f"None of the images could be scored, so no report was written. The first: "
            f"{images[0].problem}"
        )


def _offset(progress: Progress, before: int, total: int) -> Progress:
    """Return a callback that counts on from the images done before."""

    def show(done: float, _: int) -> None:
        progress(before + done, total)

    return show


def _save_result(
    model: str, part: EvaluationPart, result: ImageResult, folder: Path
) -> ScoredImage:
    """Save the masks of a result, and return the rest."""
    score, prompts, dataset = result.score, result.prompts, part.dataset.name
    prediction_file = reference_file = ""
    if result.prediction is not None and result.reference is not None:
        file = f"{_unique_path_part(dataset)}/{_unique_path_part(result.image)}.png"
        prediction_file = f"{MASKS}/{_path_part(model)}/{result.regime}/{file}"
        reference_file = f"{MASKS}/truth/{file}"
        _save_mask(folder / prediction_file, result.prediction)
        _save_mask(folder / reference_file, result.reference)
    counts = score.counts if score else None
    entry = ImageEntry(
        model=model,
        dataset=dataset,
        image=result.image,
        regime=result.regime,
        patient=result.patient,
        status=result.status,
        problem=result.problem,
        path=next(str(record.image) for record in part.records if record.stem == result.image),
        scores=defined(score.scores) if score else {},
        counts=(counts.tp, counts.fp, counts.fn, counts.tn) if counts else None,
        expected_iou=number_or_none(result.predicted_iou),
        confidence=number_or_none(result.confidence),
        seconds=round(result.seconds, 4),
        prompts=PromptEntry(
            points=tuple((point.x, point.y, point.positive) for point in prompts.points),
            box=prompts.box,
        ),
        answer=prediction_file,
        truth=reference_file,
        corrections=result.corrections,
    )
    return ScoredImage(entry, score)


def _save_mask(path: Path, mask: Mask) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path, pnginfo=png_mark(MASK_SOFTWARE))


def _path_part(name: str) -> str:
    """Convert a name to a part of a path."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip(".-") or "-"


def _unique_path_part(name: str) -> str:
    """Convert a name to a part of a path that no other name is converted to."""
    part = _path_part(name)
    return part if part == name else f"{part}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

"""Judge everyone on every data set, and write the report: numbers, tables, masks and pictures."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from sam2lora.adapters.card import now
from sam2lora.errors import ReportError, SettingsError
from sam2lora.evaluation.data_selection import EvaluationPart
from sam2lora.evaluation.loop import Progress, no_progress
from sam2lora.evaluation.report.candidates import Candidate
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
from sam2lora.evaluation.scoring import Result
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.targets import get_target
from sam2lora.types import Mask


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
    """Judge everyone on every data set, and write the report to a folder.

    Parameters
    ----------
    out
        The folder; an older report in it is replaced when this one is complete.
    candidates
        Who is judged; their names have to differ.
    parts
        On what.
    settings
        How; the same that the contestants were made with.
    command
        What makes this report again, for the reader.
    device, precision
        What the network computes on and in, for the reader.
    progress
        Called with (images done, images in all), over everyone and everything.

    Returns
    -------
    The report as it was written.

    Raises
    ------
    SettingsError
        If two contestants have the same name.
    ReportError
        If not a single image could be scored; nothing is written then.
    OutputError
        If `out` holds something else than a report, or cannot be written.
    """
    _check_names([one.entry.name for one in candidates])
    kept: list[ScoredImage] = []
    with report_folder(out) as folder:
        runs, done = [], 0
        total = len(candidates) * sum(len(part.records) for part in parts)
        for candidate in candidates:
            for part in parts:
                judged = candidate.score(part.records, _from(progress, done, total))
                runs.append((candidate, part, judged))
                done += len(part.records)
        # By now everyone has been checked; the work begins here.
        for candidate, part, judged in runs:
            for result in judged:
                kept.append(_keep(candidate.entry.name, part, result, folder))
        images = tuple(one.entry for one in kept)
        _check_something_is_scored(images)
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
            models=tuple(one.entry for one in candidates),
            cells=tuple(make_cells(kept)),
            images=images,
        )
        texts = {"per_image.csv": report.to_csv(), "report.md": report_text(report)}
        write_texts(folder, texts | {REPORT: report.to_json()})
        save_plots(folder, report)
        save_galleries(folder, report)
    return report


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write text files by their names."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _check_names(names: Sequence[str]) -> None:
    places = [_place(name).casefold() for name in names]
    for number, name in enumerate(names):
        if places.index(places[number]) < number:
            raise SettingsError(
                f"Two of those to be judged are called {name!r}, so their results could not be "
                "told apart. Give one adapter another name: sam2lora adapters rename"
            )


def _check_something_is_scored(images: Sequence[ImageEntry]) -> None:
    if not any(one.status == "scored" for one in images):
        raise ReportError(
            f"None of the images could be scored, so there is no report. The first: "
            f"{images[0].problem}"
        )


def _from(progress: Progress, before: int, total: int) -> Progress:
    """Count on from the images that are done before."""

    def show(done: float, _: int) -> None:
        progress(before + done, total)

    return show


def _keep(model: str, part: EvaluationPart, result: Result, folder: Path) -> ScoredImage:
    """Write the masks of a result, and keep the rest."""
    judgement, prompts, dataset = result.score, result.prompts, part.dataset.name
    answer = truth = ""
    if result.prediction is not None and result.reference is not None:
        file = f"{_own_place(dataset)}/{_own_place(result.image)}.png"
        answer = f"{MASKS}/{_place(model)}/{result.regime}/{file}"
        truth = f"{MASKS}/truth/{file}"
        _save_mask(folder / answer, result.prediction)
        _save_mask(folder / truth, result.reference)
    counts = judgement.counts if judgement else None
    entry = ImageEntry(
        model=model,
        dataset=dataset,
        image=result.image,
        regime=result.regime,
        patient=result.patient,
        status=result.status,
        problem=result.problem,
        path=next(str(one.image) for one in part.records if one.stem == result.image),
        scores=defined(judgement.scores) if judgement else {},
        counts=(counts.tp, counts.fp, counts.fn, counts.tn) if counts else None,
        expected_iou=number_or_none(result.expected_iou),
        seconds=round(result.seconds, 4),
        prompts=PromptEntry(
            points=tuple((one.x, one.y, one.positive) for one in prompts.points), box=prompts.box
        ),
        answer=answer,
        truth=truth,
    )
    return ScoredImage(entry, judgement)


def _save_mask(path: Path, mask: Mask) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)


def _place(name: str) -> str:
    """Give a name as a part of a path."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip(".-") or "-"


def _own_place(name: str) -> str:
    """Give a name as a part of a path that no other name gets."""
    place = _place(name)
    return place if place == name else f"{place}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

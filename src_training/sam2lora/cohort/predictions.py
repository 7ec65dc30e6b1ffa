"""Segment images and measure what was predicted, as `sam2lora predict --measure` does."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sam2lora.cohort.inputs import masks_in, record_of
from sam2lora.cohort.record_row import Provenance, Row, identity_cells, row_of_record
from sam2lora.cohort.run import TableWriter, table_writer
from sam2lora.cohort.table import check_path
from sam2lora.datasets import Record
from sam2lora.datasets.image_search import find_images
from sam2lora.errors import ImageError
from sam2lora.inference.batch import FileResult, ReportBatch, no_batch_progress
from sam2lora.inference.confidence_file import Confidences, read_confidences
from sam2lora.inference.pipeline import load_predictor, segment_files, tasks_of
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.segment import SegmentationTask
from sam2lora.inference.settings import PredictSettings, command_line, predict_options
from sam2lora.targets import FOVEA
from sam2lora.utils.download import DownloadProgress, ignore_progress


def predict_and_measure(
    settings: PredictSettings,
    table: Path,
    *,
    predictor: Predictor | None = None,
    download_progress: DownloadProgress = ignore_progress,
    progress: ReportBatch = no_batch_progress,
) -> Iterator[FileResult]:
    """Segment image files as `segment_files` does, and write a table with a row for each.

    An image is not segmented again where its masks, and its row in an existing table, are still
    there and from the same image, model, adapters and options.

    Parameters
    ----------
    settings
        The images, targets, model and output folder.
    table
        The table, `.csv` or `.parquet`.
    predictor, download_progress, progress
        As for `segment_files`.

    Yields
    ------
    The result of each image; first those that are kept.

    Raises
    ------
    Sam2LoraError
        As for `segment_files` and `measure_records`.
    """
    check_path(table)
    paths = find_images(settings.images)
    settings.check_prompts_fit(len(paths))
    predictor = predictor or load_predictor(
        settings.model,
        device=settings.device,
        precision=settings.precision,
        progress=download_progress,
    )
    tasks = tasks_of(settings, predictor.base)
    provenance = _provenance(settings, predictor, tasks)
    return _run(settings, table, paths, provenance, predictor, progress)


def _run(
    settings: PredictSettings,
    table: Path,
    paths: Sequence[Path],
    provenance: Provenance,
    predictor: Predictor,
    progress: ReportBatch,
) -> Iterator[FileResult]:
    before = read_confidences(Path(settings.out))
    with table_writer(table, (path.as_posix() for path in paths)) as writer:
        pending = []
        for path in paths:
            if _is_kept(writer, path, settings, provenance):
                yield FileResult(path, kept=tuple(settings.targets))
            else:
                pending.append(str(path))
        if not pending:
            return
        rest = settings.model_copy(update={"images": tuple(pending)})
        for result in segment_files(rest, predictor=predictor, progress=progress):
            writer.add(_row(result, settings, provenance, before))
            yield result


def _is_kept(
    writer: TableWriter, path: Path, settings: PredictSettings, provenance: Provenance
) -> bool:
    try:
        record = _predicted(path, settings, {})
    except (ImageError, OSError):
        return False
    return set(settings.targets) <= record.masks.keys() and writer.keep(record, provenance)


def _predicted(path: Path, settings: PredictSettings, confidences: Confidences) -> Record:
    """Return the record of an image with the masks that were predicted, or kept, and the fovea."""
    masks = masks_in(Path(settings.out), path, confidences)
    wanted = (*settings.targets, FOVEA.name)
    chosen = {name: masks[name] for name in dict.fromkeys(wanted) if name in masks}
    return replace(record_of(path), masks=chosen, fov=None)


def _row(
    result: FileResult, settings: PredictSettings, provenance: Provenance, before: Confidences
) -> Row:
    record = _predicted(result.path, settings, before)
    if result.error:
        return {
            **identity_cells(record),
            "error": result.error.removeprefix(f"{result.path}: "),
        }
    new = {name: one for name, one in provenance.adapters.items() if name not in result.kept}
    sure = result.confidence
    used = replace(provenance, adapters=new, iou=result.iou, confidence=sure) if new else None
    return row_of_record(record, provenance=used)


def _provenance(
    settings: PredictSettings, predictor: Predictor, tasks: Sequence[SegmentationTask]
) -> Provenance:
    base = predictor.base
    adapters = {
        task.target.name: (task.adapter.name, task.adapter.digest()) if task.adapter else ("", "")
        for task in tasks
    }
    # What does not change the masks is left out, and the precision is the one that was chosen.
    update = {"adapter": None, "device": "auto", "probabilities": False, "keep": False}
    used = settings.model_copy(update=update | {"precision": predictor.precision})
    options = command_line(list(predict_options(used)))
    return Provenance(base.spec.name, base.weights_sha256, adapters, options)

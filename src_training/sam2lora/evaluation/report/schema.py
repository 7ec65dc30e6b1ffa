"""Schema of an evaluation report: the content of `report.json` and of `per_image.csv`."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from sam2lora.adapters import AdapterCard
from sam2lora.errors import ReportError
from sam2lora.evaluation.interactive import ClickSequence
from sam2lora.evaluation.scoring import Status
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.settings import GeometrySettings, Settings
from sam2lora.targets import Target
from sam2lora.utils.csv_files import csv_text
from sam2lora.utils.files import is_file
from sam2lora.utils.folders import recover_folder
from sam2lora.utils.json_files import read_json_object

FORMAT: Final = 1
REPORT = "report.json"
METRICS = ("dice", "iou", "sensitivity", "specificity", "auc", "cldice", "hd95", "assd")

Scores = dict[str, float | None]


class FileEntry(Settings):
    """A file that was read."""

    path: str = Field(description="path of the file")
    sha256: str | None = Field(description="of its content; None if it could not be read")


class DataEntry(Settings):
    """A dataset, or one split of it."""

    dataset: str = Field(description="name of the dataset")
    root: str = Field(description="folder or CSV file")
    layout: str = Field(description="dataset layout")
    split: str = Field(description="official split that was scored, or all")
    images: int = Field(description="images to score")
    without_mask: int = Field(description="images in that split without a mask of the target")
    field_of_view: str = Field(description="source: files, found in the images, or whole image")
    files: tuple[FileEntry, ...] = Field(description="every image, mask and field of view")
    sha256: str = Field(description="hash over the hashes of the files")


class ModelEntry(Settings):
    """A candidate: a base model with or without an adapter, or a grader."""

    name: str = Field(description="name in the tables")
    kind: Literal["adapter", "base", "grader"]
    base: str | None = Field(default=None, description="name of the base model")
    base_file: str | None = Field(
        default=None, description="file of its weights, if the user's own"
    )
    base_identity: str | None = Field(default=None, description="hash of its weights")
    base_learned_from: dict[str, int] = Field(
        default={}, description="training images of the base, by dataset and target"
    )
    note: str = Field(default="", description="remark that readers need to interpret the scores")
    geometry: GeometrySettings | None = Field(
        default=None, description="how windows are cut from images"
    )
    threshold: float | None = Field(default=None, description="threshold of the probabilities")
    adapter: AdapterCard | None = Field(default=None, description="card of the adapter")
    adapter_sha256: str | None = Field(default=None, description="of its weights")


class PromptEntry(Settings):
    """The prompts of an image, in pixels of the protocol's size."""

    points: tuple[tuple[float, float, bool], ...] = Field(
        default=(), description="x, y, and whether it is on the target"
    )
    box: tuple[float, float, float, float] | None = None


class ImageEntry(Settings):
    """Result of one image under one regime."""

    model: str
    dataset: str
    image: str
    regime: str
    patient: str = ""
    status: Status
    problem: str = ""
    path: str = Field(default="", description="the image's file")
    scores: Scores = Field(default={}, description="None where undefined")
    counts: tuple[int, int, int, int] | None = Field(
        default=None, description="true positives, false positives, false negatives, true negatives"
    )
    expected_iou: float | None = None
    confidence: float | None = Field(
        default=None, description="probability of a Dice coefficient of at least 0.8, if known"
    )
    seconds: float = 0
    prompts: PromptEntry = PromptEntry()
    answer: str = Field(default="", description="predicted mask, relative to the report")
    truth: str = Field(default="", description="reference mask, relative to the report")
    corrections: tuple[ClickSequence, ...] = Field(
        default=(), description="simulated corrections by clicks"
    )


class SummaryEntry(Settings):
    """One metric over images; see `metrics.aggregate.MetricSummary`."""

    mean: float | None
    std: float | None
    n: int
    undefined: int


class CellEntry(Settings):
    """One model on one dataset under one regime: a cell of the matrix."""

    model: str
    dataset: str
    regime: str
    images: int = Field(description="scored, failed and not drawn together")
    failed: int
    not_drawn: int
    per_image: dict[str, SummaryEntry] = Field(description="summary over the images")
    pooled: Scores = Field(description="over the pixels of all images together")
    seconds: float | None = Field(description="mean per image, reading excluded")
    sweep: tuple[float | None, ...] = Field(
        default=(), description="mean Dice at thresholds 0.01 … 0.99, for information"
    )
    roc: tuple[tuple[float, ...], tuple[float, ...]] = Field(
        default=((), ()), description="false- and true-positive rates over all pixels"
    )


class Report(Settings):
    """A complete evaluation."""

    format: Literal[1] = FORMAT
    made: AwareDatetime
    command: str = Field(description="command that repeats it")
    versions: dict[str, str]
    machine: dict[str, JsonValue]
    settings: EvaluateSettings
    target: Target
    conventions: str = Field(description="description of the protocol")
    data: tuple[DataEntry, ...]
    models: tuple[ModelEntry, ...]
    cells: tuple[CellEntry, ...]
    images: tuple[ImageEntry, ...]

    def cell(self, model: str, dataset: str, regime: str) -> CellEntry | None:
        """Return a cell of the matrix; None if the model was not scored under that regime."""
        key = (model, dataset, regime)
        return next(
            (cell for cell in self.cells if (cell.model, cell.dataset, cell.regime) == key), None
        )

    def scored(self, model: str, dataset: str, regime: str) -> list[ImageEntry]:
        """Return the scored images of a cell."""
        key = (model, dataset, regime, "scored")
        return [
            entry
            for entry in self.images
            if (entry.model, entry.dataset, entry.regime, entry.status) == key
        ]

    def to_json(self) -> str:
        """Return the content of `report.json`; undefined values are null."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Return the content of `per_image.csv`: a row for each image, regime and model."""
        head = ("model", "dataset", "image", "patient", "regime", "status")
        tail = ("tp", "fp", "fn", "tn", "expected_iou", "seconds", "problem")
        columns, rows = (*head, *METRICS, *tail), []
        for entry in self.images:
            counts = entry.counts or ("", "", "", "")
            scores = [_cell(entry.scores.get(name)) for name in METRICS]
            first = [getattr(entry, name) for name in head]
            last = [_cell(entry.expected_iou), f"{entry.seconds:.3f}", entry.problem]
            cells = (*first, *scores, *counts, *last)
            rows.append(dict(zip(columns, cells, strict=True)))
        return csv_text(columns, rows)


def read_report(folder: Path) -> Report:
    """Read the report in a folder, after restoring one whose replacement was interrupted.

    Raises
    ------
    ReportError
        If there is no report, it is damaged, or was written by a newer version.
    OutputError
        If an interrupted replacement cannot be undone.
    """
    recover_folder(folder.resolve())
    path = folder / REPORT
    if not is_file(path):
        raise ReportError(
            f"{path}: there is no such file. Give a folder written by `sam2lora evaluate --out`."
        )
    content = read_json_object(path, error=ReportError)
    version = content.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ReportError(
            f"{path}: has format {version}, this version reads {FORMAT}. Update napari-sam2lora."
        )
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "content"
        raise ReportError(f"{path}: is not a report ({field}: {first['msg']}).") from error


def defined(values: Mapping[str, float]) -> Scores:
    """Return values for JSON, with None in place of NaN."""
    return {name: number_or_none(value) for name, value in values.items()}


def number_or_none(value: float | None) -> float | None:
    """Return the value, or None if it is undefined."""
    return None if value is None or math.isnan(value) else value


def numbers_or_none(values: Sequence[float]) -> tuple[float | None, ...]:
    """Return the values, with None for each that is undefined."""
    return tuple(number_or_none(value) for value in values)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

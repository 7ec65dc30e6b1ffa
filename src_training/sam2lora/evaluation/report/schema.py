"""The report of an evaluation as data: what `report.json` holds, and the rows of the CSV file."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from sam2lora.adapters import AdapterCard
from sam2lora.errors import ReportError
from sam2lora.evaluation.scoring import Status
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.settings import GeometrySettings, Settings
from sam2lora.targets import Target
from sam2lora.utils.folders import recover_folder

FORMAT: Final = 1
REPORT = "report.json"
METRICS = ("dice", "iou", "sensitivity", "specificity", "auc", "cldice", "hd95", "assd")

Scores = dict[str, float | None]


class FileEntry(Settings):
    """A file that was read."""

    path: str = Field(description="where it was")
    sha256: str | None = Field(description="of its content; None: it could not be read")


class DataEntry(Settings):
    """A data set, or one side of it."""

    dataset: str = Field(description="its name")
    root: str = Field(description="its folder or CSV file")
    layout: str = Field(description="how it is laid out")
    split: str = Field(description="the official side that was judged, or all")
    images: int = Field(description="images to judge")
    without_mask: int = Field(description="images on that side that have no mask of the target")
    field_of_view: str = Field(description="where it is from: files, found, or whole image")
    files: tuple[FileEntry, ...] = Field(description="every image, mask and field of view")
    sha256: str = Field(description="hash of the list of files by their hashes")


class ModelEntry(Settings):
    """Who answered: a base model with or without an adapter, or a grader."""

    name: str = Field(description="what it is called in the tables")
    kind: Literal["adapter", "base", "grader"]
    base: str | None = Field(default=None, description="name of the base model")
    base_file: str | None = Field(default=None, description="file of its weights, if the user's")
    base_identity: str | None = Field(default=None, description="hash of its weights")
    base_learned_from: dict[str, int] = Field(
        default={}, description="images its base learned from, by data set and target"
    )
    note: str = Field(default="", description="what whoever reads the numbers has to know")
    geometry: GeometrySettings | None = Field(default=None, description="how it looks at images")
    threshold: float | None = Field(default=None, description="probability that makes the mask")
    adapter: AdapterCard | None = Field(default=None, description="its card, whole")
    adapter_sha256: str | None = Field(default=None, description="of its weights")


class PromptEntry(Settings):
    """What was said about an image, in pixels of the protocol's size."""

    points: tuple[tuple[float, float, bool], ...] = Field(
        default=(), description="x, y, and whether it is on the target"
    )
    box: tuple[float, float, float, float] | None = None


class ImageEntry(Settings):
    """What became of one image under one regime."""

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
    seconds: float = 0
    prompts: PromptEntry = PromptEntry()
    answer: str = Field(default="", description="mask, relative to the report")
    truth: str = Field(default="", description="mask of what was judged, relative to the report")


class SummaryEntry(Settings):
    """One metric over images; see `scores.Summary`."""

    mean: float | None
    std: float | None
    n: int
    undefined: int


class CellEntry(Settings):
    """One model on one data set under one regime: a cell of the matrix."""

    model: str
    dataset: str
    regime: str
    images: int = Field(description="scored, failed and not drawn together")
    failed: int
    not_drawn: int
    per_image: dict[str, SummaryEntry] = Field(description="mean over the images' values")
    pooled: Scores = Field(description="over the pixels of all images together")
    seconds: float | None = Field(description="mean per image, reading excluded")
    sweep: tuple[float | None, ...] = Field(
        default=(), description="mean Dice at thresholds 0.01 … 0.99, for information"
    )
    roc: tuple[tuple[float, ...], tuple[float, ...]] = Field(
        default=((), ()), description="false- and true-positive rates over all pixels"
    )


class Report(Settings):
    """An evaluation, whole."""

    format: Literal[1] = FORMAT
    made: AwareDatetime
    command: str = Field(description="what makes it again")
    versions: dict[str, str]
    machine: dict[str, JsonValue]
    settings: EvaluateSettings
    target: Target
    conventions: str = Field(description="the protocol in words")
    data: tuple[DataEntry, ...]
    models: tuple[ModelEntry, ...]
    cells: tuple[CellEntry, ...]
    images: tuple[ImageEntry, ...]

    def cell(self, model: str, dataset: str, regime: str) -> CellEntry | None:
        """Give a cell of the matrix; None where that model had no such regime."""
        key = (model, dataset, regime)
        return next(
            (one for one in self.cells if (one.model, one.dataset, one.regime) == key), None
        )

    def scored(self, model: str, dataset: str, regime: str) -> list[ImageEntry]:
        """Give the images of a cell that have scores."""
        key = (model, dataset, regime, "scored")
        return [
            one for one in self.images if (one.model, one.dataset, one.regime, one.status) == key
        ]

    def to_json(self) -> str:
        """Give the content of `report.json`; what is undefined is null."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """Give the content of `per_image.csv`: a row for each image, regime and model."""
        head = ("model", "dataset", "image", "patient", "regime", "status")
        tail = ("tp", "fp", "fn", "tn", "expected_iou", "seconds", "problem")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*head, *METRICS, *tail])
        for one in self.images:
            counts = one.counts or ("", "", "", "")
            scores = [_cell(one.scores.get(name)) for name in METRICS]
            own = [getattr(one, name) for name in head]
            rest = [_cell(one.expected_iou), f"{one.seconds:.3f}", one.problem]
            writer.writerow([*own, *scores, *counts, *rest])
        return text.getvalue()


def read_report(folder: Path) -> Report:
    """Read the report in a folder; one whose replacement was cut off is put back first.

    Raises
    ------
    ReportError
        If there is none, it is damaged, or a newer version wrote it.
    OutputError
        If it cannot be put back.
    """
    recover_folder(folder.resolve())
    path = folder / REPORT
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read ({error.strerror or error}). A report is a folder that "
            "`sam2lora evaluate --out` made."
        ) from error
    except ValueError as error:
        raise ReportError(f"{path}: is truncated or no JSON ({error}).") from error
    made_by = content.get("format") if isinstance(content, dict) else None
    if isinstance(made_by, int) and made_by > FORMAT:
        raise ReportError(
            f"{path}: has format {made_by}, this version reads {FORMAT}. Update napari-sam2lora."
        )
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the whole"
        raise ReportError(f"{path}: is no report ({place}: {first['msg']}).") from error


def defined(values: Mapping[str, float]) -> Scores:
    """Give numbers as JSON has them: None where undefined."""
    return {name: number_or_none(value) for name, value in values.items()}


def number_or_none(value: float | None) -> float | None:
    """Give None for what is undefined."""
    return None if value is None or math.isnan(value) else value


def numbers_or_none(values: Sequence[float]) -> tuple[float | None, ...]:
    """Give None for each that is undefined."""
    return tuple(number_or_none(value) for value in values)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

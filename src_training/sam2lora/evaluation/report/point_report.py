"""Schema of the report on a target that is a point: the content of `points.json`."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from pydantic import AwareDatetime, Field, JsonValue

from sam2lora.evaluation.points import DiscSource
from sam2lora.evaluation.report.schema import DataEntry, ModelEntry
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.settings import Settings
from sam2lora.targets import Target
from sam2lora.types import Place

POINT_REPORT: Final = "points.json"

NEAR = 0.25
"""Diameters of the optic disc within which a point counts as found."""


class PointEntry(Settings):
    """The result of one model on one image; numbers are None where it failed."""

    model: str = Field(description="name of the model")
    dataset: str = Field(description="name of the dataset")
    image: str = Field(description="name of the image")
    patient: str = Field(description="patient")
    path: str = Field(description="the image file")
    problem: str = Field(description="why it is not scored; empty if it is")
    reference: Place | None = Field(description="where the point is, (x, y) in pixels")
    found: Place | None = Field(description="where it was located")
    confidence: float | None = Field(description="confidence of the prediction, 0…1")
    error: float | None = Field(description="distance between both in pixels")
    error_in_discs: float | None = Field(description="the same in diameters of the optic disc")
    disc: DiscSource | None = Field(description="where the disc's diameter is from")
    seconds: float = Field(description="time of the prediction in seconds")


class PointSummary(Settings):
    """Summary of one model on one dataset, or on all."""

    model: str = Field(description="name of the model")
    dataset: str = Field(description="name of the dataset; all: every one")
    images: int = Field(description="images that were scored")
    mean: float = Field(description="mean error in pixels")
    mean_in_discs: float | None = Field(description="mean error in diameters of the optic disc")
    median_in_discs: float | None = Field(description="median of the same")
    worst_in_discs: float | None = Field(description="largest of the same")
    near: float | None = Field(description="share of the images within a quarter of the disc")


class PointReport(Settings):
    """An evaluation of a target that is a point."""

    format: Literal[1] = Field(default=1, description="version of this file's format")
    made: AwareDatetime = Field(description="when it was made")
    command: str = Field(description="command that repeats it")
    versions: dict[str, str] = Field(description="versions of the libraries")
    machine: dict[str, JsonValue] = Field(description="the computer")
    settings: EvaluateSettings = Field(description="settings of the evaluation")
    target: Target = Field(description="the target")
    data: tuple[DataEntry, ...] = Field(description="the datasets")
    models: tuple[ModelEntry, ...] = Field(description="the models")
    summaries: tuple[PointSummary, ...] = Field(description="of each model on each dataset")
    images: tuple[PointEntry, ...] = Field(description="every result")


def summaries(scored: Sequence[PointEntry]) -> Iterator[PointSummary]:
    """Yield a summary of each model on each dataset, and on all of several."""
    for model in dict.fromkeys(entry.model for entry in scored):
        of_model = [entry for entry in scored if entry.model == model]
        names = list(dict.fromkeys(entry.dataset for entry in of_model))
        for name in names:
            yield _summary(model, name, [one for one in of_model if one.dataset == name])
        if len(names) > 1:
            yield _summary(model, "all", of_model)


def _summary(model: str, dataset: str, entries: Sequence[PointEntry]) -> PointSummary:
    errors = [one.error for one in entries if one.error is not None]
    discs = np.array([one.error_in_discs for one in entries if one.error_in_discs is not None])
    return PointSummary(
        model=model,
        dataset=dataset,
        images=len(errors),
        mean=float(np.mean(errors)),
        mean_in_discs=float(discs.mean()) if len(discs) else None,
        median_in_discs=float(np.median(discs)) if len(discs) else None,
        worst_in_discs=float(discs.max()) if len(discs) else None,
        near=float((discs <= NEAR).mean()) if len(discs) else None,
    )

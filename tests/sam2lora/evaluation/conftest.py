"""Fixtures: cases with a known reference, datasets of them on disk, and scripted predictors."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sam2lora.adapters import Adapter, AdapterCard
from sam2lora.adapters.card import now
from sam2lora.evaluation import Case, EvaluateSettings, Report
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.targets import TARGETS, Target, save_target
from sam2lora.transforms.zoom import BoundingBox

SIDE = 64
ROWS, COLUMNS = np.ogrid[:SIDE, :SIDE]
INSIDE: NDArray[np.bool_] = (ROWS - 31.5) ** 2 + (COLUMNS - 31.5) ** 2 <= 30**2
VESSEL = TARGETS["vessel"]
FIELD = FieldOfView(INSIDE, (31.5, 31.5), 60.0)
SPOT = Target(name="spot", label=9, color="#112233", threshold=0.5)
"""A compact user-defined target, segmented in one full window per image."""


def square(left: int, top: int, side: int, *, size: int = SIDE) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def make_case(
    name: str = "a", *, reference: NDArray[np.bool_] | None = None, **fields: object
) -> Case:
    """Create a case whose image is noise seeded by its name, black outside the field of view."""
    seed = sum(map(ord, name))
    pixels = np.random.default_rng(seed).integers(60, 200, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[~INSIDE] = 0
    reference = square(20, 20, 16) if reference is None else reference
    defaults = {"field": FIELD, "dataset": "made"}
    return Case(name, pixels, reference, **(defaults | fields))


def make_report(**fields: object) -> Report:
    """Create a report without images, with the given fields."""
    defaults = {
        "made": "2026-01-02T03:04:05Z",
        "command": "sam2lora evaluate",
        "versions": {},
        "machine": {},
        "settings": EvaluateSettings(target="vessel"),
        "target": VESSEL,
        "conventions": "conventions",
        "data": (),
        "models": (),
        "cells": (),
        "images": (),
    }
    return Report.model_validate(defaults | fields)


BASE = SimpleNamespace(
    spec=SimpleNamespace(name="nano", path=None),
    weights_sha256="0" * 64,
    note="",
    path=None,
    learned_from={},
)


@dataclass
class Oracle:
    """Predictor stand-in: predicts by a function of image and prompts, and records the calls."""

    respond: Callable[[PreparedImage, Prompts], NDArray[np.floating]]
    calls: list[tuple[PreparedImage, GeometrySettings, Prompts]] = field(default_factory=list)
    adapters: list[Adapter | None] = field(default_factory=list)
    base: SimpleNamespace = field(default_factory=lambda: BASE)
    device: str = "cpu"
    precision: str = "float32"

    def set_adapter(self, adapter: Adapter | None) -> None:
        self.adapters.append(adapter)

    def predict(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        prompts: Prompts,
        *,
        inside: BoundingBox | None = None,
        progress: Callable[[int, int], None],
    ) -> Prediction:
        progress(0, 2)
        self.calls.append((prepared, geometry, prompts))
        progress(2, 2)
        return Prediction(np.asarray(self.respond(prepared, prompts), np.float32), 0.75)


def always(mask: NDArray[np.bool_]) -> Oracle:
    """Return a predictor that always predicts this mask, with certainty."""
    return Oracle(lambda prepared, prompts: mask)


def save(path: Path, pixels: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def spot() -> Target:
    save_target(SPOT)
    return SPOT


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the plots and pictures of reports, which take most of the time."""
    for name in ("save_plots", "save_galleries"):
        monkeypatch.setattr(
            f"sam2lora.evaluation.report.writer.{name}", lambda folder, report: None
        )


@pytest.fixture
def write_set(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes cases as a plain dataset folder."""

    def write(name: str, cases: Mapping[str, Case], *, target: str = "spot") -> Path:
        root = tmp_path / name
        for stem, case in cases.items():
            save(root / "images" / f"{stem}.png", case.pixels)
            save(root / "masks" / target / f"{stem}.png", case.reference)
            if case.field:
                save(root / "fov" / f"{stem}.png", case.field.mask)
        return root

    return write


@pytest.fixture
def write_chase(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a CHASE_DB1 dataset with one or two graders per image."""

    def write(masks: Mapping[str, tuple[NDArray[np.bool_], ...]]) -> Path:
        root = tmp_path / "chase"
        for stem, graders in masks.items():
            save(root / f"{stem}.jpg", make_case(stem).pixels)
            for number, mask in zip(("1st", "2nd"), graders, strict=False):
                save(root / f"{stem}_{number}HO.png", mask)
        return root

    return write


@pytest.fixture
def predictor(pocket_base: LoadedModel) -> Predictor:
    """Return a predictor with a real network of random weights, not shared with other tests."""
    base = replace(pocket_base, network=copy.deepcopy(pocket_base.network))
    return Predictor(base, device="cpu", precision="float32")


@pytest.fixture
def make_adapter(tmp_path: Path) -> Callable[..., Adapter]:
    """Return a function that creates adapters with the given card fields, and no weights."""

    def make(name: str = "spot-test", **fields: object) -> Adapter:
        defaults = {
            "name": name,
            "target": SPOT,
            "base": {"name": "nano", "identity": "0" * 64},
            "geometry": GeometrySettings(detail="squash"),
            "lora": LoraSettings(rank=4, alpha=8),
            "threshold": 0.3,
            "trainable": 1,
            "share": 0.1,
            "created": now(),
        }
        folder = tmp_path / "adapters" / name
        folder.mkdir(parents=True, exist_ok=True)
        adapter = Adapter(folder, AdapterCard.model_validate(defaults | fields))
        adapter.weights.write_bytes(b"none")
        return adapter

    return make

"""Fixtures: cases with a known truth, data sets of them on disk, and predictors that are known."""

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
from sam2lora.evaluation import Case
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.targets import TARGETS, Target, save_target

SIDE = 64
ROWS, COLUMNS = np.ogrid[:SIDE, :SIDE]
INSIDE: NDArray[np.bool_] = (ROWS - 31.5) ** 2 + (COLUMNS - 31.5) ** 2 <= 30**2
FIELD = FieldOfView(INSIDE, (31.5, 31.5), 60.0)
SPOT = Target(name="spot", label=9, color="#112233", threshold=0.5)
"""A compact target of the user's, looked at whole: one window an image."""


def square(left: int, top: int, side: int, *, size: int = SIDE) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def make_case(
    name: str = "a", *, reference: NDArray[np.bool_] | None = None, **fields: object
) -> Case:
    """Give a case whose image is noise of its own, brighter in the field of view."""
    seed = sum(map(ord, name))
    pixels = np.random.default_rng(seed).integers(60, 200, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[~INSIDE] = 0
    reference = square(20, 20, 16) if reference is None else reference
    usual = {"field": FIELD, "dataset": "made"}
    return Case(name, pixels, reference, **(usual | fields))


BASE = SimpleNamespace(
    spec=SimpleNamespace(name="nano", path=None),
    weights_sha256="0" * 64,
    note="",
    path=None,
    learned_from={},
)


@dataclass
class Oracle:
    """Stands for a predictor: answers by a function of scene and prompts, and remembers."""

    say: Callable[[PreparedImage, Prompts], NDArray[np.floating]]
    asked: list[tuple[PreparedImage, GeometrySettings, Prompts]] = field(default_factory=list)
    used: list[Adapter | None] = field(default_factory=list)
    base: SimpleNamespace = field(default_factory=lambda: BASE)
    device: str = "cpu"
    precision: str = "float32"

    def set_adapter(self, adapter: Adapter | None) -> None:
        self.used.append(adapter)

    def predict(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        prompts: Prompts,
        *,
        progress: Callable[[int, int], None],
    ) -> Prediction:
        progress(0, 2)
        self.asked.append((prepared, geometry, prompts))
        progress(2, 2)
        return Prediction(np.asarray(self.say(prepared, prompts), np.float32), 0.75)


def always(mask: NDArray[np.bool_]) -> Oracle:
    """Give one that answers a mask, with certainty."""
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
    """Leave the plots and pictures of reports out: they take most of the time."""
    for name in ("save_plots", "save_galleries"):
        monkeypatch.setattr(
            f"sam2lora.evaluation.report.writer.{name}", lambda folder, report: None
        )


@pytest.fixture
def write_set(tmp_path: Path) -> Callable[..., Path]:
    """Write cases as a plain folder, or as CHASE_DB1 with a second grader."""

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
    """Write images of CHASE_DB1's layout, each with the masks of one grader or of two."""

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
    """Give a real network with random weights, of the test's own."""
    base = replace(pocket_base, network=copy.deepcopy(pocket_base.network))
    return Predictor(base, device="cpu", precision="float32")


@pytest.fixture
def make_adapter(tmp_path: Path) -> Callable[..., Adapter]:
    """Give a function that makes adapters with the card a test wants, and no weights."""

    def make(name: str = "spot-test", **fields: object) -> Adapter:
        usual = {
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
        adapter = Adapter(folder, AdapterCard.model_validate(usual | fields))
        adapter.weights.write_bytes(b"none")
        return adapter

    return make


VESSEL = TARGETS["vessel"]

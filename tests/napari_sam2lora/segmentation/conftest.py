"""The segmentation core without window and torch, and a window with files to segment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.segmentation.model_choice import ModelChoices
from napari_sam2lora.segmentation.request_queue import RequestQueue
from napari_sam2lora.segmentation.requests import SegmentationRequest, SegmentationResult
from napari_sam2lora.segmentation.results import ResultStore
from sam2lora.targets import TARGETS, Target

from ..segmentation_window import Window, fundus

DISC = TARGETS["disc"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the engine returns as a prediction, without torch."""

    mask: np.ndarray
    probabilities: np.ndarray
    iou: float
    confidence: float | None = None


def make_result(request: SegmentationRequest, probability: float = 0.8) -> SegmentationResult:
    """Create the result of a network that finds the same probability inside the field of view."""
    found = field_of_view(request.image.layer)
    probabilities = np.where(found.mask, probability, 0).astype(np.float32)
    prepared = SimpleNamespace(shape=found.mask.shape, field=found)
    prediction = Prediction(probabilities >= 0.5, probabilities, 0.9)
    task: Any = SimpleNamespace(threshold=0.5, adapter=None)
    return SegmentationResult(request, task, prepared, prediction)


@dataclass
class Core:
    """The parts of a session that need no window.

    Attributes
    ----------
    requests
        What the stand-in engine was asked for, in order.
    messages
        What the user read.
    """

    qtbot: QtBot
    viewer: ViewerModel
    images: ImageLayers
    prompts: PromptLayers
    results: ResultStore
    choices: ModelChoices
    queue: RequestQueue
    requests: list[SegmentationRequest] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def image(self) -> Image:
        """The first image."""
        return next(layer for layer in self.viewer.layers if isinstance(layer, Image))

    def submit(self, target: Target = DISC) -> SegmentationResult:
        """Request a target of the first image, and wait for its result."""
        with self.qtbot.waitSignal(self.queue.result_ready, timeout=5000) as signal:
            self.queue.submit(self.image, target)
        return signal.args[0]

    def click(self, x: float, y: float, target: Target = DISC) -> None:
        """Add a point as napari's tool does."""
        self.prompts.points(self.image, target).add([y, x])

    def idle(self) -> None:
        """Wait until no job runs."""
        self.qtbot.waitUntil(lambda: not self.queue.worker.busy, timeout=5000)


@pytest.fixture
def make_core(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Core]]:
    """Return a function that creates the core of a viewer with these layers."""
    made: list[Core] = []

    def make(*layers: Layer) -> Core:
        viewer = ViewerModel()
        for layer in layers or (fundus(),):
            viewer.add_layer(layer)
        images, prompts = ImageLayers(viewer), PromptLayers(viewer)
        results, choices = ResultStore(viewer), ModelChoices()
        queue = RequestQueue(viewer, images, prompts, results, choices)
        core = Core(qtbot, viewer, images, prompts, results, choices, queue)

        def segment(request: SegmentationRequest, report: Any) -> SegmentationResult:
            core.requests.append(request)
            report("Segmenting", 0, 1)
            return make_result(request)

        monkeypatch.setattr(queue.engine, "segment", segment)
        queue.message.connect(core.messages.append)
        made.append(core)
        return core

    yield make
    for core in made:
        core.queue.close()
        core.results.close()
        core.prompts.close()


@pytest.fixture
def core(make_core: Callable[..., Core]) -> Core:
    """Return the core of a viewer with one image."""
    return make_core()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write a folder with two images and a file that is none."""
    folder = tmp_path / "eyes"
    folder.mkdir()
    for number, name in enumerate("ab"):
        PIL.Image.fromarray(fundus(seed=number).data).save(folder / f"{name}.png")
    (folder / "c.png").write_text("no image")
    return folder


@pytest.fixture
def ready(window: Window, files: Path) -> Window:
    """Open a window in which the folder is selected."""
    window.dock.batch_panel.show_images([str(files)])
    window.dock.batch_panel.out.setText(str(files.parent / "masks"))
    return window

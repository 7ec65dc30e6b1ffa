"""A window with a tiny image and the Segment dock, and the real network nano."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Image, Layer, Points
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication

from napari_sam2lora.layers.conversion import fundus_layers
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.adapters import Adapter, AdapterCard, install_adapter
from sam2lora.adapters.card import now
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.images.reading import FundusImage
from sam2lora.inference.postprocessing import LEVELS
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.targets import TARGETS, Target

from .helpers import label_text, press

SIDE = 200
WAIT = 20_000


def fundus(name: str = "photo", seed: int = 0, **about: object) -> Layer:
    """Create an image with a round field of view, which the plugin finds exactly."""
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = np.hypot(x - 99.5, y - 99.5) <= 92
    pixels = np.random.default_rng(seed).integers(60, 200, (SIDE, SIDE, 3), dtype=np.uint8)
    image = FundusImage(pixels * inside[..., None].astype(np.uint8), **about)
    (layer,) = fundus_layers(name, image, field_of_view_from_mask(inside), {})
    return Layer.create(*layer)


class Window:
    """A viewer with the Segment dock."""

    def __init__(self, viewer: Viewer, qtbot: QtBot) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.dock = SegmentDock(viewer)
        viewer.window.add_dock_widget(self.dock, name="Segment")
        self.session = self.dock.session
        for target in TARGETS.values():  # one window of the image is quick
            self.session.choices.set_choice(target, ModelChoice(detail="whole"))
        self.messages: list[str] = []
        self.session.message.connect(self.messages.append)

    def show(self) -> None:
        """Show the window, for a test that draws with the mouse; skip it where that cannot be."""
        if QApplication.platformName() == "offscreen":
            pytest.skip("no OpenGL on Qt's offscreen platform: unset QT_QPA_PLATFORM")
        self.viewer.window.show()
        self.qtbot.waitExposed(self.dock.window())

    def wait_result(self):
        """Wait for a result inside this context."""
        return self.qtbot.waitSignal(self.session.queue.result_ready, timeout=WAIT)

    def idle(self) -> None:
        """Wait until the worker thread is idle."""
        self.qtbot.waitUntil(lambda: not self.session.queue.worker.busy, timeout=WAIT)

    def cancel(self) -> None:
        """Press Cancel as soon as it is enabled."""
        self.qtbot.waitUntil(self.dock.progress.cancel.isEnabled, timeout=WAIT)
        press(self.dock, "Cancel")

    def segment(self) -> None:
        """Press Segment, and wait for the result."""
        with self.wait_result():
            press(self.dock, "Segment")

    def click(self, x: float, y: float) -> None:
        """Add a point at (x, y) in the image, as napari's tool does."""
        self.points().add([y, x])

    def points(self) -> Points:
        """Return the Points layer of the current image and target, without creating it."""
        image, target = self.session.target_key
        entries = {"prompts": "point", "image": image, "target": target}
        (points,) = (
            layer
            for layer in self.viewer.layers
            if entries.items() <= dict(plugin_metadata(layer.metadata)).items()
        )
        return points

    def preview(self, target: str = "disc") -> Image:
        """Return the preview of a target."""
        found = self.session.results.previews.find((self.session.target_key[0], target))
        assert found is not None
        return found

    def values(self, target: str = "disc") -> np.ndarray:
        """Return a copy of the probabilities that the preview of a target shows."""
        return np.array(self.preview(target).data)

    def split_the_preview(self) -> float:
        """Set a threshold that splits the result, whatever the network's weights."""
        values = self.values(self.session.target.name)
        # A disc is one component; outside it all probabilities are at the lowest level.
        threshold = round(float(np.median(values[values > LEVELS[0]])), 3)
        self.dock.threshold.number.setValue(threshold)
        return threshold

    def text(self) -> str:
        """Return the text of all labels of the dock."""
        return label_text(self.dock)


@pytest.fixture
def open_window(make_napari_viewer, qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """Return a function that opens a viewer with layers and the dock."""
    opened: list[Window] = []

    def open_it(*layers: Layer) -> Window:
        viewer = make_napari_viewer()
        for layer in layers or (fundus(),):
            viewer.add_layer(layer)
        opened.append(Window(viewer, qtbot))
        return opened[-1]

    yield open_it
    for window in opened:
        window.session.close()


@pytest.fixture
def window(open_window: Callable[..., Window]) -> Window:
    """Open a window with one image and the dock."""
    return open_window()


@dataclass
class Held:
    """Requests that are held in the engine.

    Attributes
    ----------
    started
        Set once the first request has reached the engine.
    resume
        Set it to let the requests continue.
    """

    started: threading.Event = field(default_factory=threading.Event)
    resume: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def hold(window: Window, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Held]]:
    """Return a function that holds requests back from then on."""
    held, real = Held(), window.session.queue.engine.segment

    def slow(request, report):
        held.started.set()
        held.resume.wait(60)
        report("Continuing", 0, None)
        return real(request, report)

    def start() -> Held:
        monkeypatch.setattr(window.session.queue.engine, "segment", slow)
        return held

    yield start
    held.resume.set()


@pytest.fixture
def install_for_nano(tmp_path: Path) -> Callable[..., Adapter]:
    """Return a function that installs an adapter for nano; its LoRA is random, not trained."""

    def install(name: str, target: Target = TARGETS["disc"], **fields: object) -> Adapter:
        import torch

        from sam2lora.adapters.lora import expected_shapes
        from sam2lora.adapters.serialization import save_adapter
        from sam2lora.models.loading import load_base

        base, lora = load_base("nano"), LoraSettings(rank=2, alpha=4, placement="decoder")
        generator = torch.Generator().manual_seed(len(name))
        # Without PEFT: it imports triton, which conflicts with software OpenGL in one process.
        tensors = {
            tensor_name: 0.1 * torch.randn(shape, generator=generator)
            for tensor_name, shape in sorted(expected_shapes(base.network, lora).items())
        }
        defaults = {
            "name": name,
            "target": target,
            "base": {"name": "nano", "identity": base.weights_sha256},
            "geometry": GeometrySettings(detail="whole"),
            "lora": lora,
            "threshold": 0.45,
            "trainable": 1000,
            "share": 0.1,
            "created": now(),
        }
        card = AdapterCard.model_validate(defaults | fields)
        return install_adapter(save_adapter(tensors, card, tmp_path / "made" / name))

    return install

"""A tiny dataset, a tiny adapter, layers of a tiny image, and napari's notifications as text."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer
from napari.settings import get_plugin_settings
from napari.utils.notifications import Notification, notification_manager
from PIL import Image

from napari_sam2lora.layers.conversion import fundus_layers
from sam2lora.adapters import Adapter, AdapterCard
from sam2lora.adapters.card import now
from sam2lora.adapters.folder import CONFIG, WEIGHTS
from sam2lora.adapters.lora import expected_shapes
from sam2lora.adapters.peft_format import peft_config
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.images.reading import FundusImage
from sam2lora.models.loading import Sam2ImageModel, build_network
from sam2lora.models.registry import BASE_MODELS
from sam2lora.settings import GeometrySettings, LoraSettings
from sam2lora.targets import TARGETS, Target

from .segmentation_window import hold, install_for_nano, open_window, window

__all__ = ["hold", "install_for_nano", "open_window", "window"]

SHAPE = (96, 90)


def disk(radius: float, center: tuple[float, float] = (45, 48)) -> np.ndarray:
    """Create a round mask around (x, y)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(x - center[0], y - center[1]) <= radius


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Write two images in the layout of DRIVE; the vessel is a vertical bar."""
    root = tmp_path / "DRIVE"
    for split, numbers in (("training", (21,)), ("test", (1,))):
        for folder in ("images", "1st_manual", "mask"):
            (root / split / folder).mkdir(parents=True)
        for number in numbers:
            pixels = np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8)
            name = f"{number:02}_{split}"
            tifffile.imwrite(root / split / "images" / f"{name}.tif", pixels, compression="lzw")
            _save(root / split / "1st_manual" / f"{number:02}_manual1.gif", bar())
            _save(root / split / "mask" / f"{name}_mask.gif", disk(40))
    return root


def bar() -> np.ndarray:
    """Create the vessel mask of the tiny dataset."""
    mask = np.zeros(SHAPE, bool)
    mask[20:70, 44:47] = True
    return mask


def _save(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(path)


@pytest.fixture
def notices() -> Iterator[list[str]]:
    """Collect the notifications that napari shows."""
    messages: list[str] = []

    def collect(notification: Notification) -> None:
        messages.append(notification.message)

    notification_manager.notification_ready.connect(collect)
    yield messages
    notification_manager.notification_ready.disconnect(collect)


@pytest.fixture(autouse=True)
def own_preferences(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Isolate every test from the Preferences of the user and of other tests."""
    settings = get_plugin_settings()["napari-sam2lora"]
    settings.reset()
    yield
    settings.reset()


@pytest.fixture(autouse=True)
def closing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the user is asked as windows with predictions close, which they may."""
    asked: list[str] = []

    def agree(parent: object, title: str, text: str, *, action: str) -> bool:
        asked.append(text)
        return True

    monkeypatch.setattr("napari_sam2lora.segmentation.dock.confirm", agree)
    return asked


@pytest.fixture(scope="session")
def nano() -> Sam2ImageModel:
    """Return the network that adapters of `make_adapter` fit."""
    return build_network(BASE_MODELS["nano"])


@pytest.fixture
def make_adapter(nano: Sam2ImageModel, tmp_path: Path) -> Callable[..., Adapter]:
    """Return a function that creates adapters that change nothing."""

    def make(
        name: str = "my-vessels", target: Target = TARGETS["vessel"], **fields: Any
    ) -> Adapter:
        lora = LoraSettings(rank=2, alpha=4)
        card = AdapterCard(
            name=name,
            target=target,
            base={"name": "nano", "identity": "0" * 64},
            geometry=GeometrySettings(),
            lora=lora,
            threshold=0.5,
            trainable=16,
            share=0.1,
            created=now(),
            **fields,
        )
        folder = tmp_path / "made" / name
        folder.mkdir(parents=True)
        shapes = expected_shapes(nano, lora)
        tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        safetensors.numpy.save_file(tensors, folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps(peft_config(lora)))
        adapter = Adapter(folder, card)
        for file, text in adapter.card_files().items():
            (folder / file).write_text(text, encoding="utf-8")
        return adapter

    return make


def eye(
    *targets: str, name: str = "eye", path: Path | None = None, spacing: tuple | None = None
) -> list[Layer]:
    """Create the layers of a tiny image; the vessel is a bar, disc and cup are round."""
    masks = {"vessel": bar(), "disc": disk(12), "cup": disk(6)}
    pixels = np.where(disk(40)[..., None], (180, 90, 40), 0).astype(np.uint8)
    image = FundusImage(pixels, path=path, spacing=spacing)
    wanted = {target: masks[target] for target in targets}
    data = fundus_layers(name, image, field_of_view_from_mask(disk(40)), wanted)
    return [Layer.create(*layer) for layer in data]


def viewer_with(*layers: Layer) -> ViewerModel:
    """Create a viewer without a window."""
    viewer = ViewerModel()
    for layer in layers:
        viewer.add_layer(layer)
    return viewer

"""Screenshots of the Train and the Evaluate dock, for `make_screenshots.py`."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox

from sam2lora.synthetic import SyntheticSettings, draw_fundus

# The user's own runs and adapters do not show in the pictures.
for _name in ("RUNS", "ADAPTERS"):
    os.environ[f"SAM2LORA_{_name}"] = tempfile.mkdtemp()

PLUGIN = "napari-sam2lora"
WINDOW = (1500, 950)
_PATIENCE = 600  # seconds without progress until it is an error


def train_images(viewer: napari.Viewer) -> None:
    """Show five selected images, one of them open."""
    _open(viewer)


def train_progress(viewer: napari.Viewer) -> None:
    """Show a running training."""
    # The window closes while it runs: the dock would show a dialog.
    QMessageBox.exec = lambda box: 0
    QMessageBox.clickedButton = lambda box: box.defaultButton()
    dock = _open(viewer)
    dock.settings_tab.edit(("validation", "every"), 5)  # so that there are curves soon
    dock.train(dock.setup_tab.plan())
    watcher = dock.session.watcher
    _wait(lambda: len(watcher.history.validations) > 3, lambda: len(watcher.history.events))
    QTest.qWait(2000)  # the curves are drawn once a second


def train_runs(viewer: napari.Viewer) -> None:
    """Show the list of runs after that training was stopped."""
    dock = _open(viewer)
    if dock.session.alive:
        dock.session.stop()
        _wait(lambda: not dock.session.alive, lambda: len(dock.session.watcher.history.events))
    dock.tabs.setCurrentWidget(dock.runs_tab)
    dock.runs_tab.refresh()
    dock.runs_tab.list.tree.topLevelItem(0).child(0).setSelected(True)


def evaluate(viewer: napari.Viewer) -> None:
    """Compare a mask with a reference, with the map of errors."""
    viewer.open_sample(PLUGIN, "healthy")
    disc = next(layer for layer in viewer.layers if layer.name.endswith("disc"))
    for layer in list(viewer.layers)[1:]:
        layer.visible = False
    moved = np.roll(disc.data, (12, 18), (0, 1))
    viewer.add_labels(moved, name="second reader disc", visible=False)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Evaluate")
    dock.choose(disc.name, "second reader disc")
    dock.compare()
    _wait(lambda: bool(dock.comparisons))


PICTURES: dict[str, Callable[[napari.Viewer], None]] = {
    "train-images": train_images,
    "train-progress": train_progress,
    "train-runs": train_runs,
    "evaluate": evaluate,
}
"""Each screenshot by name; the second and the third show the same training."""


def _open(viewer: napari.Viewer) -> "object":
    viewer.window.resize(*WINDOW)
    viewer.open(_draw_images(Path(tempfile.mkdtemp()) / "my eyes"), plugin=PLUGIN)
    for name in list(viewer.window.dock_widgets):
        if "list" in name:
            viewer.window.remove_dock_widget(viewer.window.dock_widgets[name])
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    dock.setup_tab.options.choose(target="disc", preset="quick")
    if dock.setup_tab.options.start_from is None:  # without trained weights
        dock.setup_tab.options.choose(preset="standard")
        dock.settings_tab.edit(("batch",), 1)
    return dock


def _draw_images(folder: Path) -> Path:
    for number in range(5):
        drawn = draw_fundus(number + 60, SyntheticSettings(size=512))
        mask = drawn.masks["disc"].astype(np.uint8) * np.uint8(255)
        for subfolder, pixels in {"images": drawn.image, "masks/disc": mask}.items():
            (folder / subfolder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / subfolder / f"eye {number + 1}.png")
    return folder


def _wait(condition: Callable[[], bool], progress: Callable[[], int] = int) -> None:
    """Wait until a condition holds; give up when a counter does not change any more."""
    count, since = progress(), time.monotonic()
    while not condition():
        if progress() != count:
            count, since = progress(), time.monotonic()
        if time.monotonic() - since > _PATIENCE:
            raise SystemExit("There is no progress.")
        QTest.qWait(100)

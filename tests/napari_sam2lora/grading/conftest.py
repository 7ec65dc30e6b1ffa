"""A session of three tiny images, and windows in which it is graded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Labels
from PIL import Image
from pytestqt.qtbot import QtBot

from napari_sam2lora.grading.dock import GradeDock
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.masks import add_mask, find_mask_layer
from sam2lora.grading import GradingSession, SessionGrader, list_sources
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, disk

STEMS = ("eye1", "eye2", "eye3")
WAIT = 20_000


def draw_images(folder: Path) -> Path:
    """Write three images that differ."""
    folder.mkdir(parents=True)
    for number, stem in enumerate(STEMS):
        pixels = np.where(disk(40)[..., None], (180, 90, 40 + number), 0).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{stem}.png")
    return folder


@pytest.fixture
def session(tmp_path: Path) -> GradingSession:
    """Create a session of the three images."""
    images = draw_images(tmp_path / "images")
    return GradingSession.create(tmp_path / "trial", list_sources([images]))


def mask_layer(viewer: Viewer, shown_path: str | None, target: str = "disc") -> Labels:
    """Return the mask of the image that is shown; an empty one is added if there is none."""
    image = ImageLayers(viewer).find(shown_path or "")
    assert image is not None
    wanted = TARGETS[target]
    return find_mask_layer(viewer, image, wanted) or add_mask(viewer, image, wanted)


def paint(layer: Labels, row: int = 0, label: int = 1) -> None:
    """Paint a stroke of four pixels, as napari's brush does."""
    with layer.block_history():
        layer.data_setitem((np.array([row] * 4), np.arange(4)), label)


@pytest.fixture
def open_work(
    make_napari_viewer: Callable[[], Viewer], session: GradingSession
) -> Iterator[Callable[..., tuple[Viewer, GraderWork]]]:
    """Return a function that opens a viewer in which a grader works."""
    opened: list[GraderWork] = []

    def open_it(name: str = "anna", *, read_only: bool = False) -> tuple[Viewer, GraderWork]:
        viewer = make_napari_viewer()
        work = GraderWork(viewer, SessionGrader(session, name, read_only=read_only))
        opened.append(work)
        return viewer, work

    yield open_it
    for work in opened:
        work.close(save=False)


def kill(work: GraderWork) -> None:
    """Leave what a killed process leaves: the files as they are, and no lock."""
    work.close(save=False)


@pytest.fixture
def open_dock(
    make_napari_viewer: Callable[[], Viewer], session: GradingSession, qtbot: QtBot
) -> Callable[..., GradeDock]:
    """Return a function that opens a viewer with the dock, in which somebody grades."""

    def open_it(name: str = "anna", *, start: bool = True) -> GradeDock:
        viewer = make_napari_viewer()
        dock = GradeDock(viewer)
        viewer.window.add_dock_widget(dock, name="Grade")
        dock.opener.open(session.folder)
        if start:
            dock.start(name)
        return dock

    return open_it


def shape() -> tuple[int, int]:
    """Return the size of the images."""
    return SHAPE


@pytest.fixture
def graded(session: GradingSession) -> GradingSession:
    """Create what two people graded: both are done with two images, and one with the third."""
    for name, radius in (("anna", 12), ("ben", 9)):
        with SessionGrader(session, name) as grader:
            for stem in STEMS:
                size = radius + (stem == "eye2")
                masks = {"disc": disk(size)}
                if stem == "eye1":
                    masks["cup"] = disk(6)
                grader.corrections.save(stem, session.path(stem), masks)
                if stem != "eye3" or name == "anna":
                    grader.set_state(stem, "done")
    return session

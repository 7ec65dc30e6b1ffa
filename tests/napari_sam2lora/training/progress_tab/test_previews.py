"""The pictures of a run."""

from pathlib import Path

import numpy as np
import pytest
from napari.qt import get_stylesheet
from PIL import Image

from napari_sam2lora.qt.dock import scrolling
from napari_sam2lora.qt.widgets import column
from napari_sam2lora.training.progress_tab.curves import Curves
from napari_sam2lora.training.progress_tab.previews import ValidationPreviews

pytestmark = pytest.mark.viewer


@pytest.fixture
def pictures(tmp_path: Path) -> list[tuple[int, Path]]:
    made = []
    for step in (5, 10, 15):
        path = tmp_path / f"{step:06}.png"
        Image.fromarray(np.full((40, 60, 3), step, np.uint8)).save(path)
        made.append((step, path))
    return made


def shows(qtbot, previews: ValidationPreviews, text: str) -> None:
    qtbot.waitUntil(lambda: previews._caption.text().startswith(text))


def test_latest_preview_is_shown_unless_the_slider_was_moved_back(qtbot, pictures) -> None:
    previews = ValidationPreviews()
    qtbot.addWidget(previews)
    assert previews.isHidden()  # in a window it would be too
    previews.show_pictures(pictures[:1])
    previews.show_pictures(pictures[:2])
    shows(qtbot, previews, "Step 10")
    previews._slider.setValue(0)
    previews.show_pictures(pictures)
    shows(qtbot, previews, "Step 5")
    previews.show_pictures([])
    previews.show_pictures(pictures)
    shows(qtbot, previews, "Step 15")


def test_deleted_preview_is_reported(qtbot, pictures) -> None:
    previews = ValidationPreviews()
    qtbot.addWidget(previews)
    pictures[0][1].unlink()
    previews.show_pictures(pictures[:1])
    shows(qtbot, previews, "Step 5: the preview no longer exists.")


def test_large_preview_is_decoded_smaller(qtbot, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((1500, 3000, 3), np.uint8)).save(path)
    previews = ValidationPreviews()
    qtbot.addWidget(previews)
    previews.show_pictures([(1, path)])
    shows(qtbot, previews, "Step 1")
    assert (previews._pixmap.width(), previews._pixmap.height()) == (1024, 512)


def test_preview_leaves_the_curves_their_height_in_a_small_dock(qtbot, tmp_path: Path) -> None:
    path = tmp_path / "square.png"
    Image.fromarray(np.zeros((800, 800, 3), np.uint8)).save(path)
    curves, previews = Curves(), ValidationPreviews()
    curves.show_run({name * 9: ([1], [0.5]) for name in "abcdef"}, ([1], [0.5]))
    area = scrolling(column(curves, previews, stretch=curves))
    qtbot.addWidget(area)
    area.setStyleSheet(get_stylesheet("dark"))  # which lets the legend wrap
    area.resize(420, 300)
    area.show()
    previews.show_pictures([(1, path)])
    shows(qtbot, previews, "Step 1")
    qtbot.wait(50)
    for height in (300, 800, 300):
        area.resize(420, height)
        qtbot.wait(50)
        assert curves.height() >= 160 + curves._legend.height()
        assert not curves._legend.geometry().intersects(curves._loss.geometry())
        assert curves.geometry().bottom() < previews.geometry().top()
        assert 200 < previews._picture.height() < 300

"""Warnings and boxes that are not ticked can be seen in napari's light and dark theme."""

from collections import Counter

import numpy as np
import pytest
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QCheckBox, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_sam2lora.qt.dock import Dock
from napari_sam2lora.segmentation.widgets.progress_bar import SegmentationProgress
from napari_sam2lora.training.settings_tab.field import SettingField
from sam2lora.training.settings import OptimizerSettings

pytestmark = pytest.mark.viewer

ABOUT = OptimizerSettings.model_fields["learning_rate"]
TEXT, PARTS = 4.5, 3.0  # of WCAG 2.1, level AA: text, and parts of a window


def luminance(color: tuple[int, int, int]) -> float:
    """Return the relative luminance of an sRGB color, as WCAG 2.1 defines it."""
    values = np.array(color) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(widget: QWidget) -> float:
    """Return the highest contrast of a pixel of a widget with the most frequent color."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = [
        (color.red(), color.green(), color.blue())
        for y in range(image.height())
        for x in range(image.width())
        if (color := image.pixelColor(x, y))
    ]
    counts = Counter(pixels)
    back = luminance(counts.most_common(1)[0][0])
    values = [luminance(color) for color in counts]
    return max((max(back, one) + 0.05) / (min(back, one) + 0.05) for one in values)


def test_contrast_is_that_of_wcag():
    white, gray, black = (luminance((value,) * 3) for value in (255, 118, 0))
    assert (white + 0.05) / (black + 0.05) == pytest.approx(21)
    assert (white + 0.05) / (gray + 0.05) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_warnings_and_boxes_are_seen(make_napari_viewer, theme: str):
    viewer = make_napari_viewer()
    viewer.theme = theme
    dock = Dock()
    layout = QVBoxLayout(dock)
    progress, setting = SegmentationProgress(), SettingField("learning_rate", ABOUT)
    box, tree = QCheckBox(), QTreeWidget()
    tree.setHeaderHidden(True)
    item = QTreeWidgetItem([""])
    item.setCheckState(0, item.checkState(0).Unchecked)
    tree.addTopLevelItem(item)
    for part in (progress, setting, box, tree):
        layout.addWidget(part)
    viewer.window.add_dock_widget(dock)
    progress.show_warnings("tiny has to be downloaded first.")
    setting.show_error("at least 1")
    assert contrast(progress.warnings) >= TEXT
    assert contrast(setting._error) >= TEXT
    assert contrast(box) >= PARTS
    assert contrast(tree.viewport()) >= PARTS

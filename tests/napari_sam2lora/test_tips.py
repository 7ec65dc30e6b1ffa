"""Whatever can be pressed or set in a dock says what it is for."""

import pytest
from npe2 import PluginManifest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QDoubleSpinBox, QSlider, QTabBar, QWidget

from napari_sam2lora.segmentation.dock import SegmentDock

from .conftest import eye

PLUGIN = "napari-sam2lora"
_WIDGETS = (QAbstractButton, QComboBox, QDoubleSpinBox, QSlider)

pytestmark = pytest.mark.viewer


def without_tip(dock: QWidget) -> list[str]:
    """Return what has no tip of its own and none of a widget around it."""
    missing = []
    for kind in _WIDGETS:
        for widget in dock.findChildren(kind):
            if type(widget) is QAbstractButton:  # the corner of a table
                continue
            around: QWidget | None = widget
            while around is not None and around is not dock and not around.toolTip():
                around = None if isinstance(around, QTabBar) else around.parentWidget()
            if around is dock:
                missing.append(f"{type(widget).__name__} {getattr(widget, 'text', str)()}")
    return missing


def test_every_widget_has_a_tip(make_napari_viewer):
    viewer = make_napari_viewer()
    for layer in eye("disc"):
        viewer.add_layer(layer)
    for widget in PluginManifest.from_distribution(PLUGIN).contributions.widgets:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, widget.display_name)
        assert without_tip(dock) == [], widget.display_name
        if isinstance(dock, SegmentDock):
            dock.session.close()
        del dock

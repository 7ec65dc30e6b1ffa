"""The probability threshold of the mask, and how it is accepted."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QSlider,
    QWidget,
)

from napari_sam2lora.layers.masks import AcceptMode

_MODES = {
    "replace": ("Replace mask", "The mask becomes the prediction"),
    "add": ("Add to mask", "The prediction is added to the mask"),
    "empty": ("Fill empty pixels only", "As Add to mask, but pixels that have a label keep it"),
}
_STEPS = 1000
_TIP = "Probability from which a pixel belongs to the target; nothing is computed again"
_MODE_TIP = "How accepting a prediction changes a mask that exists already"
_POINT_TIP = "The target is a point: it has no threshold and no mask"


class ThresholdControls(QWidget):
    """A threshold slider with its value, and what becomes of the mask that is there.

    Signals
    -------
    threshold_changed(threshold)
        The user moved it; between 0 and 1.
    """

    threshold_changed = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, _STEPS - 1)
        self.slider.setToolTip(_TIP)
        self.number = QDoubleSpinBox()
        self.number.setRange(1 / _STEPS, 1 - 1 / _STEPS)
        self.number.setDecimals(3)
        self.number.setSingleStep(0.01)
        self.number.setToolTip(_TIP)
        self.slider.valueChanged.connect(self._on_slider)
        self.number.valueChanged.connect(self._on_number)
        self.mode = QComboBox()
        self.mode.setToolTip(_MODE_TIP)
        for mode, (text, tip) in _MODES.items():
            self.mode.addItem(text, mode)
            self.mode.setItemData(self.mode.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Threshold"), 0, 0)
        layout.addWidget(self.slider, 0, 1)
        layout.addWidget(self.number, 0, 2)
        layout.addWidget(QLabel("Accept as"), 1, 0)
        layout.addWidget(self.mode, 1, 1, 1, 2)

    @property
    def accept_mode(self) -> AcceptMode:
        """What becomes of the mask: "replace", "add" or "empty"."""
        mode: AcceptMode = self.mode.currentData()
        return mode

    def show_kind(self, *, point: bool) -> None:
        """Disable all of it for a target that is a point, and say why."""
        self.setEnabled(not point)
        self.setToolTip(_POINT_TIP if point else "")
        for widget in (self.slider, self.number):
            widget.setToolTip(_POINT_TIP if point else _TIP)
        self.mode.setToolTip(_POINT_TIP if point else _MODE_TIP)

    def show_threshold(self, threshold: float) -> None:
        """Show a threshold without emitting `threshold_changed`."""
        for widget in (self.slider, self.number):
            widget.blockSignals(True)
        self.slider.setValue(round(threshold * _STEPS))
        self.number.setValue(threshold)
        for widget in (self.slider, self.number):
            widget.blockSignals(False)

    def _on_slider(self, steps: int) -> None:
        self.show_threshold(steps / _STEPS)
        self.threshold_changed.emit(steps / _STEPS)

    def _on_number(self, threshold: float) -> None:
        self.show_threshold(threshold)
        self.threshold_changed.emit(threshold)

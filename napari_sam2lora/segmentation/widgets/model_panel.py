"""What answers: base model, adapter, detail and device. Good as it is, so it is folded away."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph

ComboEntry = tuple[str, str | None]
"""What is shown, and what it means."""

DETAILS: Sequence[ComboEntry] = (
    ("as the adapter was trained", None),
    ("whole field", "whole"),
    ("tiles", "tiles"),
    ("zoom", "zoom"),
    ("squashed whole image", "squash"),
)
DEVICES: Sequence[ComboEntry] = (
    ("as in Preferences", None),
    ("automatic", "auto"),
    ("processor (cpu)", "cpu"),
    ("NVIDIA GPU (cuda)", "cuda"),
    ("Apple GPU (mps)", "mps"),
)
AUTOMATIC, NO_ADAPTER = "automatic", "bare"
"""Adapters that are none: the one that fits, and the base model alone."""


class RefreshingComboBox(QComboBox):
    """A list that asks for its entries to be looked up again when it is opened."""

    opening = Signal()

    def showPopup(self) -> None:
        """Ask, and open."""
        self.opening.emit()
        super().showPopup()


class ModelPanel(QWidget):
    """Lists of what can answer.

    Signals
    -------
    model_chosen(name), detail_chosen(detail), device_chosen(device)
        The user chose another one; None for what is usual.
    adapter_chosen(name)
        The name of an adapter, `AUTOMATIC` or `NO_ADAPTER`.
    adapters_requested()
        The list of adapters is about to open.
    """

    model_chosen = Signal(str)
    adapter_chosen = Signal(str)
    detail_chosen = Signal(object)
    device_chosen = Signal(object)
    adapters_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model, self.adapter = QComboBox(), RefreshingComboBox()
        self.detail, self.device = QComboBox(), QComboBox()
        self.words = Paragraph()
        for box in (self.model, self.adapter, self.detail, self.device):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        fill(self.detail, DETAILS, None)
        fill(self.device, DEVICES, None)
        self.model.activated.connect(self._on_model)
        self.adapter.activated.connect(self._on_adapter)
        self.detail.activated.connect(self._on_detail)
        self.device.activated.connect(self._on_device)
        self.adapter.opening.connect(self.adapters_requested)
        form = QFormLayout(self)
        form.setContentsMargins(12, 0, 0, 0)
        form.addRow("Base model", self.model)
        form.addRow("Adapter", self.adapter)
        form.addRow("Detail", self.detail)
        form.addRow("Device", self.device)
        form.addRow(self.words)

    def show_models(self, models: Sequence[ComboEntry], chosen: str) -> None:
        """List the base models."""
        fill(self.model, models, chosen)

    def show_adapters(self, adapters: Sequence[ComboEntry], chosen: str) -> None:
        """List the adapters for the present target, after the two that are always there."""
        always = [
            ("automatic: shipped, else newest", AUTOMATIC),
            ("none: base model alone", NO_ADAPTER),
        ]
        fill(self.adapter, [*always, *adapters], chosen)

    def show_detail(self, detail: str | None) -> None:
        """Show how the image is looked at."""
        self.detail.setCurrentIndex(self.detail.findData(detail))

    def show_message(self, words: str) -> None:
        """Show what computes."""
        self.words.setText(words)

    def _on_model(self, number: int) -> None:
        self.model_chosen.emit(self.model.itemData(number))

    def _on_adapter(self, number: int) -> None:
        self.adapter_chosen.emit(self.adapter.itemData(number))

    def _on_detail(self, number: int) -> None:
        self.detail_chosen.emit(self.detail.itemData(number))

    def _on_device(self, number: int) -> None:
        self.device_chosen.emit(self.device.itemData(number))


def fill(box: QComboBox, entries: Sequence[ComboEntry], chosen: str | None) -> None:
    """List entries, unless they are there already, and choose one, or else the first."""
    shown = [(box.itemText(number), box.itemData(number)) for number in range(box.count())]
    if shown != list(entries):
        box.clear()
        for text, value in entries:
            box.addItem(text, value)
    box.setCurrentIndex(max(box.findData(chosen), 0))

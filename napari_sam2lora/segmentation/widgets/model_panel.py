"""What segments: base model, adapter, input mode and device; collapsed by default."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph

ComboEntry = tuple[str, str | None]
"""The text of an entry, and its value."""

INPUT_MODES: Sequence[ComboEntry] = (
    ("As the adapter was trained", None),
    ("Full field of view", "whole"),
    ("Tiled", "tiles"),
    ("Cropped around the target", "zoom"),
    ("Whole image, stretched", "squash"),
)
DEVICES: Sequence[ComboEntry] = (
    ("As in Preferences", None),
    ("Automatic", "auto"),
    ("CPU", "cpu"),
    ("NVIDIA GPU (cuda)", "cuda"),
    ("Apple GPU (mps)", "mps"),
)
AUTOMATIC, NO_ADAPTER = "automatic", "bare"
"""Values that name no adapter: the default one, and the base model without adapter."""


class RefreshingComboBox(QComboBox):
    """A list that emits `opening` before it opens, so that its entries can be refreshed."""

    opening = Signal()

    def showPopup(self) -> None:
        """Emit `opening`, then open the list."""
        self.opening.emit()
        super().showPopup()


class ModelPanel(QWidget):
    """Lists of base models, adapters, input modes and devices.

    Signals
    -------
    model_selected(name), input_mode_selected(mode), device_selected(device)
        The user selected another one; None for the default.
    adapter_selected(name)
        The name of an adapter, `AUTOMATIC` or `NO_ADAPTER`.
    adapters_requested()
        The list of adapters is about to open.
    """

    model_selected = Signal(str)
    adapter_selected = Signal(str)
    input_mode_selected = Signal(object)
    device_selected = Signal(object)
    adapters_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model, self.adapter = QComboBox(), RefreshingComboBox()
        self.input_mode, self.device = QComboBox(), QComboBox()
        self.message = Paragraph()
        self.model.setToolTip("The network; nano is part of the plugin, others are downloaded once")
        self.input_mode.setToolTip("Which part of the image the network sees at once")
        self.device.setToolTip("What the network runs on")
        self.adapter.setToolTip(
            "The adapter that was trained or chosen last for the target is used, after a restart "
            "too. Automatic is the shipped one, else your newest"
        )
        for box in (self.model, self.adapter, self.input_mode, self.device):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        fill(self.input_mode, INPUT_MODES, None)
        fill(self.device, DEVICES, None)
        self.model.activated.connect(self._on_model)
        self.adapter.activated.connect(self._on_adapter)
        self.input_mode.activated.connect(self._on_input_mode)
        self.device.activated.connect(self._on_device)
        self.adapter.opening.connect(self.adapters_requested)
        form = QFormLayout(self)
        form.setContentsMargins(12, 0, 0, 0)
        form.addRow("Base model", self.model)
        form.addRow("Adapter", self.adapter)
        form.addRow("Input mode", self.input_mode)
        form.addRow("Device", self.device)
        form.addRow(self.message)

    def show_models(self, models: Sequence[ComboEntry], chosen: str) -> None:
        """List the base models."""
        fill(self.model, models, chosen)

    def show_adapters(
        self, adapters: Sequence[ComboEntry], chosen: str, *, automatic: str = ""
    ) -> None:
        """List the adapters for the current target, after the two entries that always exist.

        Parameters
        ----------
        adapters, chosen
            The adapters, and the value of the one that is chosen.
        automatic
            What is used unless another is chosen, and why.
        """
        always = [
            (f"Automatic: {automatic or 'shipped, else newest'}", AUTOMATIC),
            ("No adapter", NO_ADAPTER),
        ]
        fill(self.adapter, [*always, *adapters], chosen)

    def show_input_mode(self, mode: str | None) -> None:
        """Show how the image is fed to the network; None: as the adapter was trained."""
        self.input_mode.setCurrentIndex(self.input_mode.findData(mode))

    def show_message(self, text: str) -> None:
        """Show what the network runs on."""
        self.message.setText(text)

    def _on_model(self, number: int) -> None:
        self.model_selected.emit(self.model.itemData(number))

    def _on_adapter(self, number: int) -> None:
        self.adapter_selected.emit(self.adapter.itemData(number))

    def _on_input_mode(self, number: int) -> None:
        self.input_mode_selected.emit(self.input_mode.itemData(number))

    def _on_device(self, number: int) -> None:
        self.device_selected.emit(self.device.itemData(number))


def fill(box: QComboBox, entries: Sequence[ComboEntry], chosen: str | None) -> None:
    """List entries, unless they are listed already, and select one, or else the first."""
    shown = [(box.itemText(number), box.itemData(number)) for number in range(box.count())]
    if shown != list(entries):
        box.clear()
        for text, value in entries:
            box.addItem(text, value)
    box.setCurrentIndex(max(box.findData(chosen), 0))

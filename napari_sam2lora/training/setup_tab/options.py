"""What is trained, with which preset, from which adapter, and the name of the run."""

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QWidget

_FROM_SCRATCH = "None: train from scratch"

TIPS: Mapping[str, str] = {
    "quick": "A few images, one or two minutes, from the adapter below: the decoder's LoRA alone, "
    "or for vessels the detail head alone, which is added if the adapter has none.",
    "standard": "600 steps of all of LoRA.",
    "detail": "600 steps of a small network that draws thin structures finer, with the adapter "
    "below frozen; its rank falls if the two would exceed 5 % of the base.",
    "paper": "SAM2LoRA as published: 30 000 steps. Not for a computer without a GPU.",
    "low-memory": "As Standard, one image at a time.",
}
"""Tool tip of each preset."""

_CONTINUING = ("quick", "detail")  # train a small part of an adapter


class SetupOptions(QWidget):
    """Target, preset, base model, initial adapter and run name.

    Signals
    -------
    changed()
        The user changed one of them.
    target_changed(target)
        The user changed the target; emitted before `changed`.
    """

    changed = Signal()
    target_changed = Signal(str)

    def __init__(
        self, targets: Sequence[str], models: Sequence[str], presets: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._target = _box({name: name for name in targets})
        self._preset = _box(presets)
        self._model = _box({name: name for name in models})
        self._adapter = _box({})
        self._name = QLineEdit()
        self._offered_for: tuple[str, str, str] | None = None
        for number, key in enumerate(presets):
            self._preset.setItemData(number, TIPS.get(key, ""), Qt.ItemDataRole.ToolTipRole)
        self._target.setToolTip("What the adapter learns to segment.")
        self._preset.setToolTip("How long and how much is trained; Advanced has every setting.")
        self._model.setToolTip("The network that the adapter is for.")
        self._adapter.setToolTip("The adapter to continue from; it is not changed.")
        self._name.setToolTip("Name of the run, and of the adapter it trains.")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Target", self._target)
        form.addRow("Preset", self._preset)
        form.addRow("Base model", self._model)
        form.addRow("Initial adapter", self._adapter)
        form.addRow("Run name", self._name)
        self._target.activated.connect(self._on_target)
        for box in (self._preset, self._model, self._adapter):
            box.activated.connect(self._on_changed)
        self._name.editingFinished.connect(self._on_changed)

    @property
    def target(self) -> str:
        """Name of the target."""
        return str(self._target.currentData())

    @property
    def preset(self) -> str:
        """Key of the preset."""
        return str(self._preset.currentData())

    @property
    def model(self) -> str:
        """Name of the base model."""
        return str(self._model.currentData())

    @property
    def start_from(self) -> str | None:
        """Name of the initial adapter; None to train from scratch."""
        name = self._adapter.currentData()
        return str(name) if name else None

    @property
    def name(self) -> str:
        """Name the user gave the run; empty for none."""
        return str(self._name.text().strip())

    def choose(
        self, *, target: str | None = None, preset: str | None = None, model: str | None = None
    ) -> None:
        """Choose options as a user would."""
        for box, key in ((self._preset, preset), (self._model, model), (self._target, target)):
            if key is not None and box.currentData() != key:
                box.setCurrentIndex(box.findData(key))
                box.activated.emit(box.currentIndex())

    def choose_adapter(self, name: str | None) -> None:
        """Choose the initial adapter as a user would; None to train from scratch."""
        self._adapter.setCurrentIndex(max(0, self._adapter.findData(name or "")))
        self._adapter.activated.emit(self._adapter.currentIndex())

    def set_name(self, name: str) -> None:
        """Set the name of the run as a user would; empty for the default one."""
        self._name.setText(name)
        self._on_changed()

    def show_adapters(self, adapters: Mapping[str, str]) -> None:
        """Show the initial adapters to choose from: name to label, the best choice first.

        The chosen one is kept if it still exists, unless target, base model or preset have changed:
        then Quick adapt and Detail head start from the first one, the other presets from scratch.
        """
        key = (self.target, self.model, self.preset)
        before = self._adapter.currentData()
        self._adapter.clear()
        self._adapter.addItem(_FROM_SCRATCH, "")
        for name, label in adapters.items():
            self._adapter.addItem(label, name)
        kept = self._adapter.findData(before)
        if key == self._offered_for and kept >= 0:
            self._adapter.setCurrentIndex(kept)
        else:
            self._adapter.setCurrentIndex(1 if adapters and self.preset in _CONTINUING else 0)
        self._offered_for = key

    def show_name(self, name: str) -> None:
        """Show the name of the run that is used if the user gives none."""
        self._name.setPlaceholderText(name)

    def _on_target(self) -> None:
        self.target_changed.emit(self.target)
        self.changed.emit()

    def _on_changed(self) -> None:
        self.changed.emit()


def _box(entries: Mapping[str, str]) -> QComboBox:
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    for key, label in entries.items():
        box.addItem(label, key)
    return box

"""What is learned, how, from which start, and what the run is called."""

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QWidget

_FROM_SCRATCH = "nothing: begin anew"

TIPS: Mapping[str, str] = {
    "quick": "A few images, about a minute: the decoder's LoRA alone, from the adapter below.",
    "standard": "600 steps of all of LoRA.",
    "paper": "SAM2LoRA as published: 30 000 steps. Not for a computer without a GPU.",
    "low-memory": "As Standard, one image at a time.",
}
"""What each preset is for."""


class SetupOptions(QWidget):
    """Target, preset, base model, start and name.

    Signals
    -------
    changed()
        The user chose something else.
    target_changed(target)
        The same, for the target: before `changed`.
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
        self._start = _box({})
        self._name = QLineEdit()
        self._offered_for: tuple[str, str, str] | None = None
        for number, key in enumerate(presets):
            self._preset.setItemData(number, TIPS.get(key, ""), Qt.ItemDataRole.ToolTipRole)
        self._start.setToolTip("The adapter that is trained on; it stays as it is.")
        self._name.setToolTip("Of the run, and of the adapter that comes of it.")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("target", self._target)
        form.addRow("preset", self._preset)
        form.addRow("base model", self._model)
        form.addRow("go on from", self._start)
        form.addRow("name", self._name)
        self._target.activated.connect(self._on_target)
        for box in (self._preset, self._model, self._start):
            box.activated.connect(self._on_changed)
        self._name.editingFinished.connect(self._on_changed)

    @property
    def target(self) -> str:
        """Name of what is learned."""
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
        """Name of the adapter that is trained on; None: nothing."""
        name = self._start.currentData()
        return str(name) if name else None

    @property
    def name(self) -> str:
        """What the user calls the run; empty: nothing."""
        return self._name.text().strip()

    def choose(
        self, *, target: str | None = None, preset: str | None = None, model: str | None = None
    ) -> None:
        """Choose as a user would."""
        for box, key in ((self._preset, preset), (self._model, model), (self._target, target)):
            if key is not None and box.currentData() != key:
                box.setCurrentIndex(box.findData(key))
                box.activated.emit(box.currentIndex())

    def choose_start(self, name: str | None) -> None:
        """Choose the adapter that is trained on."""
        self._start.setCurrentIndex(max(0, self._start.findData(name or "")))
        self._start.activated.emit(self._start.currentIndex())

    def set_name(self, name: str) -> None:
        """Write a name of the user's; empty: the proposed one."""
        self._name.setText(name)
        self._on_changed()

    def show_starts(self, adapters: Mapping[str, str]) -> None:
        """Offer adapters to go on from: name to how it is shown, the best choice first.

        What was chosen stays chosen if it is still there, unless target, base model or preset are
        others than before: then Quick adapt goes on from the first one, and others begin anew.
        """
        key = (self.target, self.model, self.preset)
        before = self._start.currentData()
        self._start.clear()
        self._start.addItem(_FROM_SCRATCH, "")
        for name, shown in adapters.items():
            self._start.addItem(shown, name)
        kept = self._start.findData(before)
        if key == self._offered_for and kept >= 0:
            self._start.setCurrentIndex(kept)
        else:
            self._start.setCurrentIndex(1 if adapters and self.preset == "quick" else 0)
        self._offered_for = key

    def show_name(self, name: str) -> None:
        """Show what the run is called if the user says nothing."""
        self._name.setPlaceholderText(name)

    def _on_target(self) -> None:
        self.target_changed.emit(self.target)
        self.changed.emit()

    def _on_changed(self) -> None:
        self.changed.emit()


def _box(entries: Mapping[str, str]) -> QComboBox:
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    for key, shown in entries.items():
        box.addItem(shown, key)
    return box

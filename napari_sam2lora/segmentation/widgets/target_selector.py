"""Which image, and which target in it."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QToolButton, QWidget

from sam2lora.targets import Target


class TargetSelector(QWidget):
    """Two lists to choose from, and a button for a target of one's own.

    Signals
    -------
    image_chosen(key), target_chosen(name)
        The user chose another one.
    new_target_requested()
        The button was pressed.
    """

    image_chosen = Signal(str)
    target_chosen = Signal(str)
    new_target_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.images, self.targets = QComboBox(), QComboBox()
        for box in (self.images, self.targets):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        self.images.activated.connect(self._on_image)
        self.targets.activated.connect(self._on_target)
        add = QToolButton()
        add.setText("New…")
        add.setToolTip("Add a target of your own")
        add.clicked.connect(self.new_target_requested)
        line = QHBoxLayout()
        line.addWidget(self.targets, stretch=1)
        line.addWidget(add)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Image", self.images)
        form.addRow("Target", line)

    def show_images(self, images: Sequence[tuple[str, str]], chosen: str | None) -> None:
        """List images by key and name; the one with the key `chosen` is shown."""
        self.images.clear()
        for key, name in images:
            self.images.addItem(name, key)
        self.images.setCurrentIndex(self.images.findData(chosen))
        self.images.setEnabled(bool(images))

    def show_targets(self, targets: Sequence[Target], chosen: str) -> None:
        """List targets with their colors."""
        self.targets.clear()
        for target in targets:
            swatch = QPixmap(12, 12)
            swatch.fill(QColor(target.color))
            self.targets.addItem(QIcon(swatch), target.name, target.name)
        self.targets.setCurrentIndex(self.targets.findData(chosen))

    def _on_image(self, number: int) -> None:
        self.image_chosen.emit(self.images.itemData(number))

    def _on_target(self, number: int) -> None:
        self.target_chosen.emit(self.targets.itemData(number))

"""Lists of images and of targets."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QToolButton, QWidget

from sam2lora.targets import Target


class TargetSelector(QWidget):
    """Lists of images and targets, and a button that adds a target.

    Signals
    -------
    image_selected(image_id), target_selected(name)
        The user selected another one.
    new_target_requested()
        The user wants to add a target.
    """

    image_selected = Signal(str)
    target_selected = Signal(str)
    new_target_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.images, self.targets = QComboBox(), QComboBox()
        for box in (self.images, self.targets):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
        self.images.setToolTip("The image to segment; choosing one brings it to the front")
        self.targets.setToolTip("What is segmented (T, Shift+T)")
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

    def show_images(self, images: Sequence[tuple[str, str]], selected: str | None) -> None:
        """List images by id and name, and select one by its id."""
        self.images.clear()
        for image_id, name in images:
            self.images.addItem(name, image_id)
        self.images.setCurrentIndex(self.images.findData(selected))
        self.images.setEnabled(bool(images))

    def show_targets(self, targets: Sequence[Target], selected: str) -> None:
        """List targets with their colors, and select one by its name."""
        self.targets.clear()
        for target in targets:
            swatch = QPixmap(12, 12)
            swatch.fill(QColor(target.color))
            self.targets.addItem(QIcon(swatch), target.name, target.name)
        self.targets.setCurrentIndex(self.targets.findData(selected))

    def _on_image(self, number: int) -> None:
        self.image_selected.emit(self.images.itemData(number))

    def _on_target(self, number: int) -> None:
        self.target_selected.emit(self.targets.itemData(number))

"""A dialog for a target of the user's own."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_sam2lora.qt.widgets import Paragraph
from sam2lora.errors import TargetError
from sam2lora.targets import Target, all_targets, save_target

_INPUT_MODES = (
    ("Full field of view", "whole"),
    ("Tiled: fine structures", "tiles"),
    ("Cropped: small compact structures", "zoom"),
)


class NewTargetDialog(QDialog):
    """Asks for name, color and input mode; the target is saved for the command line too.

    Attributes
    ----------
    target
        The saved target; None until then.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("New target")
        self.target: Target | None = None
        self.name, self.input_mode = QLineEdit(), QComboBox()
        self.name.setPlaceholderText("lower case, such as drusen")
        for text, value in _INPUT_MODES:
            self.input_mode.addItem(text, value)
        self.convex = QCheckBox("Convex")
        self.convex.setToolTip(
            "Predictions get a smooth outline around their largest part, as for disc and cup, "
            "except at negative points. Not with tiles."
        )
        self.inside = QComboBox()
        self.inside.setToolTip(
            "The target that it lies in, as the cup in the disc: that one is found first, and "
            "nothing of this one lies outside."
        )
        self.inside.addItem("No other target", None)
        self.color = QPushButton("#911eb4")
        self.color.clicked.connect(self._choose_color)
        self.message = Paragraph()
        try:
            for known in all_targets():
                self.inside.addItem(known, known)
        except TargetError as error:
            self.message.setText(str(error))
        self._show_color()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow("Name", self.name)
        form.addRow("Color", self.color)
        form.addRow("Input mode", self.input_mode)
        form.addRow("Shape", self.convex)
        form.addRow("Lies in", self.inside)
        form.addRow(self.message)
        form.addRow(buttons)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)

    def accept(self) -> None:
        """Save the target, or show why that is impossible."""
        try:
            known = all_targets()
            taken = {one.label for one in known.values()}
            name = self.name.text().strip()
            if name in known:
                raise TargetError(f"A target named {name!r} already exists.")
            free = next((label for label in range(1, 256) if label not in taken), None)
            if free is None:
                raise TargetError("All 255 label values are taken.")
            target = _checked(
                name=name,
                label=free,
                color=self.color.text(),
                detail=self.input_mode.currentData(),
                convex=self.convex.isChecked(),
                inside=self.inside.currentData(),
            )
            save_target(target)
        except TargetError as error:
            self.message.setText(str(error))
            return
        self.target = target
        super().accept()

    def _choose_color(self) -> None:
        chosen = QColorDialog.getColor(QColor(self.color.text()), self)
        if chosen.isValid():
            self.color.setText(chosen.name())
            self._show_color()

    def _show_color(self) -> None:
        self.color.setStyleSheet(f"border-left: 24px solid {self.color.text()};")


def _checked(**fields: object) -> Target:
    try:
        return Target.model_validate(fields)
    except ValueError as error:
        raise TargetError(
            f"{fields['name']!r} cannot be a target's name. Use lower-case letters, digits, - and "
            "_, with a letter first, at most 32."
        ) from error

"""What is segmented as soon as an image is shown."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget


class OpeningControls(QWidget):
    """A switch, and a box for each target.

    Signals
    -------
    changed()
        The user changed one of them.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.switch = QCheckBox("Segment on opening")
        self.switch.setToolTip(
            "Segment these targets as soon as an image is shown, and the next image of the list "
            "ahead. Targets that have a mask are left alone."
        )
        self._boxes: dict[str, QCheckBox] = {}
        self._line = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.switch)
        layout.addLayout(self._line)
        self.switch.clicked.connect(self._on_clicked)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets to segment; none while the switch is off."""
        on = self.switch.isChecked()
        return tuple(name for name, box in self._boxes.items() if on and box.isChecked())

    @property
    def checked(self) -> tuple[str, ...]:
        """The names of the checked targets, also while the switch is off."""
        return tuple(name for name, box in self._boxes.items() if box.isChecked())

    def show_state(self, *, on: bool, names: Sequence[str], checked: Sequence[str]) -> None:
        """Show the switch and the targets; a box stays as the user set it.

        Parameters
        ----------
        on
            Whether the switch is on.
        names, checked
            All targets, and which of those that are new are checked.
        """
        self.switch.setChecked(on)
        for name in [one for one in self._boxes if one not in names]:
            self._line.removeWidget(self._boxes[name])
            self._boxes.pop(name).deleteLater()
        for name in names:
            if name not in self._boxes:
                box = self._boxes[name] = QCheckBox(name)
                box.setToolTip(f"Segment {name} on opening")
                box.setChecked(name in checked)
                box.clicked.connect(self._on_clicked)
                self._line.addWidget(box)
        for box in self._boxes.values():
            box.setVisible(on)

    def _on_clicked(self) -> None:
        for box in self._boxes.values():
            box.setVisible(self.switch.isChecked())
        self.changed.emit()

"""Accept one target, all of them, or all of them and go on to the next image."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget


class AcceptButtons(QWidget):
    """Buttons that write predictions into masks.

    Signals
    -------
    accept_requested(), accept_all_requested(), finish_requested()
        Accept the target; all targets; all targets, mark the image as done and show the next one.
    """

    accept_requested = Signal()
    accept_all_requested = Signal()
    finish_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for text, tip, signal in (
            (
                "Accept",
                "Write the prediction into the target's mask (W); Ctrl+Z undoes it",
                self.accept_requested,
            ),
            (
                "Accept all",
                "Write the predictions of all targets into their masks (Shift+W)",
                self.accept_all_requested,
            ),
            (
                "Accept all, next",
                "Accept all, mark the image as done, and show the next one (D)",
                self.finish_requested,
            ),
        ):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(signal)
            layout.addWidget(button)

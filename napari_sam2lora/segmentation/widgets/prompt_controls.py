"""What a click on the image does, and how clicks are undone."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QPushButton, QWidget

from napari_sam2lora.layers.prompt_conversion import NEGATIVE, POSITIVE

_POINTS = (("+ Point", POSITIVE, True), ("− Point", NEGATIVE, False))


class PromptControls(QWidget):
    """Buttons for positive and negative points and for boxes.

    Signals
    -------
    point_requested(positive), box_requested()
        The next click sets a point, or draws a box.
    undo_requested(), clear_requested()
        Undo the last prompt, or remove all.
    use_mask_toggled(on)
        Whether the current mask is used as a prompt.
    """

    point_requested = Signal(bool)
    box_requested = Signal()
    undo_requested = Signal()
    clear_requested = Signal()
    use_mask_toggled = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._group = QButtonGroup(self)
        self._tools: dict[str, QPushButton] = {}
        for column, (text, color, positive) in enumerate(_POINTS):
            tool = self._tool(
                text, f"The next click is {'on' if positive else 'not on'} the target (Q switches)"
            )
            tool.setStyleSheet(f"QPushButton:checked {{ border: 2px solid {color}; }}")
            tool.clicked.connect(self._on_positive if positive else self._on_negative)
            layout.addWidget(tool, 0, column)
        box = self._tool("Box", "Draw a rectangle around the target (K)")
        box.clicked.connect(self.box_requested)
        layout.addWidget(box, 0, 2)
        undo, clear = QPushButton("Undo"), QPushButton("Clear")
        undo.setToolTip("Undo the last point or box (Ctrl+Z)")
        clear.setToolTip("Remove all points and the box of this target (N)")
        undo.clicked.connect(self.undo_requested)
        clear.clicked.connect(self.clear_requested)
        layout.addWidget(undo, 0, 3)
        layout.addWidget(clear, 0, 4)
        self.use_mask = QCheckBox("Use current mask as prompt")
        self.use_mask.setToolTip("The prediction starts from the target's mask as it is painted")
        self.use_mask.toggled.connect(self.use_mask_toggled)
        layout.addWidget(self.use_mask, 1, 0, 1, 5)

    def show_tool(self, tool: str | None, positive: bool) -> None:
        """Check the button of the active tool: "point", "box" or None."""
        texts = {"point": "+ Point" if positive else "− Point", "box": "Box"}
        active = self._tools.get(texts.get(tool or "", ""))
        self._group.setExclusive(False)
        for button in self._tools.values():
            button.setChecked(button is active)
        self._group.setExclusive(True)

    def _tool(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setCheckable(True)
        button.setToolTip(tip)
        self._group.addButton(button)
        self._tools[text] = button
        return button

    def _on_positive(self) -> None:
        self.point_requested.emit(True)

    def _on_negative(self) -> None:
        self.point_requested.emit(False)

"""What a click in the window means, and taking clicks back."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QPushButton, QWidget

from napari_sam2lora.layers.prompt_conversion import NEGATIVE, POSITIVE

_SIGNS = (("+ Point", POSITIVE, True), ("− Point", NEGATIVE, False))


class PromptControls(QWidget):
    """Buttons for points on and off the target and for boxes.

    Signals
    -------
    point_requested(positive), box_wanted()
        The next click is to set a point, or to draw a box.
    undo_requested(), clear_wanted()
        The last prompt, or all, are to be taken away.
    use_mask_toggled(on)
        Whether what is painted is where answers start from.
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
        for column, (text, color, positive) in enumerate(_SIGNS):
            made = self._tool(text, f"A click is {'on' if positive else 'off'} the target")
            made.setStyleSheet(f"QPushButton:checked {{ border: 2px solid {color}; }}")
            made.clicked.connect(self._on_positive if positive else self._on_negative)
            layout.addWidget(made, 0, column)
        box = self._tool("Box", "Draw a rectangle around the target")
        box.clicked.connect(self.box_requested)
        layout.addWidget(box, 0, 2)
        undo, clear = QPushButton("Undo"), QPushButton("Clear")
        undo.setToolTip("Take the last point or box back (Ctrl+Z)")
        clear.setToolTip("Take all points and the box of this target away (N)")
        undo.clicked.connect(self.undo_requested)
        clear.clicked.connect(self.clear_requested)
        layout.addWidget(undo, 0, 3)
        layout.addWidget(clear, 0, 4)
        self.painted = QCheckBox("Start from what is painted")
        self.painted.setToolTip("The target's mask as painted is where the answer starts from.")
        self.painted.toggled.connect(self.use_mask_toggled)
        layout.addWidget(self.painted, 1, 0, 1, 5)

    def show_tool(self, tool: str | None, positive: bool) -> None:
        """Show which tool is in use: "point", "box" or none."""
        texts = {"point": "+ Point" if positive else "− Point", "box": "Box"}
        chosen = self._tools.get(texts.get(tool or "", ""))
        self._group.setExclusive(False)
        for made in self._tools.values():
            made.setChecked(made is chosen)
        self._group.setExclusive(True)

    def _tool(self, text: str, tip: str) -> QPushButton:
        made = QPushButton(text)
        made.setCheckable(True)
        made.setToolTip(tip)
        self._group.addButton(made)
        self._tools[text] = made
        return made

    def _on_positive(self) -> None:
        self.point_requested.emit(True)

    def _on_negative(self) -> None:
        self.point_requested.emit(False)

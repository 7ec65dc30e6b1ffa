"""What a click on the image does, and how clicks are undone."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QPushButton, QWidget

from napari_sam2lora.layers.prompt_conversion import NEGATIVE, POSITIVE

_POINTS = (("+ Point", POSITIVE, True), ("− Point", NEGATIVE, False))
_POINT_TIP = "The target is a point: + Point sets it by a click, and it can be dragged (U)"


class PromptControls(QWidget):
    """Buttons for positive and negative points, branches, boxes and outlines.

    Signals
    -------
    point_requested(positive), branch_requested(), box_requested()
        The next click sets a point, or adds or removes a branch, or draws a box.
    outline_requested()
        An ellipse is to be dragged to the target's outline.
    undo_requested(), clear_requested()
        Undo the last prompt, or remove all.
    use_mask_toggled(on)
        Whether the current mask is used as a prompt.
    """

    point_requested = Signal(bool)
    branch_requested = Signal()
    box_requested = Signal()
    outline_requested = Signal()
    undo_requested = Signal()
    clear_requested = Signal()
    use_mask_toggled = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._group = QButtonGroup(self)
        self._tools: dict[str, QPushButton] = {}
        self._tips: dict[str, str] = {}
        for column, (text, color, positive) in enumerate(_POINTS):
            tool = self._tool(
                text, f"The next click is {'on' if positive else 'not on'} the target (Q switches)"
            )
            tool.setStyleSheet(f"QPushButton:checked {{ border: 2px solid {color}; }}")
            tool.clicked.connect(self._on_positive if positive else self._on_negative)
            layout.addWidget(tool, 0, column)
        for column, (text, tip, signal) in enumerate(
            (
                ("Box", "Draw a rectangle around the target (K)", self.box_requested),
                (
                    "Branch",
                    "A click adds the branch from there to the tree, or removes a false one up to "
                    "its fork; a drag is many clicks (B; Q switches between adding and removing)",
                    self.branch_requested,
                ),
                (
                    "Outline",
                    "Drag an ellipse to the target's outline, by its handles (O)",
                    self.outline_requested,
                ),
            ),
            start=2,
        ):
            tool = self._tool(text, tip)
            tool.clicked.connect(signal)
            layout.addWidget(tool, 0, column)
        undo, clear = QPushButton("Undo"), QPushButton("Clear")
        undo.setToolTip(
            "Undo the last point, branch, box or change of the outline since Accept (Ctrl+Z)"
        )
        clear.setToolTip("Remove all points, the box and the outline of this target (N)")
        undo.clicked.connect(self.undo_requested)
        clear.clicked.connect(self.clear_requested)
        layout.addWidget(undo, 1, 0)
        layout.addWidget(clear, 1, 1)
        self.use_mask = QCheckBox("Use current mask as prompt")
        self.use_mask.setToolTip("The prediction starts from the target's mask as it is painted")
        self.use_mask.toggled.connect(self.use_mask_toggled)
        layout.addWidget(self.use_mask, 1, 2, 1, 3)

    def show_tool(self, tool: str | None, positive: bool) -> None:
        """Check the button of the active tool: "point", "branch", "box", "outline" or None."""
        texts = {
            "point": "+ Point" if positive else "− Point",
            "branch": "Branch",
            "box": "Box",
            "outline": "Outline",
        }
        active = self._tools.get(texts.get(tool or "", ""))
        self._group.setExclusive(False)
        for button in self._tools.values():
            button.setChecked(button is active)
        self._group.setExclusive(True)

    def show_target(self, *, fine: bool, point: bool = False) -> None:
        """Enable the tools of a target: branches of fine structures, the outline of others.

        A target that is a point has but the click that sets it.
        """
        for text, button in self._tools.items():
            button.setToolTip(_POINT_TIP if point else self._tips[text])
            button.setEnabled(text == "+ Point" or not point)
        if not point:
            self._tools["Branch"].setEnabled(fine)
            self._tools["Outline"].setEnabled(not fine)
        self.use_mask.setEnabled(not point)

    def _tool(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setCheckable(True)
        button.setToolTip(tip)
        self._group.addButton(button)
        self._tools[text], self._tips[text] = button, tip
        return button

    def _on_positive(self) -> None:
        self.point_requested.emit(True)

    def _on_negative(self) -> None:
        self.point_requested.emit(False)

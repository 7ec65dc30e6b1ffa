"""Which files to segment, where to, and a table of what became of each."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.qt.widgets import Paragraph, button, row


class BatchPanel(QWidget):
    """Images, a folder for the masks, targets, and the results.

    Signals
    -------
    run_requested(), stop_wanted(), command_wanted()
        Segment the files, stop that, or put the command that does so on the clipboard.
    """

    run_requested = Signal()
    stop_requested = Signal()
    command_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.images: tuple[str, ...] = ()
        self.images_shown, self.out = QLineEdit(), QLineEdit()
        self.images_shown.setReadOnly(True)
        self.images_shown.setPlaceholderText("images")
        self.out.setPlaceholderText("folder for the masks")
        self.probabilities = QCheckBox("Write probabilities as well")
        self.keep = QCheckBox("Keep masks that are there already")
        self.keep.setToolTip("Without this they are replaced, with what was corrected in them")
        self.keep.setChecked(True)
        self._targets = QHBoxLayout()
        self._boxes: dict[str, QCheckBox] = {}
        self.run, self.stop = QPushButton("Segment files"), QPushButton("Stop")
        self.stop.setToolTip("Stop the files alone; masks that are written by then stay")
        self.stop.setEnabled(False)
        self.stop.clicked.connect(self.stop_requested)
        copy = QPushButton("Copy as command")
        self.run.clicked.connect(self.run_requested)
        copy.clicked.connect(self.command_requested)
        self.words = Paragraph()
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels(["image", "result"])
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.table.verticalHeader().hide()
        self.table.setMinimumHeight(140)
        grid = QGridLayout()
        grid.addWidget(self.images_shown, 0, 0)
        grid.addWidget(button("Folder…", self._ask_for_folder), 0, 1)
        grid.addWidget(button("Files…", self._ask_for_files), 0, 2)
        grid.addWidget(self.out, 1, 0)
        grid.addWidget(button("Into…", self._ask_where_to), 1, 1, 1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.addLayout(grid)
        layout.addLayout(self._targets)
        layout.addWidget(self.probabilities)
        layout.addWidget(self.keep)
        layout.addLayout(row(self.run, self.stop, copy))
        layout.addWidget(self.words)
        layout.addWidget(self.table)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets that are ticked."""
        return tuple(name for name, box in self._boxes.items() if box.isChecked())

    def show_targets(self, names: Sequence[str], ticked: str) -> None:
        """Let these be ticked; the first time, one is."""
        for name in [one for one in self._boxes if one not in names]:
            self._targets.removeWidget(self._boxes[name])
            self._boxes.pop(name).deleteLater()
        for name in names:
            if name not in self._boxes:
                box = self._boxes[name] = QCheckBox(name)
                box.setChecked(name == ticked)
                self._targets.addWidget(box)

    def show_images(self, images: Sequence[str]) -> None:
        """Take these files or folders."""
        self.images = tuple(images)
        self.images_shown.setText(", ".join(images))

    def start(self) -> None:
        """Empty the table."""
        self.table.setRowCount(0)
        self.words.setText("")
        self.show_busy(True)

    def show_busy(self, busy: bool) -> None:
        """Let files be segmented, or that be stopped."""
        self.run.setEnabled(not busy)
        self.stop.setEnabled(busy)

    def add_result(self, image: str, words: str, path: str) -> None:
        """Add what became of one image."""
        number = self.table.rowCount()
        self.table.insertRow(number)
        for column, text in enumerate((image, words)):
            item = QTableWidgetItem(text)
            item.setToolTip(f"{path}: {words}")
            self.table.setItem(number, column, item)
        self.table.scrollToBottom()

    def _ask_for_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Segment the images of a folder")
        if folder:
            self.show_images([folder])

    def _ask_for_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Segment images")
        if files:
            self.show_images(files)

    def _ask_where_to(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the masks")
        if folder:
            self.out.setText(folder)

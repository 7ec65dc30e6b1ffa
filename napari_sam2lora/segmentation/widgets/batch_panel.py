"""The files to segment, their output folder, and a table of the results."""

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
    """Images, output folder, targets, options, and a table of results.

    Signals
    -------
    run_requested(), stop_requested(), command_requested()
        Segment the files, stop, or copy the command that does the same.
    """

    run_requested = Signal()
    stop_requested = Signal()
    command_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.images: tuple[str, ...] = ()
        self.images_shown, self.out = QLineEdit(), QLineEdit()
        self.images_shown.setReadOnly(True)
        self.images_shown.setPlaceholderText("Images")
        self.out.setPlaceholderText("Output folder")
        self.probabilities = QCheckBox("Save probability maps")
        self.keep = QCheckBox("Skip existing masks")
        self.keep.setToolTip("Otherwise existing masks are replaced, corrections included")
        self.keep.setChecked(True)
        self._targets = QHBoxLayout()
        self._boxes: dict[str, QCheckBox] = {}
        self.run, self.stop = QPushButton("Segment files"), QPushButton("Stop")
        self.stop.setToolTip("Stop the batch only; masks that are already written stay")
        self.stop.setEnabled(False)
        self.stop.clicked.connect(self.stop_requested)
        copy = QPushButton("Copy as command")
        copy.setToolTip("Copy the command line that segments the same files")
        self.run.setToolTip("Segment all of these images, and write their masks")
        self.probabilities.setToolTip("Also write the probability of each pixel")
        self.images_shown.setToolTip("The images to segment")
        self.out.setToolTip("The folder in which the masks are written")
        self.run.clicked.connect(self.run_requested)
        copy.clicked.connect(self.command_requested)
        self.message = Paragraph()
        self.table = QTableWidget(0, 2)
        self.table.setHorizontalHeaderLabels(["Image", "Result"])
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.table.verticalHeader().hide()
        self.table.setMinimumHeight(140)
        grid = QGridLayout()
        grid.addWidget(self.images_shown, 0, 0)
        grid.addWidget(button("Folder…", self._ask_for_folder, tip="Choose a folder"), 0, 1)
        grid.addWidget(button("Files…", self._ask_for_files, tip="Choose images"), 0, 2)
        grid.addWidget(self.out, 1, 0)
        grid.addWidget(
            button("Output folder…", self._ask_for_output, tip="Choose the folder for the masks"),
            1,
            1,
            1,
            2,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 0, 0)
        layout.addLayout(grid)
        layout.addLayout(self._targets)
        layout.addWidget(self.probabilities)
        layout.addWidget(self.keep)
        layout.addLayout(row(self.run, self.stop, copy))
        layout.addWidget(self.message)
        layout.addWidget(self.table)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the selected targets."""
        return tuple(name for name, box in self._boxes.items() if box.isChecked())

    def show_targets(self, names: Sequence[str], selected: str) -> None:
        """List targets; of new ones, `selected` is checked."""
        for name in [one for one in self._boxes if one not in names]:
            self._targets.removeWidget(self._boxes[name])
            self._boxes.pop(name).deleteLater()
        for name in names:
            if name not in self._boxes:
                box = self._boxes[name] = QCheckBox(name)
                box.setChecked(name == selected)
                box.setToolTip(f"Segment {name} in the files")
                self._targets.addWidget(box)

    def show_images(self, images: Sequence[str]) -> None:
        """Set the files or folders to segment."""
        self.images = tuple(images)
        self.images_shown.setText(", ".join(images))

    def start(self) -> None:
        """Clear the table, and show that the batch runs."""
        self.table.setRowCount(0)
        self.message.setText("")
        self.show_busy(True)

    def show_busy(self, busy: bool) -> None:
        """Enable Segment files while idle, and Stop while busy."""
        self.run.setEnabled(not busy)
        self.stop.setEnabled(busy)

    def add_result(self, image: str, text: str, path: str) -> None:
        """Add the row of one image; its path is the tool tip."""
        number = self.table.rowCount()
        self.table.insertRow(number)
        for column, cell in enumerate((image, text)):
            item = QTableWidgetItem(cell)
            item.setToolTip(f"{path}: {text}")
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

    def _ask_for_output(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the masks")
        if folder:
            self.out.setText(folder)

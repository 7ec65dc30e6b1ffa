"""The previews of a validation image, with the prediction at each validation."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QImageReader, QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget

from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.widgets import Paragraph

_LARGEST = 1024  # pixels of the longer side that are decoded
_HEIGHT = 220  # pixels of the picture, beside which a laptop has room for the curves


class ValidationPreviews(QWidget):
    """Shows one preview: the latest, unless the user moves the slider back."""

    def __init__(self) -> None:
        super().__init__()
        self._pictures: list[tuple[int, Path]] = []
        self._pixmap = QPixmap()
        self._shown: Path | None = None
        self._picture = _Picture()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self._caption = Paragraph()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setToolTip("Show the preview of an earlier validation")
        self._slider.valueChanged.connect(self._show)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._picture, stretch=1)
        layout.addWidget(self._slider)
        layout.addWidget(self._caption)
        self.hide()

    def show_pictures(self, pictures: Sequence[tuple[int, Path]]) -> None:
        """Show the previews of a run: step and file of each, in their order."""
        if list(pictures) == self._pictures:
            return
        at_end = self._slider.value() >= len(self._pictures) - 1
        same_run = self._pictures == list(pictures)[: len(self._pictures)]
        self._pictures = list(pictures)
        self.setVisible(bool(self._pictures))
        last = max(0, len(self._pictures) - 1)
        self._slider.blockSignals(True)
        self._slider.setRange(0, last)
        if at_end or not same_run:
            self._slider.setValue(last)
        self._slider.blockSignals(False)
        self._slider.setVisible(last > 0)
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Scale the preview to the size of the widget."""
        super().resizeEvent(event)
        self._fit()

    def _show(self) -> None:
        if not self._pictures:
            self._shown, self._pixmap = None, QPixmap()
            return
        step, path = self._pictures[self._slider.value()]
        if path != self._shown:
            self._shown = path
            in_background(self, partial(_read, path), partial(self._on_read, step, path))

    def _on_read(self, step: int, path: Path, image: QImage) -> None:
        if path != self._shown:
            return
        self._pixmap = QPixmap.fromImage(image)
        self._caption.setText(
            f"Step {step}: right (green), wrong (red), missed (blue)"
            if not image.isNull()
            else f"Step {step}: the preview no longer exists."
        )
        self._fit()

    def _fit(self) -> None:
        if not self._pixmap.isNull():
            keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode
            self._picture.setPixmap(
                self._pixmap.scaled(self._picture.size(), keep, smooth.SmoothTransformation)
            )


class _Picture(QLabel):
    """A label whose height does not follow the picture that is scaled to it."""

    def sizeHint(self) -> QSize:
        return QSize(0, _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()


def _read(path: Path) -> QImage:
    """Decode an image no larger than a dock can show, on a worker thread: it may take long."""
    reader = QImageReader(str(path))
    size = reader.size()
    if max(size.width(), size.height()) > _LARGEST:
        largest = QSize(_LARGEST, _LARGEST)
        reader.setScaledSize(size.scaled(largest, Qt.AspectRatioMode.KeepAspectRatio))
    return reader.read()

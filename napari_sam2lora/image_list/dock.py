"""The image list: a dock to go through the images of a folder, and to see which are done."""

from datetime import datetime
from pathlib import Path

from napari.utils.events import Event
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QTimer, QUrl
from qtpy.QtGui import QDesktopServices, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora._settings import preferences
from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.close_guard import CloseGuard
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, button, row
from sam2lora.errors import Sam2LoraError
from sam2lora.utils.files import make_folder

TITLE = "Image list (SAM2-LoRA fundus)"
"""What napari calls the dock; under this name its menu entries find one that is open."""

_LOOK_AGAIN = 60  # seconds after which the Preferences are read again while autosave is off

_EMPTY = "Open a folder of fundus images, or drop one on the window."


def open_once_shown(viewer: Viewer, folder: Path) -> None:
    """Open the image list of a viewer as soon as an image of `folder` comes into it.

    A reader does not know which viewer will get its layers, so that it cannot open the list itself.
    """

    def watch(event: Event) -> None:
        if plugin_metadata(event.value.metadata).get("listed_in") == str(folder):
            viewer.layers.events.inserted.disconnect(watch)
            docks = viewer.window.dock_widgets.values()
            if not any(isinstance(dock, ImageListDock) for dock in docks):
                viewer.window.add_dock_widget(ImageListDock(viewer), name=TITLE, area="right")

    viewer.layers.events.inserted.connect(watch)


class ImageListDock(QWidget):
    """The images of the folder that was opened last in this viewer.

    Parameters
    ----------
    napari_viewer
        Its viewer; another viewer has a list of its own.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._images: ImageList | None = None
        self._closing = CloseGuard(self, self._may_close)
        self._trouble = ""
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._autosave)
        events = self._viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removing.connect(self._on_removing)
        for about in [plugin_metadata(layer.metadata) for layer in self._viewer.layers]:
            if about.get("listed_in"):
                self._follow(about["listed_in"], about["path"])
        self._refresh()
        self._wait()

    @property
    def images(self) -> ImageList | None:
        """The list that is shown; None before a folder was opened."""
        return self._images

    def open(self, folder: Path) -> None:
        """List a folder, and show its first image."""
        with show_user_errors():
            images = ImageList(self._viewer, folder)
            if self._images is not None:
                self._images.leave()
            self._images = images
            images.go(0)
        self._refresh()

    def go(self, number: int) -> None:
        """Show another image, if what was painted can be saved; else say why not."""
        images = self._images
        if images is None or number not in range(len(images.images)):
            return
        if number == images.current:
            return
        with show_user_errors():
            images.go(number)
            self._trouble = ""
        self._refresh()

    def step(self, by: int) -> None:
        """Show the image that many places further on; at either end nothing happens."""
        if self._images is not None and self._images.current is not None:
            self.go(self._images.current + by)

    def discard(self) -> None:
        """Go back to the masks the present image came with."""
        if self._images is not None:
            with show_user_errors():
                self._images.forget()
                self._trouble = ""
        self._refresh()

    def save(self) -> bool:
        """Save what was painted. A reason why it cannot be is shown once, and stays in the dock."""
        if self._images is None:
            return True
        try:
            saved = self._images.save()
        except Sam2LoraError as error:
            if str(error) != self._trouble:
                show_error(str(error))
            self._trouble = str(error)
            self._state.setText(f"Not saved: {error}")
            return False
        self._trouble = ""
        if saved:
            self._refresh()
            self._state.setText(f"Saved {', '.join(saved)} at {datetime.now():%H:%M:%S}.")
        return True

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the main window, to save before it closes."""
        super().showEvent(event)
        self._closing.refresh()

    def _may_close(self) -> bool:
        """Save; where that fails, closing is for the user to decide."""
        return self.save() or self._asked(f"{self._trouble} Close all the same?")

    def changeEvent(self, event: QEvent) -> None:
        """Save and let go of the viewer when the dock is taken out of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.save()
            self._timer.stop()
            self._viewer.layers.events.inserted.disconnect(self._on_inserted)
            self._viewer.layers.events.removing.disconnect(self._on_removing)

    def _build(self) -> None:
        self._title = Paragraph()
        self._list = QListWidget()
        self._list.itemClicked.connect(self._on_row)
        self._list.itemActivated.connect(self._on_row)
        self._previous = button("Previous", self._on_previous, keys="Ctrl+PgUp")
        self._next = button("Next", self._on_next, keys="Ctrl+PgDown")
        self._done = QCheckBox("This image is done")
        self._done.clicked.connect(self._tick)
        self._discard = button(
            "Discard corrections…",
            self._ask_to_discard,
            tip="Delete what you painted, and show the data set's masks again.",
        )
        self._kept = button(
            "Show corrections",
            self._open_corrections,
            tip="Open the folder in which what you paint is kept.",
        )
        self._state = Paragraph()
        layout = QVBoxLayout(self)
        layout.addWidget(button("Open folder…", self._ask_for_folder))
        layout.addWidget(self._title)
        layout.addWidget(self._list, stretch=1)
        layout.addLayout(row(self._previous, self._next))
        layout.addWidget(self._done)
        layout.addLayout(row(self._discard, self._kept))
        layout.addWidget(self._state)

    def _on_row(self, item: QListWidgetItem) -> None:
        self.go(self._list.row(item))

    def _on_previous(self) -> None:
        self.step(-1)

    def _on_next(self) -> None:
        self.step(1)

    def _on_removing(self, event: Event) -> None:
        """Save a mask that is taken out of the viewer, by hand or because the viewer closes."""
        if "target" in plugin_metadata(self._viewer.layers[event.index].metadata):
            self.save()

    def _on_inserted(self, event: Event) -> None:
        about = plugin_metadata(event.value.metadata)
        if about.get("listed_in"):
            self._follow(about["listed_in"], about["path"])
            self._refresh()

    def _follow(self, folder: str, path: str) -> None:
        """Make the list that of an image that came into the viewer, and the image the present one.

        Where the image was there already, both copies stay: which is right is for the user to say.
        """
        with show_user_errors():
            images = self._images
            if images is None or str(images.folder) != folder:
                new = ImageList(self._viewer, Path(folder))
                if images is not None and images.path != path:
                    images.leave()
                self._images = images = new
            number = images.find(path)
            if number is not None:
                images.adopt(number)

    def _refresh(self) -> None:
        """Show the list as it is now."""
        images = self._images
        there = images is not None and images.current is not None
        for widget in (self._previous, self._next, self._done, self._discard, self._kept):
            widget.setEnabled(there)
        if images is None:
            self._title.setText(_EMPTY)
            return
        with show_user_errors():
            done = images.corrections.done()
            self._list.clear()
            for photograph in images.images:
                corrected = images.corrections.corrected(photograph.stem)
                self._list.addItem(_item(photograph.stem, photograph.stem in done, corrected))
            self._title.setText(
                f"{images.source.stem}: {len(images.images)} images, {len(done)} done"
            )
            if images.current is not None:
                self._list.setCurrentRow(images.current)
                self._done.setChecked(images.images[images.current].stem in done)
                self._previous.setEnabled(images.current > 0)
                self._next.setEnabled(images.current + 1 < len(images.images))
        if not self._trouble:
            self._state.setText("")

    def _tick(self, done: bool) -> None:
        if self._images is not None and self._images.current is not None:
            with show_user_errors():
                self._images.set_done(self._images.current, done)
        self._refresh()

    def _autosave(self) -> None:
        if preferences().autosave_seconds:
            self.save()
        self._wait()

    def _wait(self) -> None:
        """Save again after as long as the Preferences say now."""
        seconds = preferences().autosave_seconds
        self._timer.start(1000 * (seconds or _LOOK_AGAIN))

    def _ask_to_discard(self) -> None:
        if self._asked("Delete what you painted into this image, and show the masks it came with?"):
            self.discard()

    def _asked(self, question: str) -> bool:
        answer = QMessageBox.question(self, TITLE, question)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _ask_for_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a folder of fundus images")
        if folder:
            self.open(Path(folder))

    def _open_corrections(self) -> None:
        if self._images is not None:
            with show_user_errors():
                folder = make_folder(self._images.corrections.folder)
                QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _item(stem: str, done: bool, corrected: bool) -> QListWidgetItem:
    item = QListWidgetItem(f"{stem}{' ✓' if done else ''}{' •' if corrected else ''}")
    words = [word for word, holds in (("done", done), ("corrected", corrected)) if holds]
    item.setToolTip(f"{stem}: {', '.join(words) or 'not looked at'}")
    return item

"""The Image list dock: step through the images of a folder, and see which are done."""

from datetime import datetime
from pathlib import Path

from napari.utils.events import Event
from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QTimer, QUrl
from qtpy.QtGui import QDesktopServices, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
)

from napari_sam2lora._settings import preferences
from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.layers.list_rows import LayerRows
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.close_guard import CloseGuard
from napari_sam2lora.qt.dock import Dock, main_window
from napari_sam2lora.qt.dock_protocol import NextImage, open_segment_dock
from napari_sam2lora.qt.notifications import notify, show_user_errors
from napari_sam2lora.qt.widgets import MessageArea, Paragraph, button, column, row
from sam2lora.errors import Sam2LoraError
from sam2lora.utils.files import make_folder

TITLE = "Image list (SAM2-LoRA fundus)"
"""napari's name of the dock, by which its menu entries find an open one."""

_RECHECK = 60  # seconds after which the Preferences are read again while autosave is off

_PREVIOUS, _NEXT = "Ctrl+PgUp", "Ctrl+PgDown"
_LIST_HEIGHT = 120  # pixels, at least

_EMPTY = "Open a folder of fundus images, or drop one onto the window."


def open_once_shown(viewer: Viewer, folder: Path) -> None:
    """Open the image list of a viewer as soon as an image of `folder` is added to it.

    A reader cannot open the list itself, since it does not know which viewer gets its layers.
    """

    def watch(event: Event) -> None:
        if plugin_metadata(event.value.metadata).get("listed_in") == str(folder):
            viewer.layers.events.inserted.disconnect(watch)
            docks = viewer.window.dock_widgets.values()
            if not any(isinstance(dock, ImageListDock) for dock in docks):
                dock = ImageListDock(viewer)
                dock.keep_in_view()
                viewer.window.add_dock_widget(dock, name=TITLE, area="right")
                if preferences().segment_on_opening:
                    open_segment_dock(viewer)

    viewer.layers.events.inserted.connect(watch)


class ImageListDock(Dock):
    """Dock with the images of the folder that was opened last in its viewer.

    Parameters
    ----------
    napari_viewer
        The viewer; each viewer has its own list.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._viewer = napari_viewer
        self._images: ImageList | None = None
        self._close_guard = CloseGuard(self, self._may_close)
        self._rows = LayerRows(napari_viewer)
        self._save_error = ""
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._autosave)
        events = self._viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removing.connect(self._on_removing)
        for metadata in [plugin_metadata(layer.metadata) for layer in self._viewer.layers]:
            if metadata.get("listed_in"):
                self._adopt(metadata["listed_in"], metadata["path"])
        self._refresh()
        self._start_timer()

    @property
    def images(self) -> ImageList | None:
        """The image list; None before a folder was opened."""
        return self._images

    def open(self, folder: Path) -> None:
        """List a folder, and show its first image."""
        with show_user_errors(self):
            images = self._list_folder(folder)
            images.go(images.start, after=self._images)
            self._images = images
        self._refresh()

    def go(self, number: int) -> None:
        """Show another image once painted masks are saved; if they cannot be, show the error."""
        images = self._images
        if images is None or number not in range(len(images.images)):
            return
        if number == images.current:
            return
        with show_user_errors(self):
            images.go(number)
            self._save_error = ""
        self._refresh()

    def step(self, by: int) -> None:
        """Show the image `by` rows further down; beyond either end, nothing happens."""
        number = self._beside(by)
        if number is not None:
            self.go(number)

    def next_image(self, image: str) -> NextImage | None:
        """Return the image after the current one; None at the end, or if that is another one."""
        images = self._images
        return None if images is None or images.path != image else images.next_image()

    def finish_image(self, image: str) -> bool:
        """Mark the current image as done, and show the next one that is left.

        Parameters
        ----------
        image
            Id of the image.

        Returns
        -------
        Whether it is the current one; of another one, nothing changes.
        """
        images = self._images
        if images is None or images.current is None or images.path != image:
            return False
        with show_user_errors(self):
            images.set_done(images.current, True)
            following = self._beside(1)
            if following is None:
                show_info("That was the last image of the list.")
            else:
                images.go(following)
        self._refresh()
        return True

    def note_confidence(self, image: str, target: str, confidence: float | None) -> None:
        """Remember and show how sure a prediction is; the order stays until it is chosen again."""
        images = self._images
        if images is None or image not in images.confidences:
            return
        images.note_confidence(image, target, confidence)
        self._refresh()

    def discard(self) -> None:
        """Delete the corrections of the current image, and show its original masks."""
        if self._images is not None:
            with show_user_errors(self):
                self._images.forget()
                self._save_error = ""
        self._refresh()

    def save(self) -> bool:
        """Save painted masks; return False if that fails.

        The same error is notified once only; it stays visible in the dock.
        """
        if self._images is None:
            return True
        try:
            saved = self._images.save()
        except Sam2LoraError as error:
            if str(error) != self._save_error:
                notify(str(error), self)
            self._save_error = str(error)
            self._state.setText(f"Not saved: {error}")
            return False
        self._save_error = ""
        if saved:
            self._refresh()
            named, folder = ", ".join(saved), self._images.corrections.folder
            self._state.setText(f"Saved {named} at {datetime.now():%H:%M:%S} in {folder.name}.")
            self.messages.add(f"Saved {named} in {folder}.")
        return True

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the main window, to save before it closes."""
        super().showEvent(event)
        self._close_guard.refresh()
        self._rows.follow(main_window(self))

    def _may_close(self) -> bool:
        """Save masks; if that fails, ask the user whether to close anyway."""
        return self.save() or self._confirm(f"{self._save_error} Close anyway?")

    def changeEvent(self, event: QEvent) -> None:
        """Save masks and disconnect from the viewer when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.save()
            self._rows.close()
            self._timer.stop()
            self._viewer.layers.events.inserted.disconnect(self._on_inserted)
            self._viewer.layers.events.removing.disconnect(self._on_removing)

    def _build(self) -> None:
        self._title = Paragraph()
        self._list = QListWidget()
        self._list.itemClicked.connect(self._on_row)
        self._list.itemActivated.connect(self._on_row)
        self._previous = button("Previous image", self._on_previous, keys=_PREVIOUS)
        self._next = button("Next image", self._on_next, keys=_NEXT)
        self.add_key(_PREVIOUS, self._on_previous)
        self.add_key(_NEXT, self._on_next)
        self._done = QCheckBox("Mark as done")
        self._done.clicked.connect(self._on_done)
        self._left = QCheckBox("Only images that are not done")
        self._left.setToolTip("Hide the images that are done; Next and Previous skip them")
        self._left.clicked.connect(self._on_left)
        self._least_sure = QCheckBox("Least sure first")
        self._least_sure.setToolTip(
            "Sort by the confidence of the predictions that are known: of this session, and of "
            "confidence.csv in the folder"
        )
        self._least_sure.clicked.connect(self._on_least_sure)
        self._done.setToolTip("Done images have a ✓; all their masks are saved")
        self._discard = button(
            "Discard corrections…",
            self._ask_to_discard,
            tip="Delete your corrections, and show the dataset's masks again.",
        )
        self._show_folder = button(
            "Show corrections",
            self._open_corrections,
            tip="Open the folder in which your corrections are saved.",
        )
        self._segment = button(
            "Segment…", self._on_segment, tip="Open the Segment dock, beside this one"
        )
        self._state = Paragraph()
        self._list.setMinimumHeight(_LIST_HEIGHT)
        self.fill(
            column(
                button(
                    "Open folder…",
                    self._ask_for_folder,
                    tip="List the images of a folder, and show the one you left",
                ),
                self._title,
                self._left,
                self._least_sure,
                self._list,
                row(self._discard, self._show_folder),
                stretch=self._list,
            ),
            above=None,
            below=column(
                row(self._previous, self._next),
                row(self._done, self._segment),
                MessageArea(self._state, lines=2),
            ),
        )

    def _beside(self, by: int) -> int | None:
        """Return the image `by` rows further that is not hidden; None beyond either end."""
        images = self._images
        if images is None or images.current is None:
            return None
        done = images.corrections.done() if self._left.isChecked() else set()
        number = images.current + by
        while number in range(len(images.images)) and images.images[number].stem in done:
            number += by
        return number if number in range(len(images.images)) else None

    def _on_segment(self) -> None:
        open_segment_dock(self._viewer)

    def _on_left(self) -> None:
        self._refresh()

    def _on_least_sure(self, on: bool) -> None:
        if self._images is not None:
            self._images.sort(least_sure_first=on)
        self._refresh()

    def _on_row(self, item: QListWidgetItem) -> None:
        self.go(self._list.row(item))

    def _on_previous(self) -> None:
        self.step(-1)

    def _on_next(self) -> None:
        self.step(1)

    def _on_removing(self, event: Event) -> None:
        """Save a mask that is removed from the viewer, by hand or because the viewer closes."""
        if "target" in plugin_metadata(self._viewer.layers[event.index].metadata):
            self.save()

    def _on_inserted(self, event: Event) -> None:
        metadata = plugin_metadata(event.value.metadata)
        if metadata.get("listed_in"):
            self._adopt(metadata["listed_in"], metadata["path"])
            self._refresh()

    def _adopt(self, folder: str, path: str) -> None:
        """List the folder of an image that was added to the viewer, and make the image current.

        If the image was open already, both copies stay; the user decides which one to keep.
        """
        with show_user_errors(self):
            images = self._images
            if images is None or str(images.folder) != folder:
                new = self._list_folder(Path(folder))
                if images is not None and images.path != path:
                    images.leave()
                self._images = images = new
            number = images.find(path)
            if number is not None:
                images.adopt(number)

    def _list_folder(self, folder: Path) -> ImageList:
        images = ImageList(self._viewer, folder)
        images.sort(least_sure_first=self._least_sure.isChecked())
        return images

    def _refresh(self) -> None:
        """Update the widgets from the image list."""
        images = self._images
        shown = images is not None and images.current is not None
        for widget in (self._previous, self._next, self._done, self._discard, self._show_folder):
            widget.setEnabled(shown)
        if images is None:
            self._title.setText(_EMPTY)
            return
        with show_user_errors(self):
            done = images.corrections.done()
            self._list.clear()
            for image_file in images.images:
                corrected = images.corrections.corrected(image_file.stem)
                known = images.confidence(image_file)
                item = _item(image_file.stem, image_file.stem in done, corrected, known)
                self._list.addItem(item)
                item.setHidden(self._left.isChecked() and image_file.stem in done)
            self._title.setText(
                f"{images.source.stem}: {len(images.images)} images, {len(done)} done"
            )
            if images.current is not None:
                self._list.setCurrentRow(images.current)
                self._done.setChecked(images.images[images.current].stem in done)
                self._previous.setEnabled(self._beside(-1) is not None)
                self._next.setEnabled(self._beside(1) is not None)
        if not self._save_error:
            self._state.setText("")

    def _on_done(self, done: bool) -> None:
        if self._images is not None and self._images.current is not None:
            with show_user_errors(self):
                self._images.set_done(self._images.current, done)
        self._refresh()

    def _autosave(self) -> None:
        if preferences().autosave_seconds:
            self.save()
        self._start_timer()

    def _start_timer(self) -> None:
        """Save again after the interval that the Preferences have now."""
        seconds = preferences().autosave_seconds
        self._timer.start(1000 * (seconds or _RECHECK))

    def _ask_to_discard(self) -> None:
        if self._confirm("Delete your corrections of this image, and show its original masks?"):
            self.discard()

    def _confirm(self, question: str) -> bool:
        choice = QMessageBox.question(self, TITLE, question)
        return bool(choice == QMessageBox.StandardButton.Yes)

    def _ask_for_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a folder of fundus images")
        if folder:
            self.open(Path(folder))

    def _open_corrections(self) -> None:
        if self._images is not None:
            with show_user_errors(self):
                folder = make_folder(self._images.corrections.folder)
                QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _item(stem: str, done: bool, corrected: bool, confidence: float | None) -> QListWidgetItem:
    sure = "" if confidence is None else f" {confidence:.2f}"
    item = QListWidgetItem(f"{stem}{' ✓' if done else ''}{' •' if corrected else ''}{sure}")
    states = [state for state, holds in (("done", done), ("corrected", corrected)) if holds]
    states += [f"confidence{sure}"] if sure else []
    item.setToolTip(f"{stem}: {', '.join(states) or 'not done'}")
    return item

"""Create, open and complete sessions: dialogs, and the work on files in the background."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_sam2lora.grading.start_panel import StartPanel
from napari_sam2lora.qt.background import in_background
from napari_sam2lora.qt.notifications import notify, show_user_errors
from sam2lora.errors import Sam2LoraError
from sam2lora.grading import GradingSession, list_sources, locate

_LISTED = 3  # missing images that are named


class SessionOpener(QObject):
    """Creates and opens sessions as the start panel asks for them.

    Parameters
    ----------
    panel
        The panel.
    parent
        Parent of the dialogs, and of this object.

    Signals
    -------
    opened(session)
        A session was opened or created.
    """

    opened = Signal(object)

    def __init__(self, panel: StartPanel, parent: QWidget) -> None:
        super().__init__(parent)
        self._panel, self._parent = panel, parent
        self.session: GradingSession | None = None
        panel.new_requested.connect(self._ask_for_images)
        panel.open_requested.connect(self._ask_for_session)
        panel.locate_requested.connect(self._ask_where_to_look)

    def open(self, folder: Path) -> None:
        """Open the session in a folder."""
        with show_user_errors(self):
            self._show(GradingSession.open(folder))

    def create(self, images: Path, folder: Path) -> None:
        """Create a session in an empty folder; every image is read once, in the background.

        Parameters
        ----------
        images
            A folder, a data set, or a CSV file.
        folder
            The folder of the session.
        """
        self._in_background(
            "Reading the images…",
            lambda: GradingSession.create(folder, list_sources([images])),
        )

    def locate(self, folder: Path) -> None:
        """Look in a folder for the images that are missing, in the background."""
        session = self.session
        if session is not None:

            def look() -> GradingSession:
                locate(session, [folder])
                return session

            self._in_background("Looking for images…", look)

    def refresh(self) -> None:
        """Show the session again, as its graders or images may have changed."""
        if self.session is not None:
            with show_user_errors(self):
                self._show(self.session)

    def _in_background(self, text: str, work: Callable[[], GradingSession]) -> None:
        def failed(error: Sam2LoraError) -> None:
            self._panel.about.setText(str(error))
            notify(str(error), self)

        self._panel.show_busy(text)
        in_background(self, work, self._show, failed, lambda: self._panel.show_busy(""))

    def _show(self, session: GradingSession) -> None:
        self.session = session
        missing = session.missing()
        lines = [f"{session.folder.name}: {len(session.images)} images."]
        if missing:
            names = ", ".join(image.stem for image in missing[:_LISTED])
            more = len(missing) - _LISTED
            lines.append(
                f"{len(missing)} are missing: {names}{f' and {more} more' if more > 0 else ''}. "
                "Locate them in another folder, or grade the others."
            )
        lines.append("Enter your name to start.")
        self._panel.show_session("\n".join(lines), session.graders(), missing=bool(missing))
        self.opened.emit(session)

    def _ask_for_images(self, table: bool) -> None:
        if table:
            chosen, _ = QFileDialog.getOpenFileName(
                self._parent, "Open a table of images", "", "CSV (*.csv)"
            )
        else:
            chosen = QFileDialog.getExistingDirectory(
                self._parent, "Open a folder of fundus images"
            )
        if not chosen:
            return
        folder = QFileDialog.getExistingDirectory(
            self._parent, "Create or choose an empty folder for the session"
        )
        if folder:
            self.create(Path(chosen), Path(folder))

    def _ask_for_session(self) -> None:
        folder = QFileDialog.getExistingDirectory(self._parent, "Open the folder of a session")
        if folder:
            self.open(Path(folder))

    def _ask_where_to_look(self) -> None:
        folder = QFileDialog.getExistingDirectory(self._parent, "Look for images in a folder")
        if folder:
            self.locate(Path(folder))

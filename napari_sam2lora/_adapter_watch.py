"""The adapters there are, and a word when they change, such as when a training has ended."""

from pathlib import Path

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from sam2lora.adapters import Adapter, adapters_folder, list_adapters

_SETTLED = 300  # milliseconds after the last change of the folder until it is read


class AdapterWatch(QObject):
    """The adapters of this computer.

    Parameters
    ----------
    parent
        What it lives as long as.

    Signals
    -------
    changed()
        Others are there now.

    Attributes
    ----------
    adapters
        The usable ones, by name.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.adapters: list[Adapter] = []
        self._watcher = QFileSystemWatcher(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLED)
        self._watcher.directoryChanged.connect(self._timer.start)
        self._timer.timeout.connect(self.look)

    def look(self) -> None:
        """List the adapters again.

        Raises
        ------
        OutputError
            If a replacement that was cut off cannot be mended.
        """
        folder = adapters_folder()
        # Where the folder is not there yet, it appears in the nearest one that is.
        watched = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
        if self._watcher.directories() != [str(watched)]:
            if self._watcher.directories():
                self._watcher.removePaths(self._watcher.directories())
            self._watcher.addPath(str(Path(watched)))
        found = list_adapters()
        if found != self.adapters:
            self.adapters = found
            self.changed.emit()

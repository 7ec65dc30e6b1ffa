"""Installed adapters: watch them for changes, describe and install them."""

import zipfile
from pathlib import Path, PurePosixPath

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from napari_sam2lora.qt.notifications import notify
from sam2lora.adapters import (
    Adapter,
    AdapterCard,
    adapters_folder,
    adopt_target,
    import_adapter,
    list_adapters,
)
from sam2lora.adapters.folder import CARD

_DELAY = 300  # milliseconds after the last change of the folder until it is read


class AdapterWatcher(QObject):
    """Watch the installed adapters.

    Parameters
    ----------
    parent
        Parent object.

    Signals
    -------
    changed()
        An adapter was installed, replaced or deleted.

    Attributes
    ----------
    adapters
        The usable adapters, sorted by name.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.adapters: list[Adapter] = []
        self._watcher = QFileSystemWatcher(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._watcher.directoryChanged.connect(self._timer.start)
        self._timer.timeout.connect(self.refresh)

    def refresh(self) -> None:
        """List the adapters again.

        Raises
        ------
        OutputError
            If an interrupted replacement of an adapter cannot be repaired.
        """
        folder = adapters_folder()
        # A folder that does not exist yet cannot be watched, but the nearest parent can.
        watched = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        if self._watcher.directories() != [str(watched)]:
            if self._watcher.directories():
                self._watcher.removePaths(self._watcher.directories())
            self._watcher.addPath(str(Path(watched)))
        found = list_adapters()
        if found != self.adapters:
            self.adapters = found
            self.changed.emit()


def dice_of(card: AdapterCard) -> str:
    """Describe an adapter's validation Dice, and that of its initial weights on the same images.

    The Dice of two adapters usually come from different images and cannot be compared.

    Returns
    -------
    Text such as `Dice 0.842 (before 0.713)`; empty if the Dice is unknown.
    """
    dice, before = (card.validation.get(name) for name in ("dice", "start_dice"))
    if not isinstance(dice, float):
        return ""
    return f"Dice {dice:.3f}" + (f" (before {before:.3f})" if isinstance(before, float) else "")


def is_adapter(path: Path) -> bool:
    """Check whether a folder or a `.zip` file has the card of an adapter; nothing else is read."""
    if path.is_dir():
        return (path / CARD).is_file()
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name == CARD for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):  # damaged: left to other readers
        return False


def import_and_notify(path: Path) -> Adapter:
    """Install an adapter from a folder or a `.zip` file, and notify the user of its purpose.

    Raises
    ------
    AdapterError
        If the adapter is damaged, or its name already exists.
    OutputError
        If it cannot be written.
    TargetError
        If its target is new, and there is no label value left for it.
    """
    adapter = import_adapter(path)
    card = adapter.card
    added = adopt_target(adapter)
    new = f" Its target is new and has label value {added.label}." if added else ""
    notify(
        f"The adapter {adapter.name} is installed. It segments {card.target.name} on the base "
        f"model {card.base.name}.{new} License: {card.license}. {card.notice}",
        kind="info",
    )
    return adapter

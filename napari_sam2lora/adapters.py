"""The adapters there are, and a word when they change, such as when a training has ended."""

import zipfile
from pathlib import Path, PurePosixPath

from napari.utils.notifications import show_info
from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from sam2lora.adapters import (
    Adapter,
    AdapterCard,
    adapters_folder,
    adopt_target,
    import_adapter,
    list_adapters,
)
from sam2lora.adapters.folder import CARD

_SETTLED = 300  # milliseconds after the last change of the folder until it is read


class AdapterWatcher(QObject):
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
        self._timer.timeout.connect(self.refresh)

    def refresh(self) -> None:
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


def dice_of(card: AdapterCard) -> str:
    """Say its validation Dice, beside that of what it started from on the same images.

    The Dice of two adapters are of different images, as a rule, and cannot be compared.

    Returns
    -------
    As `Dice 0.842 (before 0.713)`; empty where it is not known.
    """
    dice, before = (card.validation.get(name) for name in ("dice", "start_dice"))
    if not isinstance(dice, float):
        return ""
    return f"Dice {dice:.3f}" + (f" (before {before:.3f})" if isinstance(before, float) else "")


def is_adapter(path: Path) -> bool:
    """Tell whether a folder or a `.zip` file has the card of an adapter; nothing else is read."""
    if path.is_dir():
        return (path / CARD).is_file()
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name == CARD for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):  # damaged: whoever else reads it says so
        return False


def import_and_notify(path: Path) -> Adapter:
    """Install an adapter from a folder or a `.zip` file, and say in the viewer what it is for.

    Raises
    ------
    AdapterError
        If it is damaged, or one of its name is there already.
    OutputError
        If it cannot be written.
    TargetError
        If its target is new here, and there is no label value left for it.
    """
    adapter = import_adapter(path)
    card = adapter.card
    added = adopt_target(adapter)
    new = f" Its target is new here and has label value {added.label}." if added else ""
    show_info(
        f"The adapter {adapter.name} is installed. It segments {card.target.name} on the base "
        f"model {card.base.name}.{new} License: {card.license}. {card.notice}"
    )
    return adapter

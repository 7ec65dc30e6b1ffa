"""Adapters that are dropped onto napari: installed beside the user's others, without torch."""

import zipfile
from pathlib import Path, PurePosixPath

from napari.utils.notifications import show_info

from sam2lora.adapters import adopt_target, import_adapter
from sam2lora.adapters.folder import CARD, Adapter


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


def import_and_tell(path: Path) -> Adapter:
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

"""Adapters as one `.zip` file to share; a file that is imported is not trusted."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from sam2lora.adapters.folder import (
    CONFIG,
    FILES,
    HEAD,
    LARGEST_WEIGHTS,
    WEIGHTS,
    Adapter,
    open_adapter,
)
from sam2lora.adapters.store import install_adapter, open_adapter_or_run
from sam2lora.errors import AdapterError, OutputError
from sam2lora.utils.files import atomic_path, is_file, write_error
from sam2lora.utils.leftovers import remove_leftovers, temporary_name
from sam2lora.utils.zip_entries import MACOS_EXTRAS, check_entry, new_entry, unpacking

_MOST_ENTRIES = 32
_LARGEST_TEXT = 1 << 20  # bytes of a file that is not the tensors


def export_adapter(adapter: Adapter, path: Path, *, replace: bool = False) -> Path:
    """Write an adapter as a `.zip` file, whole or not at all.

    Parameters
    ----------
    adapter
        The adapter to write, under the name on its card.
    path
        The file to write, or a folder, in which `<name>.zip` is written.
    replace
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the file already exists, or cannot be written.
    AdapterError
        If the adapter is damaged.
    """
    if path.is_dir():
        path = path / f"{adapter.name}.zip"
    if path.exists() and not replace:
        raise OutputError(f"{path}: already exists. Choose another path, or use --replace.")
    checked = open_adapter(adapter.folder).renamed(adapter.name)
    # Only the two text files hold the name; the others are copied.
    card_files = checked.card_files()
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", compression=zipfile.ZIP_DEFLATED) as archive,
    ):
        for file, text in card_files.items():
            archive.writestr(new_entry(f"{checked.name}/{file}"), text)
        for file_path in (checked.folder / CONFIG, *checked.tensor_files):
            entry = new_entry(f"{checked.name}/{file_path.name}")
            entry.file_size = file_path.stat().st_size
            with file_path.open("rb") as source, archive.open(entry, "w") as copy:
                shutil.copyfileobj(source, copy)
    return path


def import_adapter(path: Path, *, name: str | None = None, replace: bool = False) -> Adapter:
    """Install an adapter from a `.zip` file or a folder.

    Parameters
    ----------
    path
        A `.zip` file as `export_adapter` writes it: the files of one adapter, at the top or inside
        one folder. Or the folder of an adapter; or a run folder, for its best adapter.
    name
        Name to install it under; by default the name on its card.
    replace
        Whether an installed adapter of that name may be replaced; one of the package may not.

    Raises
    ------
    AdapterError
        If the file is missing or corrupt, holds no adapter or anything besides one, or the name is
        taken. Nothing is installed then.
    OutputError
        If it cannot be written.
    """
    if path.is_dir():
        return install_adapter(open_adapter_or_run(path), name=name, replace=replace)
    if not is_file(path):
        raise AdapterError(f"{path}: there is no such file or folder.")
    with _temporary_folder() as folder:
        with unpacking(path, error=AdapterError) as archive:
            _unpack(archive, folder, path)
        try:
            return install_adapter(open_adapter(folder), name=name, replace=replace)
        except AdapterError as error:  # of the unpacked files, whose folder is gone afterwards
            raise AdapterError(str(error).replace(str(folder), str(path))) from error


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Create a temporary folder, and delete those of killed processes."""
    place = Path(tempfile.gettempdir())
    folder = place / temporary_name()
    try:
        remove_leftovers(place)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    """Write the files of one adapter into `folder`, after checking all entries."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise AdapterError(
            f"{path}: holds {len(entries)} files; an adapter has at most {len(FILES) + 1}."
        )
    selected: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        largest = LARGEST_WEIGHTS if parts[-1:] in ((WEIGHTS,), (HEAD,)) else _LARGEST_TEXT
        check_entry(entry, path, largest=largest, error=AdapterError)
        if entry.is_dir() or any(part in MACOS_EXTRAS for part in parts):
            continue
        if parts[-1] in selected or len(parts) > 2 or parts[-1] not in (*FILES, HEAD):
            raise AdapterError(
                f"{path}: holds {entry.filename!r}. An adapter is one folder with nothing but "
                f"{', '.join((*FILES, HEAD))}."
            )
        selected[parts[-1]] = entry
        folders.add("/".join(parts[:-1]))
    if len(folders) > 1:
        raise AdapterError(f"{path}: holds the files of more than one adapter.")
    for name, entry in selected.items():
        # zipfile reads no more bytes than the entry declares.
        with archive.open(entry) as source, (folder / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)

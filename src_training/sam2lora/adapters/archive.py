"""Adapters as one `.zip` file: written to be given away, read as something a stranger made."""

import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from sam2lora.adapters.folder import FILES, LARGEST_WEIGHTS, WEIGHTS, Adapter, open_adapter
from sam2lora.adapters.store import adapter_in, install_adapter
from sam2lora.errors import AdapterError, OutputError
from sam2lora.utils.files import atomic_path

_MOST_ENTRIES = 32
_LARGEST_TEXT = 1 << 20  # bytes of a file that is not the tensors
_MADE_BY_FINDER = ("__MACOSX", ".DS_Store")  # macOS adds them to whatever it packs


def export_adapter(adapter: Adapter, path: Path, *, replace: bool = False) -> Path:
    """Write an adapter as a `.zip` file, whole or not at all.

    Parameters
    ----------
    adapter
        What to write; its card says the name it has here.
    path
        The file, or a folder for `<name>.zip`.
    replace
        Whether an older file may be replaced.

    Raises
    ------
    OutputError
        If there is such a file already, or it cannot be written.
    AdapterError
        If the adapter is damaged.
    """
    if path.is_dir():
        path = path / f"{adapter.name}.zip"
    if path.exists() and not replace:
        raise OutputError(f"{path}: is there already. Choose another place, or use --replace.")
    sound = open_adapter(adapter.folder).called(adapter.name)
    # The two texts say the name; the other files are as they are.
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", compression=zipfile.ZIP_DEFLATED) as archive,
    ):
        for file, text in sound.card_files().items():
            archive.writestr(f"{sound.name}/{file}", text)
        for file in FILES:
            if file not in sound.card_files():
                archive.write(sound.folder / file, f"{sound.name}/{file}")
    return path


def import_adapter(path: Path, *, name: str | None = None, replace: bool = False) -> Adapter:
    """Install an adapter from a `.zip` file or a folder.

    Parameters
    ----------
    path
        A file as `export_adapter` writes it: the files of one adapter, inside one folder or none.
        Or an adapter's folder; or a run folder, for its best adapter.
    name
        What to call it; by default what its card says.
    replace
        Whether one of the user's own of that name may be replaced.

    Raises
    ------
    AdapterError
        If it is corrupt, has no adapter, or, as a file, anything else; or the name is taken.
        Nothing is installed then.
    OutputError
        If it cannot be written.
    """
    if path.is_dir():
        return install_adapter(adapter_in(path), name=name, replace=replace)
    if not path.is_file():
        raise AdapterError(f"{path}: there is no such file or folder.")
    with tempfile.TemporaryDirectory(prefix="sam2lora-") as temporary:
        folder = Path(temporary)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, folder, path)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise AdapterError(f"{path}: is corrupt or no zip file ({error}).") from error
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"{path}: cannot be unpacked ({reason}).") from error
        return install_adapter(_open_inside(folder, path), name=name, replace=replace)


def _open_inside(folder: Path, path: Path) -> Adapter:
    """Check what was unpacked; messages speak of the zip file."""
    try:
        return open_adapter(folder)
    except AdapterError as error:
        raise AdapterError(str(error).replace(str(folder), str(path))) from error


def _unpack(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    """Write the files of one adapter into `folder`, after looking at all entries."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise AdapterError(f"{path}: holds {len(entries)} files; an adapter has {len(FILES)}.")
    chosen: dict[str, zipfile.ZipInfo] = {}
    inside: set[str] = set()
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        _check_entry(entry, path)
        if entry.is_dir() or any(part in _MADE_BY_FINDER for part in parts):
            continue
        if parts[-1] in chosen or len(parts) > 2 or parts[-1] not in FILES:
            raise AdapterError(
                f"{path}: holds {entry.filename!r}. An adapter is one folder with nothing but "
                f"{', '.join(FILES)}."
            )
        chosen[parts[-1]] = entry
        inside.add("/".join(parts[:-1]))
    if len(inside) > 1:
        raise AdapterError(f"{path}: holds the files of more than one adapter.")
    for name, entry in chosen.items():
        # zipfile gives no more bytes than the entry announces.
        with archive.open(entry) as source, (folder / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)


def _check_entry(entry: zipfile.ZipInfo, path: Path) -> None:
    """Refuse an entry that would leave its folder, is no plain file, or is absurdly large."""
    name = entry.filename
    steps = name.rstrip("/").split("/")
    if "\\" in name or ":" in name or any(step in ("", ".", "..") for step in steps):
        raise AdapterError(f"{path}: holds {name!r}, which lies outside its folder. Not unpacked.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise AdapterError(f"{path}: holds {name!r}, a link or device. Not unpacked.")
    if entry.flag_bits & 1:
        raise AdapterError(f"{path}: {name!r} is encrypted. Not unpacked.")
    # The others raise errors of their own when damaged, and no program packs by them unasked.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise AdapterError(
            f"{path}: {name!r} is compressed in an unusual way. Not unpacked; pack it as an "
            "ordinary zip file."
        )
    largest = LARGEST_WEIGHTS if steps[-1] == WEIGHTS else _LARGEST_TEXT
    if entry.file_size > largest:
        raise AdapterError(
            f"{path}: {name!r} would have {entry.file_size} bytes; in an adapter it has at most "
            f"{largest}. Not unpacked."
        )

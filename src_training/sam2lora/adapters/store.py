"""The adapters on this computer: those that came with the package, and the user's own."""

import os
import shutil
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import platformdirs

from sam2lora.adapters.card import check_name
from sam2lora.adapters.folder import CARD, CONFIG, WEIGHTS, Adapter, open_adapter
from sam2lora.errors import AdapterError, TargetError
from sam2lora.runs.folder import RunFolder
from sam2lora.runs.run_adapters import best_adapter
from sam2lora.targets import Target, all_targets, save_target
from sam2lora.utils.folders import new_folder, recover_folders, remove_folder


def adapters_folder() -> Path:
    """Give the folder of the user's adapters (`SAM2LORA_ADAPTERS` overrides the platform's)."""
    override = os.environ.get("SAM2LORA_ADAPTERS")
    if override:
        return Path(override)
    return platformdirs.user_data_path("napari-sam2lora") / "adapters"


def shipped_folder() -> Path:
    """Give the folder of the adapters that came with the package."""
    return Path(str(resources.files("sam2lora"))) / "assets" / "adapters"


def list_adapters() -> list[Adapter]:
    """Give the usable adapters by name, the user's own hiding shipped ones of the same name.

    Raises
    ------
    OutputError
        If a replacement that was cut off cannot be mended.
    """
    found = [one for one in _survey() if isinstance(one, Adapter)]
    return sorted(found, key=lambda adapter: adapter.name.casefold())


def list_problems() -> list[AdapterError]:
    """Say which folders among the adapters cannot be used, and why.

    Raises
    ------
    OutputError
        If a replacement that was cut off cannot be mended.
    """
    return [one for one in _survey() if isinstance(one, AdapterError)]


def find_adapter(name_or_path: str | Path) -> Adapter:
    """Give the adapter called that, or in that folder, which may be a run's (`adapter_in`).

    Raises
    ------
    AdapterError
        If there is none, with a list of those there are; or it is damaged.
    OutputError
        If a replacement that was cut off cannot be mended.
    """
    text = str(name_or_path)
    known = list_adapters()
    for adapter in known:
        if adapter.name == text:
            return adapter
    path = Path(name_or_path).expanduser()
    if _is_own(text):
        return open_adapter(adapters_folder() / text)  # says what is wrong with it
    if path.is_dir():
        return adapter_in(path)
    if path.suffix == ".zip" and path.is_file():
        raise AdapterError(f"{path}: is packed. Install it with: sam2lora adapters import {path}")
    names = ", ".join(adapter.name for adapter in known) or "none"
    raise AdapterError(
        f"There is no adapter called {text!r}, and no such folder. Installed: {names}."
    )


def installed_names() -> set[str]:
    """Give the names that adapters have, sound or damaged, without reading them."""
    folders = [one for one in (adapters_folder(), shipped_folder()) if one.is_dir()]
    return {one.name for folder in folders for one in folder.iterdir() if one.is_dir()}


def is_installed(name: str) -> bool:
    """Tell whether `find_adapter` takes `name` for an installed adapter, sound or damaged."""
    return _is_own(name) or any(adapter.name == name for adapter in list_adapters())


def adapter_in(folder: Path) -> Adapter:
    """Open the adapter in a folder: its own, or the best one of a run folder.

    Raises
    ------
    AdapterError
        If there is none, or it is damaged.
    """
    is_run = not (folder / CARD).exists() and RunFolder(folder).settings.is_file()
    return open_adapter(best_in(folder) if is_run else folder)


def best_in(run: Path) -> Path:
    """Give the folder of the best adapter in a run folder, without opening it.

    Raises
    ------
    AdapterError
        If the training has no adapter yet, or makes a base model.
    """
    best = best_adapter(run)
    if best is None:
        raise AdapterError(
            f"{run}: this training has no adapter yet. It writes one at each validation."
        )
    bases = [] if (best.folder / CARD).exists() else sorted(best.folder.glob("*.safetensors"))
    if bases:
        raise AdapterError(
            f"{run}: this training makes a base model, no adapter. Use it by: --model {bases[0]}"
        )
    return best.folder


def default_adapter(identity: str, target: Target) -> Adapter | None:
    """Give the adapter to use where none is named: the shipped one, else the newest of the user's.

    Parameters
    ----------
    identity
        Of the base model.
    target
        What is to be segmented.
    """
    fitting = [
        adapter
        for adapter in list_adapters()
        if adapter.card.base.identity == identity and adapter.card.target.name == target.name
    ]
    return next(iter(preferred_first(fitting)), None)


def preferred_first(adapters: Iterable[Adapter]) -> list[Adapter]:
    """Sort adapters for the same: the first is used where none is named."""
    return sorted(adapters, key=lambda one: (not one.shipped, -one.card.created.timestamp()))


def install_adapter(source: Adapter, *, name: str | None = None, replace: bool = False) -> Adapter:
    """Copy a checked adapter among the user's own.

    Parameters
    ----------
    source
        From anywhere; only its own files are copied.
    name
        What to call it; by default what it is called.
    replace
        Whether one of the user's own of that name may be replaced.

    Raises
    ------
    AdapterError
        If the name is taken.
    OutputError
        If it cannot be written.
    """
    folder = _own_place(name or source.name, replace=replace)
    renamed = source.called(folder.name)
    with new_folder(folder, replace=replace) as partial:
        for file in (WEIGHTS, CONFIG):
            shutil.copyfile(source.folder / file, partial / file)
        for file, text in renamed.card_files().items():
            (partial / file).write_text(text, encoding="utf-8")
        open_adapter(partial)  # as copied: the source may have changed since it was checked
    return open_adapter(folder)


def own_folder(name: str) -> Path:
    """Give the folder of one of the user's own adapters, damaged or not.

    Raises
    ------
    AdapterError
        If there is none of that name, with a list of those there are.
    """
    folder = adapters_folder() / check_name(name)
    if folder.is_dir():
        return folder
    known = {adapter.name: adapter for adapter in list_adapters()}
    if name in known:
        raise AdapterError(f"The adapter {name!r} came with the package and stays as it is.")
    own = ", ".join(other for other, adapter in known.items() if not adapter.shipped) or "none"
    raise AdapterError(f"None of your adapters is called {name!r}. There are: {own}.")


def rename_adapter(name: str, new_name: str) -> Adapter:
    """Call one of the user's own adapters something else.

    Raises
    ------
    AdapterError
        If there is none of that name, it is damaged, or the new name is taken.
    OutputError
        If it cannot be written.
    """
    folder = own_folder(name)
    renamed = install_adapter(open_adapter(folder), name=new_name)
    remove_folder(folder)
    return renamed


def delete_adapter(name: str) -> None:
    """Delete one of the user's own adapters, a damaged one too.

    Raises
    ------
    AdapterError
        If there is none of that name.
    OutputError
        If it cannot be deleted.
    """
    remove_folder(own_folder(name))


def adopt_target(adapter: Adapter) -> Target | None:
    """Make the target of an adapter known here, if it is not.

    A label value that another target has is replaced by the lowest free one.

    Returns
    -------
    The target as it was added; None if there is one of that name already.

    Raises
    ------
    TargetError
        If all label values are taken, or the user's targets cannot be read.
    """
    known, target = all_targets(), adapter.card.target
    if target.name in known:
        return None
    taken = {other.label for other in known.values()}
    free = [label for label in (target.label, *range(1, 256)) if label not in taken]
    if not free:
        raise TargetError(f"There is no free label value for the target {target.name!r}.")
    added = target.model_copy(update={"label": free[0]})
    save_target(added)
    return added


def _survey() -> Iterator[Adapter | AdapterError]:
    own, seen = adapters_folder(), set()
    if own.is_dir():
        recover_folders(own)
    for root, shipped in ((own, False), (shipped_folder(), True)):
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            name = folder.name
            if name.startswith((".", "_")) or not folder.is_dir() or name.casefold() in seen:
                continue
            seen.add(name.casefold())
            try:
                yield open_adapter(folder).called(name, shipped=shipped)
            except AdapterError as error:
                yield error


def _is_own(name: str) -> bool:
    is_name = Path(name).name == name and name not in ("", "..")
    return is_name and (adapters_folder() / name).is_dir()


def _own_place(name: str, *, replace: bool) -> Path:
    """Give the folder for an adapter called `name`, if that is free.

    Names that differ only in capitals are the same, as some file systems have it.
    """
    folder = adapters_folder() / check_name(name)
    for root in (shipped_folder(), adapters_folder()):
        for other in root.iterdir() if root.is_dir() else ():
            if other.name.casefold() == name.casefold() and not (replace and other == folder):
                raise AdapterError(
                    f"An adapter called {other.name!r} is there already. Choose another name"
                    + (", or replace it (--replace)." if other == folder else ".")
                )
    return folder

"""The installed adapters: those of the package, and the user's own."""

import os
import shutil
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import platformdirs

from sam2lora.adapters.card import check_name
from sam2lora.adapters.folder import CARD, CONFIG, Adapter, open_adapter
from sam2lora.adapters.values import check_tensors
from sam2lora.errors import AdapterError, TargetError
from sam2lora.runs.folder import RunFolder
from sam2lora.runs.run_adapters import best_adapter
from sam2lora.targets import Target, all_targets, point_targets, save_target
from sam2lora.utils.folders import new_folder, recover_folders, remove_folder


def adapters_folder() -> Path:
    """Return the folder of the user's adapters (`SAM2LORA_ADAPTERS` overrides the default)."""
    override = os.environ.get("SAM2LORA_ADAPTERS")
    if override:
        return Path(override)
    return platformdirs.user_data_path("napari-sam2lora") / "adapters"


def shipped_folder() -> Path:
    """Return the folder of the adapters that come with the package."""
    return Path(str(resources.files("sam2lora"))) / "assets" / "adapters"


def list_adapters() -> list[Adapter]:
    """List the usable adapters by name; the user's own hide shipped ones of the same name.

    Raises
    ------
    OutputError
        If an interrupted replacement cannot be recovered.
    """
    found = [entry for entry in _scan() if isinstance(entry, Adapter)]
    return sorted(found, key=lambda adapter: adapter.name.casefold())


def list_problems() -> list[AdapterError]:
    """List the errors of the adapter folders that cannot be used.

    Raises
    ------
    OutputError
        If an interrupted replacement cannot be recovered.
    """
    return [entry for entry in _scan() if isinstance(entry, AdapterError)]


def find_adapter(name_or_path: str | Path) -> Adapter:
    """Find an adapter by its name, its folder, or its run folder (`open_adapter_or_run`).

    Raises
    ------
    AdapterError
        If there is none (the message lists the installed ones), or it is damaged.
    OutputError
        If an interrupted replacement cannot be recovered.
    """
    text = str(name_or_path)
    known = list_adapters()
    for adapter in known:
        if adapter.name == text:
            return adapter
    path = Path(name_or_path).expanduser()
    if _is_user_adapter(text):
        return open_adapter(adapters_folder() / text)  # raises the reason it is not listed
    if path.is_dir():
        return open_adapter_or_run(path)
    if path.suffix == ".zip" and path.is_file():
        raise AdapterError(
            f"{path}: is a zip file. Install it with: sam2lora adapters import {path}"
        )
    names = ", ".join(adapter.name for adapter in known) or "none"
    raise AdapterError(
        f"There is no adapter called {text!r}, and no such folder. Installed: {names}."
    )


def installed_names() -> set[str]:
    """Return the names of all adapter folders, usable or damaged, without reading them."""
    roots = [root for root in (adapters_folder(), shipped_folder()) if root.is_dir()]
    return {folder.name for root in roots for folder in root.iterdir() if folder.is_dir()}


def is_installed(name: str) -> bool:
    """Check whether `name` is the name of an installed adapter, usable or damaged."""
    return _is_user_adapter(name) or any(adapter.name == name for adapter in list_adapters())


def open_adapter_or_run(folder: Path) -> Adapter:
    """Open the adapter in a folder, or the best adapter of a run folder.

    Raises
    ------
    AdapterError
        If there is none, or it is damaged.
    """
    is_run = not (folder / CARD).exists() and RunFolder(folder).settings.is_file()
    return open_adapter(best_adapter_folder(folder) if is_run else folder)


def best_adapter_folder(run: Path) -> Path:
    """Return the folder of the best adapter in a run folder, without opening it.

    Raises
    ------
    AdapterError
        If the training has no adapter yet, or trains a base model.
    """
    best = best_adapter(run)
    if best is None:
        raise AdapterError(
            f"{run}: this training has no adapter yet. It writes one at each validation."
        )
    bases = [] if (best.folder / CARD).exists() else sorted(best.folder.glob("*.safetensors"))
    if bases:
        raise AdapterError(
            f"{run}: this training produces a base model, not an adapter. Use it with: --model "
            f"{bases[0]}"
        )
    return best.folder


def default_adapter(weights_sha256: str, target: Target) -> Adapter | None:
    """Return the adapter to use by default: the shipped one, else the newest of the user's own.

    Parameters
    ----------
    weights_sha256
        Hash of the base model's weights.
    target
        What is to be segmented.
    """
    fitting = [
        adapter
        for adapter in list_adapters()
        if adapter.card.base.identity == weights_sha256
        and (adapter.card.target.name, adapter.card.target.kind) == (target.name, target.kind)
    ]
    return next(iter(sort_by_preference(fitting)), None)


def sort_by_preference(adapters: Iterable[Adapter]) -> list[Adapter]:
    """Sort adapters of one base model and target; the first is the default."""
    return sorted(
        adapters, key=lambda adapter: (not adapter.shipped, -adapter.card.created.timestamp())
    )


def install_adapter(source: Adapter, *, name: str | None = None, replace: bool = False) -> Adapter:
    """Copy a checked adapter into the user's adapter folder.

    Parameters
    ----------
    source
        An adapter in any folder; only the files of an adapter are copied.
    name
        Name to install it under; by default its current one.
    replace
        Whether an installed adapter of that name may be replaced; one of the package may not.

    Raises
    ------
    AdapterError
        If the name is taken, or its tensors do not fit its base model or are not finite.
    OutputError
        If it cannot be written.
    """
    folder = _free_folder(name or source.name, replace=replace)
    check_tensors(source)
    renamed = source.renamed(folder.name)
    with new_folder(folder, replace=replace) as partial:
        for path in (source.folder / CONFIG, *source.tensor_files):
            shutil.copyfile(path, partial / path.name)
        for file, text in renamed.card_files().items():
            (partial / file).write_text(text, encoding="utf-8")
        open_adapter(partial)  # checked again: the source may have changed since
    return open_adapter(folder)


def user_adapter_folder(name: str) -> Path:
    """Return the folder of one of the user's own adapters, damaged or not.

    Raises
    ------
    AdapterError
        If there is none of that name; the message lists those that exist.
    """
    folder = adapters_folder() / check_name(name)
    if folder.is_dir():
        return folder
    known = {adapter.name: adapter for adapter in list_adapters()}
    if name in known:
        raise AdapterError(f"The adapter {name!r} comes with the package and cannot be changed.")
    own = ", ".join(other for other, adapter in known.items() if not adapter.shipped) or "none"
    raise AdapterError(f"None of your adapters is called {name!r}. You have: {own}.")


def rename_adapter(name: str, new_name: str) -> Adapter:
    """Rename one of the user's own adapters.

    Raises
    ------
    AdapterError
        If there is none of that name, it is damaged, or the new name is taken.
    OutputError
        If it cannot be written.
    """
    folder = user_adapter_folder(name)
    renamed = install_adapter(open_adapter(folder), name=new_name)
    remove_folder(folder)
    return renamed


def delete_adapter(name: str) -> None:
    """Delete one of the user's own adapters, even a damaged one.

    Raises
    ------
    AdapterError
        If there is none of that name.
    OutputError
        If it cannot be deleted.
    """
    remove_folder(user_adapter_folder(name))


def adopt_target(adapter: Adapter) -> Target | None:
    """Add the target of an adapter to the user's targets, if it is unknown.

    If another target has its label value, it gets the lowest free one.

    Returns
    -------
    The target as it was added; None if a target of that name already exists.

    Raises
    ------
    TargetError
        If all label values are taken, or the user's targets cannot be read.
    """
    known, target = all_targets() | point_targets(), adapter.card.target
    if target.name in known:
        return None
    if target.kind == "point":
        save_target(target)
        return target
    taken = {other.label for other in known.values()}
    free = [label for label in (target.label, *range(1, 256)) if label not in taken]
    if not free:
        raise TargetError(f"There is no free label value for the target {target.name!r}.")
    added = target.model_copy(update={"label": free[0]})
    save_target(added)
    return added


def _scan() -> Iterator[Adapter | AdapterError]:
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
                yield open_adapter(folder).renamed(name, shipped=shipped)
            except AdapterError as error:
                yield error


def _is_user_adapter(name: str) -> bool:
    is_name = Path(name).name == name and name not in ("", "..")
    return is_name and (adapters_folder() / name).is_dir()


def _free_folder(name: str, *, replace: bool) -> Path:
    """Return the folder for an adapter called `name`, if that name is free.

    Names that differ only in case count as the same, as they are on some file systems.
    """
    folder = adapters_folder() / check_name(name)
    for root in (shipped_folder(), adapters_folder()):
        for other in root.iterdir() if root.is_dir() else ():
            if other.name.casefold() == name.casefold() and not (replace and other == folder):
                raise AdapterError(
                    f"An adapter called {other.name!r} already exists. Choose another name"
                    + (", or replace it (--replace)." if other == folder else ".")
                )
    return folder

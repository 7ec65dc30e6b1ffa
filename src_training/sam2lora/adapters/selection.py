"""Tell whether an adapter is for this base model and this target, and say so where it is not."""

from pathlib import Path

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.store import default_adapter, find_adapter
from sam2lora.errors import AdapterError
from sam2lora.models.registry import BaseModel
from sam2lora.settings import GeometrySettings
from sam2lora.targets import InputMode, Target


def check_base(adapter: Adapter, name: str, identity: str) -> None:
    """Refuse an adapter that was made for another base model.

    Parameters
    ----------
    adapter
        The adapter.
    name, identity
        Of the base model in use.

    Raises
    ------
    AdapterError
        The message names both base models.
    """
    made_for = adapter.card.base
    if made_for.identity == identity:
        return
    hint = f"Choose it with --model {made_for.name}."
    if made_for.name == name:
        hint = "The weights differ: it needs the file of the base model it was made for."
    raise AdapterError(
        f"The adapter {adapter.name!r} is for the base model {made_for.name!r} with identity "
        f"{made_for.identity[:12]}…, not for {name!r} with {identity[:12]}…. {hint}"
    )


def check_target(adapter: Adapter, target: Target) -> None:
    """Refuse an adapter that was made for another target.

    Raises
    ------
    AdapterError
        The message names both targets.
    """
    made_for = adapter.card.target.name
    if made_for != target.name:
        raise AdapterError(
            f"The adapter {adapter.name!r} segments {made_for!r}, not {target.name!r}. Choose "
            f"another, or ask for --target {made_for}."
        )


def geometry_of(
    target: Target, adapter: Adapter | None, detail: InputMode | None = None
) -> GeometrySettings:
    """Say how an image is looked at: as the adapter was trained to, or else as is usual.

    Parameters
    ----------
    target, adapter
        What is looked for, and what answers; None for the bare base.
    detail
        Where it is given, it goes before the adapter's and the target's own.
    """
    usual = GeometrySettings.for_target(target) if adapter is None else adapter.card.geometry
    return usual if detail is None else usual.model_copy(update={"detail": detail})


def require_adapter(
    base: BaseModel, target: Target, adapter: Adapter | None, *, prompted: bool
) -> None:
    """Refuse to look for a target with a model that does not know it, when nothing points at it.

    Parameters
    ----------
    base
        The base model; adapters for the one that comes with the package come with it too.
    target
        What is asked for.
    adapter
        What was found for both.
    prompted
        Whether the user points at the target, which SAM 2 understands without an adapter.

    Raises
    ------
    AdapterError
        The message shows the command that trains an adapter.
    """
    if adapter is None and not prompted and not base.embedded:
        raise AdapterError(
            f"There is no adapter for {target.name!r} on the base model {base.name!r}, and without "
            "one it only follows points and boxes. Give some, use --model nano, or train one: "
            f"sam2lora train RUN --data FOLDER --target {target.name} --model {base.name}"
        )


def choose_adapter(
    base: BaseModel,
    identity: str,
    target: Target,
    *,
    named: str | Path | None = None,
    prompted: bool = False,
) -> Adapter | None:
    """Give the adapter to segment a target with; the one way in for all who predict.

    Parameters
    ----------
    base, identity
        The base model, and the identity of its weights.
    target
        What is asked for.
    named
        The name or folder of an adapter, or a run folder, if the user wants a certain one.
    prompted
        Whether the user points at the target.

    Returns
    -------
    The named one; else `store.default_adapter`; None for the bare base.

    Raises
    ------
    AdapterError
        If the named one is missing, damaged, or for another base or target; or without one nothing
        says where the target is.
    """
    if named is not None:
        adapter = find_adapter(named)
        check_base(adapter, base.name, identity)
        check_target(adapter, target)
        return adapter
    found = default_adapter(identity, target)
    require_adapter(base, target, found, prompted=prompted)
    return found

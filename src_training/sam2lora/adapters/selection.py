"""Choose the adapter for a base model and a target, and refuse one that does not fit."""

from pathlib import Path

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.store import default_adapter, find_adapter
from sam2lora.errors import AdapterError
from sam2lora.models.registry import BaseModel
from sam2lora.settings import GeometrySettings
from sam2lora.targets import InputMode, Target


def check_base(adapter: Adapter, name: str, weights_sha256: str) -> None:
    """Refuse an adapter that was trained for another base model.

    Parameters
    ----------
    adapter
        The adapter.
    name, weights_sha256
        Name and hash of the weights of the base model in use.

    Raises
    ------
    AdapterError
        If the weights differ; the message names both base models.
    """
    expected = adapter.card.base
    if expected.identity == weights_sha256:
        return
    hint = f"Choose it with --model {expected.name}."
    if expected.name == name:
        hint = "The weights differ: use the weights file it was trained with."
    raise AdapterError(
        f"The adapter {adapter.name!r} is for the base model {expected.name!r} with weights "
        f"{expected.identity[:12]}…, not for {name!r} with {weights_sha256[:12]}…. {hint}"
    )


def check_target(adapter: Adapter, target: Target) -> None:
    """Refuse an adapter that was trained for another target.

    Raises
    ------
    AdapterError
        If the targets differ, or one is a mask and the other a point; the message names both.
    """
    trained_for = adapter.card.target.name
    if trained_for != target.name:
        raise AdapterError(
            f"The adapter {adapter.name!r} segments {trained_for!r}, not {target.name!r}. Choose "
            f"another adapter, or --target {trained_for}."
        )
    if adapter.card.target.kind != target.kind:
        raise AdapterError(
            f"The adapter {adapter.name!r} is for {target.name!r} as a {adapter.card.target.kind}, "
            f"and here it is a {target.kind}. Rename the target."
        )


def geometry_of(
    target: Target, adapter: Adapter | None, detail: InputMode | None = None
) -> GeometrySettings:
    """Return how an image is presented to the network: as the adapter was trained, if there is one.

    Parameters
    ----------
    target
        What is segmented; it decides where there is no adapter.
    adapter
        The adapter in use, or None.
    detail
        Input mode that overrides that of the adapter or the target.
    """
    geometry = GeometrySettings.for_target(target) if adapter is None else adapter.card.geometry
    return geometry if detail is None else geometry.model_copy(update={"detail": detail})


def require_adapter(
    base: BaseModel, target: Target, adapter: Adapter | None, *, prompted: bool
) -> None:
    """Refuse to segment without an adapter and without prompts, unless the base model is embedded.

    A point is located by an adapter or a click, whatever the base model.

    Parameters
    ----------
    base
        The base model; the one in the package has adapters in the package too.
    target
        What is to be segmented.
    adapter
        The adapter found for both, if any.
    prompted
        Whether there are prompts, which SAM 2 follows without an adapter.

    Raises
    ------
    AdapterError
        If neither an adapter nor a prompt is there; the message shows how to train an adapter.
    """
    if adapter is not None or prompted:
        return
    if target.kind == "point":
        raise AdapterError(
            f"There is no adapter that locates {target.name!r} with the base model {base.name!r}. "
            f"Give a point, or train one: sam2lora train RUN --data FOLDER --target {target.name} "
            f"--model {base.name}"
        )
    if not base.embedded:
        raise AdapterError(
            f"There is no adapter for {target.name!r} on the base model {base.name!r}, and without "
            "one it only follows points and boxes. Add some, use --model nano, or train one: "
            f"sam2lora train RUN --data FOLDER --target {target.name} --model {base.name}"
        )


def choose_adapter(
    base: BaseModel,
    weights_sha256: str,
    target: Target,
    *,
    named: str | Path | None = None,
    prompted: bool = False,
) -> Adapter | None:
    """Return the adapter to segment a target with; all predictions choose it here.

    Parameters
    ----------
    base, weights_sha256
        The base model, and the hash of its weights.
    target
        What is to be segmented.
    named
        Name or folder of an adapter, or a run folder, if the user chose one.
    prompted
        Whether there are prompts.

    Returns
    -------
    The chosen adapter, else `store.default_adapter`; None for the base model without adapter.

    Raises
    ------
    AdapterError
        If the chosen adapter is missing, damaged, or for another base model or target; or if there
        is neither an adapter nor a prompt.
    """
    if named is not None:
        adapter = find_adapter(named)
        check_base(adapter, base.name, weights_sha256)
        check_target(adapter, target)
        return adapter
    found = default_adapter(weights_sha256, target)
    require_adapter(base, target, found, prompted=prompted)
    return found

"""Warnings about the next prediction, before it is requested."""

from collections.abc import Iterable, Iterator

from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.adapters import Adapter, sort_by_preference
from sam2lora.adapters.selection import geometry_of
from sam2lora.errors import ModelError
from sam2lora.inference.memory import memory_warning
from sam2lora.models.registry import BaseModel, get_base
from sam2lora.targets import Target
from sam2lora.utils.download import is_offline


def warnings(
    model: str,
    choice: ModelChoice,
    target: Target,
    adapters: list[Adapter],
    *,
    shape: tuple[int, int] | None,
    prompted: bool,
    loaded: bool = False,
    free: int | None = None,
) -> list[str]:
    """Return warnings: what prevents a prediction, or makes it slow.

    Parameters
    ----------
    model
        Name of the base model, or the path of its file.
    choice
        How the target is segmented.
    target
        The target.
    adapters
        The installed ones.
    shape
        `(H, W)` of the image; None without one.
    prompted
        Whether there are prompts.
    loaded, free
        Whether the base model is in memory, and the free bytes there; see `memory_warning`.
    """
    try:
        base = get_base(model)
    except ModelError:  # a file: nothing is known about it before it is read
        return []
    named = next((one for one in adapters if one.name == choice.adapter), None)
    found = [*_about_base(base), *_about_adapter(base, choice, named, target)]
    fitting = sort_by_preference(one for one in adapters if _fits(one, base.name, target))
    if (
        choice.adapter is None
        and (choice.no_adapter or not fitting)
        and not (base.embedded or prompted)
    ):
        found.append(
            f"There is no adapter for {target.name} on {base.name}: without one it only follows "
            "points and boxes. Set a point, choose nano, or train an adapter."
        )
    if shape is not None:
        adapter = named or (None if choice.no_adapter else next(iter(fitting), None))
        geometry = geometry_of(target, adapter, choice.detail)
        head = adapter is not None and adapter.card.detail_head is not None
        warning = memory_warning(base, shape, geometry, detail_head=head, loaded=loaded, free=free)
        if warning:
            found.append(warning)
    return found


def has_adapter(
    model: str, choice: ModelChoice, target: Target, adapters: Iterable[Adapter]
) -> bool:
    """Check whether a target is segmented with an adapter.

    Parameters
    ----------
    model, choice, target, adapters
        As for `warnings`.
    """
    named = (one for one in adapters if choice.adapter in (None, one.name))
    return not choice.no_adapter and any(_fits(one, model, target) for one in named)


def _about_base(base: BaseModel) -> Iterator[str]:
    if base.embedded or base.path.exists():
        return
    size = "" if base.size is None else f" ({base.size / 1e6:.0f} MB)"
    if is_offline():
        yield f"{base.name}{size} is not on this computer, and downloads are off in Preferences."
    else:
        yield f"{base.name} is downloaded first{size}. Cancel stops it; the next time it resumes."


def _about_adapter(
    base: BaseModel, choice: ModelChoice, named: Adapter | None, target: Target
) -> Iterator[str]:
    if choice.adapter is None:
        return
    if named is None:
        yield f"The adapter {choice.adapter} is no longer installed. Choose another."
        return
    card = named.card
    if card.base.name != base.name:
        yield f"The adapter {named.name} is for {card.base.name}, not for {base.name}."
    if card.target.name != target.name:
        yield f"The adapter {named.name} segments {card.target.name}, not {target.name}."


def _fits(adapter: Adapter, model: str, target: Target) -> bool:
    return (adapter.card.base.name, adapter.card.target.name) == (model, target.name)

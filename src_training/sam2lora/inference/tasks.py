"""What is predicted and how: the adapter and geometry of each target, from what was asked for."""

from collections.abc import Sequence
from pathlib import Path

from sam2lora.adapters import choose_adapter
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.selection import require_adapter
from sam2lora.errors import TargetError
from sam2lora.inference.segment import SegmentationTask
from sam2lora.inference.settings import PredictSettings
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import FieldSizes
from sam2lora.targets import InputMode, Target, get_target


def tasks_of(settings: PredictSettings, base: LoadedModel) -> list[SegmentationTask]:
    """Create the tasks of settings: the target, adapter and geometry of each prediction.

    Parameters
    ----------
    settings
        The request; its images and output folder are not used.
    base
        The base model that the settings name.

    Raises
    ------
    AdapterError
        If the adapter is missing, damaged, or for another base or target; or if there is neither
        an adapter nor a prompt.
    ImageError
        If the previous mask cannot be read.
    TargetError
        If a target is unknown.
    """
    return make_tasks(
        base,
        unique_targets(settings.targets),
        prompts=settings.prompts(),
        adapter=settings.adapter,
        outer_adapter=settings.outer_adapter,
        no_adapter=settings.no_adapter,
        detail=settings.detail,
        threshold=settings.threshold,
        tta=settings.tta,
        field_sizes=settings.field_sizes,
    )


def make_tasks(
    base: LoadedModel,
    targets: Sequence[Target],
    *,
    prompts: Prompts,
    adapter: str | Path | None,
    outer_adapter: str | Path | None,
    no_adapter: bool,
    detail: InputMode | None,
    threshold: float | None,
    tta: bool,
    field_sizes: FieldSizes,
) -> list[SegmentationTask]:
    """Create the task of each target.

    Parameters
    ----------
    base
        The base model.
    targets
        The targets, each once.
    prompts, adapter, outer_adapter, no_adapter, detail, threshold, tta, field_sizes
        As for `pipeline.segment_image`.

    Raises
    ------
    AdapterError
        If an adapter is missing, damaged, or for another base or target; or if there is neither an
        adapter nor a prompt.
    TargetError
        If the target that one lies in is unknown.
    """
    return [
        SegmentationTask.of(
            target,
            adapter=adapter_for(
                base,
                target,
                named=_named(target, targets, adapter, outer_adapter),
                no_adapter=no_adapter,
                prompted=not prompts.empty,
            ),
            prompts=prompts,
            detail=detail,
            threshold=threshold,
            tta=tta,
            field_sizes=field_sizes,
            outer=outer_task(base, target, named=outer_adapter, tta=tta),
        )
        for target in targets
    ]


def adapter_for(
    base: LoadedModel,
    target: Target,
    *,
    named: str | Path | None = None,
    no_adapter: bool = False,
    prompted: bool = False,
) -> Adapter | None:
    """Choose the adapter as `choose_adapter` does, or none if `no_adapter` is set.

    Raises
    ------
    AdapterError
        As for `choose_adapter`; or if there is neither an adapter nor a prompt, and the base model
        needs one of them.
    """
    if not no_adapter:
        return choose_adapter(
            base.spec, base.weights_sha256, target, named=named, prompted=prompted
        )
    require_adapter(base.spec, target, None, prompted=prompted)
    return None


def outer_task(
    base: LoadedModel, target: Target, *, named: str | Path | None = None, tta: bool = False
) -> SegmentationTask | None:
    """Create the task that finds the target in which another one lies.

    Parameters
    ----------
    base
        The base model.
    target
        The target that lies in it.
    named
        Name or folder of an adapter, or a run folder; None takes the default one.
    tta
        Whether to average over mirror images.

    Returns
    -------
    The task; None if the target lies in none, or there is no adapter for that.

    Raises
    ------
    AdapterError
        If the named adapter is missing, damaged, or for another base model or target.
    TargetError
        If there is no target of that name.
    """
    if target.inside is None:
        return None
    outer = get_target(target.inside)
    adapter = adapter_for(base, outer, named=named, prompted=True)
    if adapter is None:
        return None
    return SegmentationTask.of(
        outer, adapter=adapter, tta=tta, outer=outer_task(base, outer, tta=tta)
    )


def _named(
    target: Target,
    targets: Sequence[Target],
    adapter: str | Path | None,
    outer_adapter: str | Path | None,
) -> str | Path | None:
    """Return the adapter that is named for one of several targets."""
    holds_another = any(one.inside == target.name for one in targets)
    return outer_adapter if holds_another and outer_adapter is not None else adapter


def unique_targets(targets: Sequence[str | Target]) -> list[Target]:
    """Return targets that are given by name or as `Target`, each once.

    Raises
    ------
    TargetError
        If there is none, or a name is unknown.
    """
    found = [get_target(target) if isinstance(target, str) else target for target in targets]
    if not found:
        raise TargetError("No target is named. Name at least one, such as disc.")
    return list({target.name: target for target in found}.values())

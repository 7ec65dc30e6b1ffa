"""The one way in to segmenting by settings, for the command line, the viewer and notebooks."""

from pathlib import Path

from sam2lora.adapters import choose_adapter
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.selection import require_adapter
from sam2lora.inference.segment import SegmentationTask
from sam2lora.inference.settings import PredictSettings
from sam2lora.models.loading import LoadedModel
from sam2lora.targets import Target, get_target


def tasks_of(settings: PredictSettings, base: LoadedModel) -> list[SegmentationTask]:
    """Say what to segment in each image, by which adapter, and how.

    Parameters
    ----------
    settings
        What is asked for; where the images are and go to does not matter here.
    base
        The base model they name.

    Raises
    ------
    AdapterError
        If the adapter is missing, damaged, or for another base or target; or there is none, and
        nothing says where the target is.
    GeometryError
        If a prompt is no point or box.
    ImageError
        If the previous mask cannot be read.
    TargetError
        If a target is unknown.
    """
    prompts = settings.prompts()
    return [
        SegmentationTask.of(
            target,
            adapter=adapter_for(
                base,
                target,
                named=settings.adapter,
                no_adapter=settings.no_adapter,
                prompted=not prompts.empty,
            ),
            prompts=prompts,
            detail=settings.detail,
            threshold=settings.threshold,
            flips=settings.tta,
        )
        for target in (get_target(name) for name in dict.fromkeys(settings.targets))
    ]


def adapter_for(
    base: LoadedModel,
    target: Target,
    *,
    named: str | Path | None = None,
    no_adapter: bool = False,
    prompted: bool = False,
) -> Adapter | None:
    """Choose what answers: an adapter as by `choose_adapter`, or on request the bare base.

    Raises
    ------
    AdapterError
        As `choose_adapter`; a bare base that needs prompts is refused without one, too.
    """
    if not no_adapter:
        return choose_adapter(
            base.spec, base.weights_sha256, target, named=named, prompted=prompted
        )
    require_adapter(base.spec, target, None, prompted=prompted)
    return None

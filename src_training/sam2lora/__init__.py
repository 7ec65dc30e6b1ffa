"""SAM 2 adapted by LoRA for retinal fundus images: the headless half of napari-sam2lora.

Nothing here imports Qt or napari, and importing the package imports no torch. What a notebook or
a script needs is handed on from its module when it is first used:

    from sam2lora import segment_image
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam2lora.evaluation import EvaluateSettings, evaluate
    from sam2lora.images.field_of_view import find_field_of_view
    from sam2lora.images.reading import read_image, read_mask
    from sam2lora.inference.pipeline import (
        load_predictor,
        locate_image,
        segment_files,
        segment_image,
    )
    from sam2lora.inference.settings import PredictSettings
    from sam2lora.prompts.user_prompts import PointPrompt, Prompts
    from sam2lora.targets import Target, get_target
    from sam2lora.training.loop import train
    from sam2lora.training.settings import TrainSettings

__all__ = [
    "EvaluateSettings",
    "PointPrompt",
    "PredictSettings",
    "Prompts",
    "Target",
    "TrainSettings",
    "evaluate",
    "find_field_of_view",
    "get_target",
    "load_predictor",
    "locate_image",
    "read_image",
    "read_mask",
    "segment_files",
    "segment_image",
    "train",
]

__version__ = version("napari-sam2lora")

_MODULES = {
    "EvaluateSettings": "evaluation",
    "PointPrompt": "prompts.user_prompts",
    "PredictSettings": "inference.settings",
    "Prompts": "prompts.user_prompts",
    "Target": "targets",
    "TrainSettings": "training.settings",
    "evaluate": "evaluation",
    "find_field_of_view": "images.field_of_view",
    "get_target": "targets",
    "load_predictor": "inference.pipeline",
    "locate_image": "inference.pipeline",
    "read_image": "images.reading",
    "read_mask": "images.reading",
    "segment_files": "inference.pipeline",
    "segment_image": "inference.pipeline",
    "train": "training.loop",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Import a public name from its module.

        Raises
        ------
        AttributeError
            If there is no such name.
        """
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Training settings, and presets for them."""

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from sam2lora.datasets.splits import Expression
from sam2lora.errors import SettingsError
from sam2lora.settings import (
    AugmentSettings,
    DetailHeadSettings,
    GeometrySettings,
    LoraSettings,
    LossSettings,
    PrecisionChoice,
    PromptSamplingSettings,
    Settings,
)
from sam2lora.targets import all_targets, get_target

_MOST = 1_000_000_000  # of anything that is counted

Train = Literal["adapter", "base"]
Schedule = Literal["cosine", "restarts", "constant"]


class DataSource(Settings):
    """Images to train on: a dataset, a folder, a CSV file, or the snapshot of a run."""

    root: str = Field(description="folder or CSV file; relative: in the run folder")
    layout: str | None = Field(default=None, description="dataset layout; recognized if not given")
    split: Literal["train", "val", "test", "all"] = Field(
        default="train",
        description="official side of the split to use; all images where there is no split",
    )
    include: Expression = Field(
        default=None, description="regular expression; only stems it matches are used"
    )
    exclude: Expression = Field(
        default=None, description="regular expression; stems it matches are left out"
    )
    grader: Literal[1, 2, "union"] = Field(
        default=1,
        description="grader of the masks; union: what any grader marked (the paper's)",
    )
    grades: tuple[str, ...] = Field(
        default=(), description="grades of the ellipses to use, where the masks are ellipses"
    )
    labels: dict[str, tuple[int, ...]] = Field(
        default={}, description="values that show a target, by its name, where masks are label maps"
    )


class OptimizerSettings(Settings):
    """AdamW and its learning rate over time."""

    model_config = ConfigDict(allow_inf_nan=False)

    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="highest learning rate")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="of AdamW (the paper's)")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient (the paper's)")
    schedule: Schedule = Field(
        default="cosine",
        description="cosine: down to a hundredth at the last step; restarts: cosine with warm "
        "restarts (the paper's); constant",
    )
    warmup: int = Field(
        default=20, ge=0, le=_MOST, description="steps of linear increase at the start"
    )
    restart_every: int = Field(
        default=1000, ge=1, le=_MOST, description="steps between restarts (the paper's)"
    )


class ValidationSettings(Settings):
    """Validation images, and how often the model is evaluated on them."""

    share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="share of the patients used for validation, in each dataset; at least one",
    )
    every: int = Field(default=50, ge=1, le=_MOST, description="steps between validations")
    images: int = Field(
        default=8,
        ge=1,
        le=_MOST,
        description="largest number of validation images, spread over the datasets",
    )
    within_images: bool = Field(
        default=False,
        description="validate on a part of every image instead of on other patients, if there is "
        "only one: the part below a row, with `share` of the target. It says less about other eyes",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=_MOST,
        description="validations without improvement before it stops early",
    )


class TrainSettings(Settings):
    """All settings of a training; saved in the run folder and in the adapter's card."""

    target: str = Field(default="vessel", description="target to learn")
    data: tuple[DataSource, ...] = Field(min_length=1, description="training data")
    train: Train = Field(
        default="adapter", description="adapter: LoRA on a frozen base; base: every weight"
    )
    also: tuple[str, ...] = Field(
        default=(),
        description="further targets of a base model, always with a prompt: without one, it finds "
        "the main one; the masks must be in the data",
    )
    model: str = Field(default="nano", description="base model: a name, or a file of weights")
    from_scratch: bool = Field(default=False, description="train a base model from random weights")
    start_from: str | None = Field(
        default=None, description="name or folder of the initial adapter"
    )
    freeze_encoder: bool = Field(
        default=False,
        description="train only the decoder's LoRA, on features computed once (quick adapt)",
    )
    freeze_network: bool = Field(
        default=False,
        description="train only the detail head, on embeddings and outputs computed once",
    )
    variants: int = Field(
        default=4,
        ge=1,
        le=_MOST,
        description="augmented versions of each image whose features are cached, if the encoder or "
        "the network is frozen",
    )
    lora: LoraSettings = LoraSettings()
    detail_head: DetailHeadSettings | None = Field(
        default=None,
        description="a small network beside LoRA that draws the mask at full resolution, for thin "
        "structures; {}: with its defaults; None: none, or that of the initial adapter",
    )
    geometry: GeometrySettings | None = Field(
        default=None, description="how windows are cut from images; by default that of the target"
    )
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
    prompts: PromptSamplingSettings = PromptSamplingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    validation: ValidationSettings = ValidationSettings()
    multimask_token: bool = Field(
        default=False,
        description="train SAM 2's first multimask output instead of its single mask (the paper's)",
    )
    steps: int = Field(default=600, ge=1, le=_MOST, description="optimizer steps")
    batch: int = Field(default=4, ge=1, le=256, description="samples per batch")
    accumulate: int = Field(default=1, ge=1, le=256, description="batches per optimizer step")
    checkpoint_every: int = Field(
        default=50, ge=1, le=_MOST, description="steps between checkpoints"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="recompute activations to save memory"
    )
    precision: PrecisionChoice = Field(
        default="auto",
        description="auto: bfloat16 where it is faster; float16 becomes float32 on a CPU",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    workers: int = Field(
        default=1, ge=0, le=64, description="processes that prepare samples; 0: none"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="random seed")

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets to learn, the main target first."""
        return (self.target, *self.also)

    @property
    def reuses_windows(self) -> bool:
        """Whether windows are used repeatedly, with what a frozen network computes from them."""
        return self.freeze_encoder or self.freeze_network

    def counted_from(self, folder: Path) -> Self:
        """Return a copy with relative data paths resolved against a folder, that of the run."""
        data = tuple(
            source.model_copy(update={"root": str(folder.resolve() / source.root)})
            for source in self.data
        )
        return self.model_copy(update={"data": data})

    def geometry_for(self, target: str) -> GeometrySettings:
        """Return how windows are cut for a target."""
        return self.geometry or GeometrySettings.for_target(get_target(target))


_AUTOMATIC = {
    "none": 1,
    "points": 0,
    "box": 0,
    "box_and_points": 0,
    "previous": 0,
    "corrected": 0,
}

_HEAD_ALONE = {
    "freeze_network": True,
    "detail_head": {},
    "loss": {"weights": {"bce": 4}},
    "prompts": _AUTOMATIC,
}
"""Train a detail head, on what the frozen network makes of windows without prompts."""

_LARGE_TILES = {
    "geometry": {"detail": "tiles", "field_size": 1240},
    "augment": {"scale": (0.7, 1.1)},
}
"""Larger tiles than without a detail head, which draws finer."""

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "standard": {},
        "quick": {
            "freeze_encoder": True,
            "steps": 150,
            "validation": {"every": 25},
            "checkpoint_every": 25,
        },
        "detail": {**_HEAD_ALONE, "optimizer": {"learning_rate": 3e-3}},
        "low-memory": {"batch": 1, "accumulate": 4, "gradient_checkpointing": True, "workers": 0},
        "paper": {
            "data": {"grader": "union"},
            "geometry": {"detail": "squash"},
            "loss": {"reduction": "batch"},
            "lora": {"placement": "attention", "init": "gaussian_sqrt", "dropout": 0.1},
            "prompts": {
                "none": 0,
                "points": 1,
                "box": 0,
                "box_and_points": 0,
                "previous": 0,
                "corrected": 0,
                "positive": (5, 5),
                "negative": (0, 0),
            },
            "multimask_token": True,
            "optimizer": {"learning_rate": 1e-4, "schedule": "restarts", "warmup": 0},
            "batch": 2,
            "accumulate": 4,
            "steps": 30_000,
            "precision": "float16",
        },
    }
)
"""Settings of each preset, `data` for every source; all others keep their default."""

FINE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quick": {
            **_HEAD_ALONE,
            **_LARGE_TILES,
            "freeze_encoder": False,
            "steps": 120,
            "validation": {"every": 40},
            "checkpoint_every": 40,
        },
        "detail": _LARGE_TILES,
    }
)
"""Settings of a preset that differ for targets segmented in tiles.

Fine structures depend on the encoder: with it frozen, training never improved vessels. A detail
head sees the image itself, and improves them on what the frozen network computes.
"""


def make_settings(preset: str, *changes: Mapping[str, Any]) -> TrainSettings:
    """Create settings from a preset and changes to it; nested mappings merge, later changes win.

    For targets segmented in tiles, the preset is merged with its entry in `FINE`.

    Raises
    ------
    SettingsError
        If the preset is unknown, or a setting is unknown or out of its range; the message names it.
    """
    if preset not in PRESETS:
        raise SettingsError(f"Unknown preset {preset!r}. Available: {', '.join(PRESETS)}.")
    settings = validate_settings(reduce(_merged, changes, dict(PRESETS[preset])))
    target = all_targets().get(settings.target)
    if preset not in FINE or target is None or target.detail != "tiles":
        return settings
    return validate_settings(reduce(_merged, (FINE[preset], *changes), dict(PRESETS[preset])))


def validate_settings(content: Mapping[str, Any]) -> TrainSettings:
    """Validate settings, as read from a file.

    Raises
    ------
    SettingsError
        If a setting is unknown or out of its range; the message names it.
    """
    try:
        return TrainSettings.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise SettingsError(f"Invalid training settings: {problems}.") from error


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        previous = merged.get(key)
        if isinstance(previous, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(previous, value)
        elif isinstance(previous, Mapping) and isinstance(value, list):
            merged[key] = [
                _merged(previous, item) if isinstance(item, Mapping) else item for item in value
            ]
        else:
            merged[key] = value
    return merged

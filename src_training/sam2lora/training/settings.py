"""Settings of a training, and the presets that set many of them by one name."""

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
    GeometrySettings,
    LoraSettings,
    LossSettings,
    PrecisionChoice,
    PromptSamplingSettings,
    Settings,
)
from sam2lora.targets import all_targets, get_target

Train = Literal["adapter", "base"]
Schedule = Literal["cosine", "restarts", "constant"]


class DataSource(Settings):
    """Images to train on: a data set, a folder, a CSV file, or the snapshot of a run."""

    root: str = Field(description="folder or CSV file; relative: in the run folder")
    layout: str | None = Field(default=None, description="its layout; recognized if not given")
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
        default=1, description="whose masks; union: what any grader marked (the paper's)"
    )


class OptimizerSettings(Settings):
    """AdamW and its learning rate over time."""

    model_config = ConfigDict(allow_inf_nan=False)

    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="at its highest")
    weight_decay: float = Field(default=3e-4, ge=0, le=1, description="of AdamW (the paper's)")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient (the paper's)")
    schedule: Schedule = Field(
        default="cosine",
        description="cosine: down to a hundredth at the last step; restarts: cosine with warm "
        "restarts (the paper's); constant",
    )
    warmup: int = Field(default=20, ge=0, description="steps of linear increase at the start")
    restart_every: int = Field(
        default=1000, ge=1, description="steps between restarts (the paper's)"
    )


class ValidationSettings(Settings):
    """What is held out to judge the training by, and how often it is looked at."""

    share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="share of the patients held out, in each data set; never less than one",
    )
    every: int = Field(default=50, ge=1, description="steps between validations")
    images: int = Field(
        default=8, ge=1, description="at most so many images, spread over the data sets"
    )
    within_images: bool = Field(
        default=False,
        description="hold out a part of every image instead of patients, where there is only one: "
        "what lies below a row that parts off `share` of the target. It says less about other eyes",
    )
    patience: int | None = Field(
        default=None, ge=1, description="validations without a better one before it stops early"
    )


class TrainSettings(Settings):
    """All that a training depends on; saved whole in the run folder and in the adapter's card."""

    target: str = Field(default="vessel", description="what is learned")
    data: tuple[DataSource, ...] = Field(min_length=1, description="what it is learned from")
    train: Train = Field(
        default="adapter", description="adapter: LoRA on a frozen base; base: every weight"
    )
    also: tuple[str, ...] = Field(
        default=(),
        description="further targets a base learns, always by a prompt: without one, its answer is "
        "the main target; the masks must be in the data",
    )
    model: str = Field(default="nano", description="base model: a name, or a file of weights")
    from_scratch: bool = Field(
        default=False, description="begin a base with random weights instead of the model's own"
    )
    start_from: str | None = Field(
        default=None, description="name or folder of an adapter to go on from"
    )
    freeze_encoder: bool = Field(
        default=False,
        description="train the decoder's LoRA alone, on features computed once (quick adapt)",
    )
    variants: int = Field(
        default=4,
        ge=1,
        description="augmented versions of each image whose features are kept, if the encoder is "
        "frozen",
    )
    lora: LoraSettings = LoraSettings()
    geometry: GeometrySettings | None = Field(
        default=None, description="how images are shown; by default as the target usually is"
    )
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
    prompts: PromptSamplingSettings = PromptSamplingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    validation: ValidationSettings = ValidationSettings()
    multimask_token: bool = Field(
        default=False,
        description="learn SAM 2's first multimask output instead of its single one (the paper's)",
    )
    steps: int = Field(default=600, ge=1, description="optimizer steps")
    batch: int = Field(default=4, ge=1, le=256, description="samples encoded at once")
    accumulate: int = Field(
        default=1, ge=1, le=256, description="batches whose gradients make one step"
    )
    checkpoint_every: int = Field(default=50, ge=1, description="steps between checkpoints")
    gradient_checkpointing: bool = Field(
        default=False, description="compute activations twice to save memory"
    )
    precision: PrecisionChoice = Field(
        default="auto",
        description="auto takes bfloat16 where it is faster; float16 is float32 on a CPU",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    workers: int = Field(
        default=1, ge=0, le=64, description="processes that prepare samples; 0: none"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="what every draw derives from")

    @property
    def targets(self) -> tuple[str, ...]:
        """Everything that is learned."""
        return (self.target, *self.also)

    def counted_from(self, folder: Path) -> Self:
        """Let relative paths of the data count from a folder: that of the run they belong to."""
        data = tuple(
            source.model_copy(update={"root": str(folder.resolve() / source.root)})
            for source in self.data
        )
        return self.model_copy(update={"data": data})

    def geometry_for(self, target: str) -> GeometrySettings:
        """Give how images are shown for a target."""
        return self.geometry or GeometrySettings.for_target(get_target(target))


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "standard": {},
        "quick": {
            "freeze_encoder": True,
            "steps": 150,
            "validation": {"every": 25},
            "checkpoint_every": 25,
        },
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
"""What each preset sets, `data` in every source; everything else keeps its default."""

FINE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quick": {
            "freeze_encoder": False,
            "steps": 40,
            "batch": 2,
            "validation": {"every": 20},
            "checkpoint_every": 20,
        },
    }
)
"""What a preset sets otherwise for a target in tiles.

What tells fine structures is in the encoder: with it frozen, vessels were never learned better.
"""


def make_settings(preset: str, *changes: Mapping[str, Any]) -> TrainSettings:
    """Build settings from a preset and changes to it, the last first; nested ones are merged.

    A target that is usually shown in tiles has the preset's settings with `FINE`.

    Raises
    ------
    SettingsError
        If the preset is unknown, or a setting is unknown or out of its range; the message names it.
    """
    if preset not in PRESETS:
        raise SettingsError(f"No preset is called {preset!r}. There are: {', '.join(PRESETS)}.")
    settings = validate_settings(reduce(_merged, changes, dict(PRESETS[preset])))
    target = all_targets().get(settings.target)
    if preset not in FINE or target is None or target.detail != "tiles":
        return settings
    return validate_settings(reduce(_merged, (FINE[preset], *changes), dict(PRESETS[preset])))


def validate_settings(content: Mapping[str, Any]) -> TrainSettings:
    """Read settings, as from a file.

    Raises
    ------
    SettingsError
        If one is unknown or out of its range; the message names it.
    """
    try:
        return TrainSettings.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise SettingsError(f"The settings of the training are wrong: {problems}.") from error


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        older = merged.get(key)
        if isinstance(older, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(older, value)
        elif isinstance(older, Mapping) and isinstance(value, list):
            merged[key] = [
                _merged(older, one) if isinstance(one, Mapping) else one for one in value
            ]
        else:
            merged[key] = value
    return merged

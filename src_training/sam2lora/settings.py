"""Settings, one frozen model per concern, saved whole with every result; unknown keys raise."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sam2lora.targets import InputMode, Target

Precision = Literal["float32", "bfloat16", "float16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16", "float16"]
ProtocolName = Literal["literature", "paper"]
SplitChoice = Literal["auto", "train", "val", "test", "all"]

_AROUND_TARGET = 2.5  # times its extent: a disc with the vessels that converge on it
_AROUND_OUTER_TARGET = 1.8  # times the extent of the target that a nested one lies in
_AROUND_POINT = 0.4  # of the field's diameter: two or three discs


class Settings(BaseModel):
    """Base class of all settings: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


FieldSizes = tuple[Annotated[int, Field(ge=128, le=8192)], ...]
"""Diameters of the field of view for tiles, in network pixels."""


class GeometrySettings(Settings):
    """How an image is presented to the network, in training and prediction alike."""

    detail: InputMode = Field(
        default="whole",
        description="whole: the field of view at once; tiles: overlapping tiles; zoom: the field, "
        "then a crop around the first prediction; squash: the image stretched to a square (the "
        "paper's)",
    )
    margin: float = Field(
        default=0.02, ge=0, le=0.5, description="margin around the field of view, as a share of it"
    )
    field_size: int = Field(
        default=1600,
        ge=128,
        le=8192,
        description="diameter of the field of view for tiles, in network pixels",
    )
    overlap: float = Field(
        default=0.25, ge=0, le=0.75, description="share of a tile that its neighbour covers too"
    )
    zoom_share: float = Field(
        default=0.3, gt=0, le=1, description="side of the crop as a share of the field's diameter"
    )
    zoom_extent: float | None = Field(
        default=None,
        ge=1,
        le=10,
        description="side of the crop as a multiple of what was found, or of the target around it; "
        "the crop is corrected where it was wrong. None: zoom_share decides, and the first crop is "
        "final",
    )
    zoom_range: tuple[float, float] = Field(
        default=(0.15, 0.6),
        description="smallest and largest side of the crop by zoom_extent, as shares of the "
        "field's diameter; never less than one and a half times what was found",
    )
    convex: bool = Field(
        default=False,
        description="give the largest part of the prediction a smooth outline; not in tiles",
    )

    @model_validator(mode="after")
    def _check_zoom_range(self) -> Self:
        smallest, largest = self.zoom_range
        if not 0 < smallest <= largest <= 1:
            raise ValueError(
                f"zoom_range is the smallest and the largest share, in 0…1, not ({smallest}, "
                f"{largest})"
            )
        return self

    @property
    def description(self) -> str:
        """Input mode, and whether predictions are made convex."""
        return f"{self.detail}, convex" if self.convex else self.detail

    def with_field_sizes(self, sizes: Sequence[int]) -> "tuple[GeometrySettings, ...]":
        """Return one geometry for each diameter of the field of view; itself without any.

        Only tiles have a diameter: otherwise it is the same geometry.
        """
        if self.detail != "tiles" or not sizes:
            return (self,)
        return tuple(self.model_copy(update={"field_size": size}) for size in sizes)

    @classmethod
    def for_target(cls, target: Target) -> "GeometrySettings":
        """Return the default geometry of a target; an adapter may have another."""
        if target.kind == "point":  # what is found around it says nothing about a size
            return cls(detail=target.detail, zoom_share=_AROUND_POINT)
        extent = None
        if target.detail == "zoom":
            extent = _AROUND_TARGET if target.inside is None else _AROUND_OUTER_TARGET
        return cls(detail=target.detail, convex=target.convex, zoom_extent=extent)


class LossWeights(Settings):
    """Weight of each term of the composite loss, the paper's by default; 0 leaves a term out."""

    model_config = ConfigDict(allow_inf_nan=False)

    bce: float = Field(default=1.0, ge=0, description="binary cross-entropy")
    soft_dice: float = Field(default=1.0, ge=0, description="soft Dice")
    focal_tversky: float = Field(default=1.0, ge=0, description="focal Tversky")
    iou: float = Field(default=0.1, ge=0, description="error of the predicted IoU")
    cldice: float = Field(
        default=0.0, ge=0, description="soft clDice, for thin connected structures"
    )

    @model_validator(mode="after")
    def _check_something_trains_the_mask(self) -> Self:
        if not (self.bce or self.soft_dice or self.focal_tversky or self.cldice):
            raise ValueError(
                "no term trains the mask: set bce, soft_dice, focal_tversky or cldice to a weight "
                "above 0"
            )
        return self


class LossSettings(Settings):
    """The composite loss; its parameters are the paper's, the reduction is not."""

    model_config = ConfigDict(allow_inf_nan=False)

    weights: LossWeights = Field(default=LossWeights(), description="weight of each term")
    reduction: Literal["image", "batch"] = Field(
        default="image",
        description="image: each image's loss, then their mean, so that small structures count as "
        "much as large ones; batch: all pixels of the batch at once (the paper's)",
    )
    tversky_alpha: float = Field(default=0.7, ge=0, description="weight of false negatives")
    tversky_beta: float = Field(default=0.3, ge=0, description="weight of false positives")
    tversky_gamma: float = Field(
        default=0.75, gt=0, le=2, description="exponent of the focal Tversky loss"
    )
    smooth: float = Field(
        default=1.0, gt=0, description="added to both sides of the overlap ratios, in pixels"
    )
    threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="probability threshold of the mask whose IoU is learned",
    )
    cldice_iterations: int = Field(
        default=10,
        ge=1,
        le=100,
        description="steps of the soft skeleton; at least the largest radius, in logit pixels",
    )


LoraPlacement = Literal["attention", "wide", "decoder"]


class LoraSettings(Settings):
    """Placement and size of LoRA; placement, alpha and dropout are the paper's."""

    model_config = ConfigDict(allow_inf_nan=False)

    placement: LoraPlacement = Field(
        default="attention",
        description="attention: the encoder's attn.qkv and all attention projections of the mask "
        "decoder (the paper's); wide: also the encoder's attention outputs and the MLPs of both; "
        "decoder: the decoder's attention projections only",
    )
    rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="inner dimension of LoRA; None: the largest power of two, at most 64, that "
        "trains no more than 5 % of the network",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        le=65536,
        description="LoRA's output is multiplied by alpha / rank; None: 2 * rank",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of LoRA's inputs dropped while training"
    )
    init: Literal["kaiming", "gaussian_sqrt"] = Field(
        default="gaussian_sqrt",
        description="initial A, while B starts at 0; gaussian_sqrt: N(0, 1/rank), a standard "
        "deviation of rank**-0.5 (the paper's); kaiming: uniform within ±1/sqrt(inputs), as LoRA's "
        "own code and PEFT",
    )
    train_heads: bool = Field(
        default=False,
        description="train output_upscaling, conv_s0 and conv_s1 of the mask decoder as a whole",
    )

    @property
    def scale(self) -> float:
        """Factor of LoRA's output: alpha / rank.

        Raises
        ------
        ValueError
            If the rank is None; `adapters.lora.resolve_lora` fills it in.
        """
        if self.rank is None:
            raise ValueError("The rank of these settings is not set yet.")
        return 2.0 if self.alpha is None else self.alpha / self.rank


DetailInput = Literal["contrast", "embedding", "logits"]


class DetailHeadSettings(Settings):
    """Size and inputs of the detail head, which draws the mask at the input's full resolution."""

    channels: tuple[int, int, int] = Field(
        default=(24, 32, 48),
        description="channels at a half, a quarter and an eighth of the input's resolution, 1…512 "
        "each",
    )
    inputs: tuple[DetailInput, ...] = Field(
        default=("contrast", "embedding", "logits"),
        description="what it sees besides red, green and blue; contrast: the green channel, "
        "normalized locally; embedding, logits: those of SAM 2's decoder",
    )

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if not all(1 <= count <= 512 for count in self.channels):
            raise ValueError(f"channels are three numbers in 1…512, not {self.channels}")
        if len(set(self.inputs)) != len(self.inputs):
            raise ValueError(f"inputs name one of {self.inputs} more than once")
        return self


class PromptSamplingSettings(Settings):
    """How often each kind of prompt is sampled in training; weights need not sum to 1."""

    model_config = ConfigDict(allow_inf_nan=False)

    none: float = Field(default=0.5, ge=0, description="weight of no prompt at all")
    points: float = Field(
        default=0.2, ge=0, description="weight of positive points, negative points, or both"
    )
    box: float = Field(default=0.08, ge=0, description="weight of a box alone")
    box_and_points: float = Field(default=0.07, ge=0, description="weight of a box with points")
    previous: float = Field(
        default=0.15,
        ge=0,
        description="weight of a corrupted previous mask, and points where it is wrong",
    )
    positive: tuple[int, int] = Field(
        default=(0, 5),
        description="fewest and most positive points; if a prompt of points gets none, it "
        "has a positive one",
    )
    negative: tuple[int, int] = Field(default=(0, 2), description="fewest and most negative points")
    corrections: int = Field(
        default=3, ge=0, le=50, description="most points where a previous mask is wrong"
    )
    corrected: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="share of the samples, with or without prompts, that are corrected in rounds",
    )
    rounds: int = Field(
        default=4,
        ge=1,
        le=8,
        description="most rounds: each clicks where the network's own prediction errs",
    )
    box_jitter: float = Field(
        default=0.1, ge=0, le=0.3, description="largest shift of a box's edge, as a share of a side"
    )

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each kind of prompt, by name."""
        return {
            "none": self.none,
            "points": self.points,
            "box": self.box,
            "box_and_points": self.box_and_points,
            "previous": self.previous,
        }

    def always(self) -> Self:
        """Return the same settings, but always with a prompt; points if there is no other kind."""
        points = self.points if sum(self.weights.values()) > self.none else 1.0
        return self.model_copy(update={"none": 0.0, "points": points})

    def never(self) -> Self:
        """Return the same settings, but never with a prompt or a correction."""
        return self.model_copy(
            update={**dict.fromkeys(self.weights, 0.0), "none": 1.0, "corrected": 0.0}
        )

    @model_validator(mode="after")
    def _check_something_can_be_sampled(self) -> Self:
        if not sum(self.weights.values()) > 0:
            raise ValueError("no kind of prompt has a weight above 0")
        for name, (fewest, most) in {"positive": self.positive, "negative": self.negative}.items():
            if not 0 <= fewest <= most <= 50:
                raise ValueError(
                    f"{name} is the fewest and the most points, in 0…50, not ({fewest}, {most})"
                )
        return self


class AugmentSettings(Settings):
    """Augmentation of training images; 0, or a scale of (1, 1), turns a part off.

    A relative change of x is a factor between 1 / (1 + x) and 1 + x. Pixels are network pixels.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    flip_horizontal: bool = Field(
        default=True, description="mirror left and right, with probability 1/2"
    )
    flip_vertical: bool = Field(
        default=True, description="mirror top and bottom, with probability 1/2"
    )
    rotation: float = Field(
        default=30, ge=0, le=180, description="largest rotation to either side, in degrees"
    )
    scale: tuple[float, float] = Field(
        default=(0.8, 1.2), description="smallest and largest scale, relative to the plain window"
    )
    elastic: float = Field(
        default=0.01, ge=0, le=0.05, description="largest local shift, as a share of the window"
    )
    brightness: float = Field(default=0.25, ge=0, le=2, description="relative change of exposure")
    contrast: float = Field(default=0.2, ge=0, le=2, description="relative change of contrast")
    gamma: float = Field(default=0.2, ge=0, le=2, description="relative change of the exponent")
    saturation: float = Field(default=0.2, ge=0, le=2, description="relative change of saturation")
    white_balance: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="relative change of red and of green; blue, in which cameras differ most, "
        "changes twice as far",
    )
    illumination: float = Field(
        default=0.25, ge=0, le=1, description="largest darkening of one side or the rim"
    )
    blur: float = Field(
        default=1.2, ge=0, le=10, description="largest standard deviation of blur, in pixels"
    )
    blur_share: float = Field(default=0.2, ge=0, le=1, description="share of images blurred")
    noise: float = Field(
        default=0.03,
        ge=0,
        le=0.5,
        description="largest standard deviation of noise at full brightness (1); it falls with the "
        "square root of brightness",
    )
    noise_share: float = Field(default=0.3, ge=0, le=1, description="share of images with noise")
    jpeg: int = Field(default=50, ge=5, le=95, description="lowest JPEG quality; the highest is 95")
    jpeg_share: float = Field(
        default=0.3, ge=0, le=1, description="share of images compressed once more"
    )
    clahe_share: float = Field(
        default=0.05, ge=0, le=1, description="share of images with local contrast enhanced"
    )
    glare_share: float = Field(
        default=0, ge=0, le=1, description="share of images with one to three bright reflections"
    )

    style_share: float = Field(
        default=0,
        ge=0,
        le=1,
        description="share of images that get the colors and illumination of another image of the "
        "training data, to any extent",
    )

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        smallest, largest = self.scale
        if not 0.2 <= smallest <= largest <= 5:
            raise ValueError(
                f"scale is the smallest and the largest factor, in 0.2…5, not ({smallest}, "
                f"{largest})"
            )
        return self

    @classmethod
    def off(cls) -> "AugmentSettings":
        """Return settings that leave images as they are."""
        return cls(
            flip_horizontal=False,
            flip_vertical=False,
            rotation=0,
            scale=(1, 1),
            elastic=0,
            brightness=0,
            contrast=0,
            gamma=0,
            saturation=0,
            white_balance=0,
            illumination=0,
            blur_share=0,
            noise_share=0,
            jpeg_share=0,
            clahe_share=0,
        )

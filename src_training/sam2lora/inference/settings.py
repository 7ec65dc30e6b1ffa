"""Settings of `sam2lora predict`, and the command line that they stand for. Imports no torch."""

import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from sam2lora.datasets.inverted import looks_inverted
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.datasets.unturned import turned_upright
from sam2lora.errors import AdapterError, GeometryError, ImageError, SettingsError
from sam2lora.images.decoding import read_shape
from sam2lora.prompts.user_prompts import Box, PointPrompt, Prompts
from sam2lora.settings import FieldSizes, PrecisionChoice, Settings
from sam2lora.targets import InputMode
from sam2lora.types import Mask


class PredictSettings(Settings):
    """Settings of one call of `sam2lora predict`: images, targets, model and output folder.

    Raises
    ------
    AdapterError
        If an adapter is named although none is to be used.
    GeometryError
        If a coordinate is not finite, or the corners of the box are swapped or too close.
    SettingsError
        If the threshold is not between 0 and 1.
    """

    images: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="files, folders, datasets or patterns"
    )
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="names of the targets"
    )
    out: str = Field(description="folder for the masks")
    model: str = Field(default="nano", description="base model: a name, or a file with weights")
    adapter: str | None = Field(
        default=None,
        description="name, folder or run of an adapter; None: the shipped one, or else the newest",
    )
    outer_adapter: str | None = Field(
        default=None,
        description="the same for the target that one of these lies in, as the cup in the disc",
    )
    no_adapter: bool = Field(default=False, description="use the base model without adapter")
    points: tuple[PointPrompt, ...] = Field(default=(), description="points on and off the target")
    box: Box | None = Field(default=None, description="a box, (x0, y0, x1, y1)")
    mask: str | None = Field(default=None, description="file of a previous mask to start from")
    detail: InputMode | None = Field(
        default=None, description="input mode; None: the one the adapter was trained with"
    )
    threshold: float | None = Field(
        default=None,
        description="probability between 0 and 1 from which a pixel is in the mask; None: the "
        "adapter's",
    )
    tta: bool = Field(default=False, description="average over mirror images")
    field_sizes: FieldSizes = Field(
        default=(),
        description="for targets in tiles: diameters of the field of view in network pixels, over "
        "which predictions are averaged; none: that of the adapter",
    )
    device: str = Field(default="auto", description="where the network runs")
    precision: PrecisionChoice = Field(
        default="auto", description="numeric precision of the network"
    )
    probabilities: bool = Field(default=False, description="write probability maps, too")
    keep: bool = Field(default=False, description="keep existing masks")

    @model_validator(mode="after")
    def _check_consistency(self) -> "PredictSettings":
        check_model_choice(self.adapter, no_adapter=self.no_adapter, threshold=self.threshold)
        Prompts(self.points, self.box)
        return self

    @property
    def prompted(self) -> bool:
        """Whether there is a point, a box or a mask."""
        return bool(self.points or self.box or self.mask)

    def check_prompts_fit(self, images: int) -> None:
        """Check that prompts are for one target in one image.

        Parameters
        ----------
        images
            Number of images.

        Raises
        ------
        GeometryError
            If there are prompts, and several targets or images.
        """
        if self.prompted:
            check_one_target(len(dict.fromkeys(self.targets)), images)

    def prompts(self) -> Prompts:
        """Return the points, the box and the mask, read from its file.

        Raises
        ------
        ImageError
            If the mask cannot be read, is a label map without a legend, seems inverted, or has
            nothing on it.
        """
        mask = None if self.mask is None else self._read_mask(Path(self.mask).expanduser())
        return Prompts(self.points, self.box, mask)

    def _read_mask(self, path: Path) -> Mask:
        target, image = self.targets[0], Path(self.images[0]).expanduser()
        file = MaskFile(path, "half", target=target)
        if not image.is_file():
            mask = file.read((0, 0))  # of its own size
        else:
            shape = read_shape(image)
            mask = turned_upright(file.read(shape), shape, image, target=target)
        if not mask.any():
            raise ImageError(f"{path}: nothing is marked in it. Leave out --mask without one.")
        if looks_inverted(mask, target):
            raise ImageError(
                f"{path}: the mask of {target} covers {mask.mean():.0%} of the image, so it seems "
                "inverted. Invert it; white is the target."
            )
        return mask


def check_model_choice(
    adapter: str | Path | None, *, no_adapter: bool, threshold: float | None
) -> None:
    """Check that the adapter and the threshold are valid.

    Raises
    ------
    AdapterError
        If an adapter is named although none is to be used.
    SettingsError
        If the threshold is not between 0 and 1.
    """
    if no_adapter and adapter is not None:
        raise AdapterError("--bare is without an adapter, and --adapter names one. Leave one out.")
    if threshold is not None and not 0 < threshold < 1:
        raise SettingsError(f"A threshold is a probability between 0 and 1, not {threshold}.")


def check_one_target(targets: int, images: int) -> None:
    """Check that prompts are for one target in one image.

    Raises
    ------
    GeometryError
        If there are several targets or images.
    """
    if images > 1 or targets > 1:
        raise GeometryError(
            f"Points, boxes and masks belong to one target in one image; there are {targets} "
            f"targets and {images} images."
        )


def merge_targets(settings: Iterable[PredictSettings]) -> list[PredictSettings]:
    """Merge settings that differ in their targets only, for one command."""
    merged: dict[PredictSettings, list[str]] = {}
    for each in settings:
        common = each.model_copy(update={"targets": ("",)})
        merged.setdefault(common, []).extend(each.targets)
    return [common.model_copy(update={"targets": tuple(names)}) for common, names in merged.items()]


def command_args(settings: PredictSettings) -> list[str]:
    """Return the arguments of the command that these settings stand for, without defaults."""
    args = ["sam2lora", "predict", *settings.images]
    for target in settings.targets:
        args += ["--target", target]
    args += ["--out", settings.out, "--model", settings.model]
    return args + list(predict_options(settings))


def command_line(args: Sequence[str]) -> str:
    """Join arguments, quoted for the shell of this operating system."""
    return subprocess.list2cmdline(args) if os.name == "nt" else shlex.join(args)


def predict_options(settings: PredictSettings) -> Iterator[str]:
    """Yield the options that differ from the defaults, without images, targets, model and folder.

    `=` keeps a minus sign from being a flag.
    """
    for point in settings.points:
        branch = ",branch" if point.branch else ""
        yield f"--point={point.x!r},{point.y!r},{'+' if point.positive else '-'}{branch}"
    if settings.box:
        yield f"--box={','.join(map(repr, settings.box))}"
    named = {
        "adapter": settings.adapter,
        "outer-adapter": settings.outer_adapter,
        "mask": settings.mask,
        "detail": settings.detail,
        "threshold": settings.threshold,
    }
    for name, value in named.items():
        if value is not None:
            yield from (f"--{name}", str(value))
    for name, choice in (("device", settings.device), ("precision", settings.precision)):
        if choice != "auto":
            yield from (f"--{name}", choice)
    yield from (f"--field-size={size}" for size in settings.field_sizes)
    flags = {
        "bare": settings.no_adapter,
        "tta": settings.tta,
        "probabilities": settings.probabilities,
        "keep": settings.keep,
    }
    yield from (f"--{name}" for name, is_set in flags.items() if is_set)

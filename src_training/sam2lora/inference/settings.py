"""What `sam2lora predict` is asked for, and the command line that asks for it. No torch."""

import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from sam2lora.errors import AdapterError, GeometryError, SettingsError
from sam2lora.images.reading import read_mask
from sam2lora.prompts.user_prompts import Box, PointPrompt, Prompts
from sam2lora.settings import PrecisionChoice, Settings
from sam2lora.targets import InputMode


class PredictSettings(Settings):
    """One call of `sam2lora predict`: which images, which targets, by what, and where to.

    Raises
    ------
    AdapterError
        If an adapter is named and none is to be used.
    GeometryError
        If a coordinate is not finite, or the box is turned round or too small.
    SettingsError
        If the threshold is not between 0 and 1.
    """

    images: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="files, folders, data sets or patterns"
    )
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="their names")
    out: str = Field(description="folder for the masks")
    model: str = Field(default="nano", description="base model: a name, or a file with weights")
    adapter: str | None = Field(
        default=None,
        description="name, folder or run of an adapter; None: the shipped one, else the newest",
    )
    no_adapter: bool = Field(default=False, description="answer by the base model alone")
    points: tuple[PointPrompt, ...] = Field(default=(), description="points on and off the target")
    box: Box | None = Field(default=None, description="a box, (x0, y0, x1, y1)")
    mask: str | None = Field(default=None, description="file of a previous mask to start from")
    detail: InputMode | None = Field(
        default=None, description="how images are looked at; None: as the adapter was trained"
    )
    threshold: float | None = Field(
        default=None,
        description="probability between 0 and 1 that makes the mask; None: the adapter's",
    )
    tta: bool = Field(default=False, description="average over mirror images")
    device: str = Field(default="auto", description="where the network runs")
    precision: PrecisionChoice = Field(default="auto", description="how exactly it computes")
    probabilities: bool = Field(default=False, description="write probabilities as well")
    keep: bool = Field(default=False, description="leave masks that are there already alone")

    @model_validator(mode="after")
    def _check_what_goes_together(self) -> "PredictSettings":
        check_model_choice(self.adapter, no_adapter=self.no_adapter, threshold=self.threshold)
        Prompts(self.points, self.box)
        return self

    @property
    def prompted(self) -> bool:
        """Whether something points at the target."""
        return bool(self.points or self.box or self.mask)

    def check_prompts_fit(self, images: int) -> None:
        """Refuse prompts for more than one target in one image.

        Parameters
        ----------
        images
            How many there are.

        Raises
        ------
        GeometryError
            If a point, a box or a mask is given for several.
        """
        if self.prompted:
            check_one_target(len(dict.fromkeys(self.targets)), images)

    def prompts(self) -> Prompts:
        """Return the points, the box and the mask as the predictor takes them.

        Raises
        ------
        ImageError
            If the mask cannot be read.
        """
        mask = None if self.mask is None else read_mask(Path(self.mask).expanduser())
        return Prompts(self.points, self.box, mask)


def check_model_choice(
    adapter: str | Path | None, *, no_adapter: bool, threshold: float | None
) -> None:
    """Refuse a choice of the model that contradicts itself.

    Raises
    ------
    AdapterError
        If an adapter is named and none is to be used.
    SettingsError
        If the threshold is not between 0 and 1.
    """
    if no_adapter and adapter is not None:
        raise AdapterError("--bare is without an adapter, and --adapter names one. Leave one out.")
    if threshold is not None and not 0 < threshold < 1:
        raise SettingsError(f"A threshold is a probability between 0 and 1, not {threshold}.")


def check_one_target(targets: int, images: int) -> None:
    """Refuse prompts for more than one target in one image.

    Raises
    ------
    GeometryError
        If there are several of either.
    """
    if images > 1 or targets > 1:
        raise GeometryError(
            f"Points, boxes and masks belong to one target in one image; there are {targets} "
            f"targets and {images} images."
        )


def together(settings: Iterable[PredictSettings]) -> list[PredictSettings]:
    """Join settings that differ in their targets alone, as one command can do them."""
    joined: dict[PredictSettings, list[str]] = {}
    for one in settings:
        same = one.model_copy(update={"targets": ("",)})
        joined.setdefault(same, []).extend(one.targets)
    return [same.model_copy(update={"targets": tuple(names)}) for same, names in joined.items()]


def command_words(settings: PredictSettings) -> list[str]:
    """Give the words of the command that does what these settings say; defaults are left out."""
    words = ["sam2lora", "predict", *settings.images]
    for target in settings.targets:
        words += ["--target", target]
    words += ["--out", settings.out, "--model", settings.model]
    return words + list(_options(settings))


def command_line(words: Sequence[str]) -> str:
    """Join words as the shell of this operating system takes them apart again."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _options(settings: PredictSettings) -> Iterator[str]:
    """Give what differs from the defaults, in words. `=` keeps a minus sign from being a flag."""
    for point in settings.points:
        yield f"--point={point.x!r},{point.y!r},{'+' if point.positive else '-'}"
    if settings.box:
        yield f"--box={','.join(map(repr, settings.box))}"
    named = {
        "adapter": settings.adapter,
        "mask": settings.mask,
        "detail": settings.detail,
        "threshold": settings.threshold,
    }
    for name, value in named.items():
        if value is not None:
            yield from (f"--{name}", str(value))
    for name, chosen in (("device", settings.device), ("precision", settings.precision)):
        if chosen != "auto":
            yield from (f"--{name}", chosen)
    flags = {
        "bare": settings.no_adapter,
        "tta": settings.tta,
        "probabilities": settings.probabilities,
        "keep": settings.keep,
    }
    yield from (f"--{name}" for name, chosen in flags.items() if chosen)

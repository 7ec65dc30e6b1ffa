"""The card of an adapter, `sam2lora.json`: everything needed to use and to assess it."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from sam2lora.errors import AdapterError
from sam2lora.settings import DetailHeadSettings, GeometrySettings, LoraSettings, Settings
from sam2lora.targets import Target
from sam2lora.utils.json_files import read_json_object
from sam2lora.utils.names import is_reserved

FORMAT: Final = 1
"""Version of the card; a newer one is refused rather than misread."""

NOTICE = "For research use only. Not a medical device."

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LIBRARIES = ("napari-sam2lora", "torch", "peft", "sam2", "safetensors")
_LARGEST = 1 << 20  # bytes of a card


def check_name(name: str) -> str:
    """Return `name` if it is a valid name for an adapter on every operating system.

    Raises
    ------
    AdapterError
        If it is not.
    """
    if not _NAME.fullmatch(name) or is_reserved(name):
        raise AdapterError(
            f"{name!r} is not a valid name for an adapter. Use 1 to 64 letters, digits, '.', '_' "
            "and '-', with a letter or digit first and last."
        )
    return name


def _is_name(name: str) -> str:
    try:
        return check_name(name)
    except AdapterError as error:
        raise ValueError(str(error)) from error


def _is_plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("has control characters")
    return text


_Text = Annotated[str, Field(max_length=20_000), AfterValidator(_is_plain)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Numbers = ConfigDict(allow_inf_nan=False)


class BaseReference(Settings):
    """The base model an adapter is for."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = Field(
        description="name of the base model"
    )
    identity: _Digest = Field(
        description="SHA-256 of its weights, as `sam2lora models verify` shows it"
    )


class AdapterReference(Settings):
    """The adapter a training started from."""

    name: Annotated[str, AfterValidator(_is_name)] = Field(description="its name then")
    digest: _Digest = Field(description="SHA-256 of its files of tensors")


class AdapterCard(Settings):
    """What an adapter segments, the base model it fits, and how it was trained."""

    model_config = _Numbers

    format: Literal[1] = Field(default=FORMAT, description="version of this file's format")
    name: Annotated[str, AfterValidator(_is_name)] = Field(description="name of the adapter")
    target: Target = Field(
        description="what it segments; complete, for computers without this target"
    )
    base: BaseReference = Field(description="the base model it belongs to")
    geometry: GeometrySettings = Field(description="how images are presented to the network")
    lora: LoraSettings = Field(description="adapted layers and size; rank and alpha are set")
    detail_head: DetailHeadSettings | None = Field(
        default=None,
        description="size and inputs of its detail head, in detail_head.safetensors; None: it has "
        "none",
    )
    threshold: float = Field(
        gt=0, lt=1, description="probability from which a pixel belongs to the mask"
    )
    iou_offset: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="added to the network's predicted IoU: with a detail head, what was missing to "
        "the true IoU on the validation images",
    )
    multimask_token: bool = Field(
        default=False,
        description="take the first of SAM 2's three masks, not its single one (the paper's)",
    )
    trainable: int = Field(ge=1, description="number of trained weights")
    share: float = Field(gt=0, description="trained weights in percent of the base model's")
    training: dict[str, JsonValue] = Field(default={}, description="settings of the training")
    data: dict[str, JsonValue] = Field(default={}, description="summary of the training data")
    data_hash: _Digest | None = Field(default=None, description="hash of the training data")
    validation: dict[str, JsonValue] = Field(
        default={},
        description="metrics on the validation images; lists show dice next to start_dice, "
        "the Dice of started_from on the same images; of a point, closeness and start_closeness",
    )
    started_from: AdapterReference | None = Field(
        default=None, description="the adapter the training started from"
    )
    versions: dict[_Text, _Text] = Field(default={}, description="versions of the libraries")
    created: AwareDatetime = Field(description="when it was trained")
    purpose: _Text = Field(default="", description="intended use")
    limits: _Text = Field(default="", description="known weaknesses, and what is untested")
    commands: tuple[_Text, ...] = Field(default=(), description="commands that reproduce it")
    results: dict[str, JsonValue] = Field(
        default={}, description="metrics on images that were not used for training"
    )
    license: _Text = Field(default="not stated", description="license of these weights")
    notice: _Text = Field(default=NOTICE, description="notice to every user")

    @model_validator(mode="after")
    def _check_settled(self) -> Self:
        if self.lora.rank is None or self.lora.alpha is None:
            raise ValueError("rank and alpha of an adapter must be set")
        return self

    def renamed(self, name: str) -> Self:
        """Return the same card under another name.

        Raises
        ------
        AdapterError
            If the name is not valid.
        """
        return self.model_copy(update={"name": check_name(name)})

    def to_json(self) -> str:
        """Return the content of `sam2lora.json`."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


def read_card(path: Path) -> AdapterCard:
    """Read `sam2lora.json`.

    Raises
    ------
    AdapterError
        If the file is missing, too large, not a valid card, or written by a newer version; the
        message names the file and the field.
    """
    content = read_json_object(path, error=AdapterError, largest=_LARGEST)
    version = content.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise AdapterError(
            f"{path}: has format {version}, this version reads {FORMAT}. Update napari-sam2lora."
        )
    try:
        return AdapterCard.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the card as a whole"
        raise AdapterError(
            f"{path}: is not a valid card of an adapter ({field}: {first['msg']})."
        ) from error


def library_versions(names: Iterable[str] = _LIBRARIES) -> dict[str, str]:
    """Return the versions of the installed libraries that a result depends on."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def now() -> datetime:
    """Return the current time in UTC, to the second, as it is written in cards."""
    return datetime.now(UTC).replace(microsecond=0)

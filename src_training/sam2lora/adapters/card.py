"""The card of an adapter, `sam2lora.json`: all that has to be known to use and to judge it."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

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
from sam2lora.settings import GeometrySettings, LoraSettings, Settings
from sam2lora.targets import Target

FORMAT: Final = 1
"""Version of the card; a newer one is refused rather than half understood."""

NOTICE = "For research use only. Not a medical device."

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LIBRARIES = ("napari-sam2lora", "torch", "peft", "sam2", "safetensors")
_LARGEST = 1 << 20  # bytes of a card


def check_name(name: str) -> str:
    """Give `name` back if an adapter can be called that on every operating system.

    Raises
    ------
    AdapterError
        If it cannot.
    """
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise AdapterError(
            f"{name!r} cannot be the name of an adapter. Use 1 to 64 letters, digits, '.', '_' and "
            "'-', with a letter or digit first and last."
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
        description="its name in the table of base models"
    )
    identity: _Digest = Field(description="hash of its weights, as `sam2lora models verify` shows")


class AdapterReference(Settings):
    """The adapter a training went on from."""

    name: Annotated[str, AfterValidator(_is_name)] = Field(description="what it was called")
    digest: _Digest = Field(description="SHA-256 of its adapter_model.safetensors")


class AdapterCard(Settings):
    """What an adapter is, is for, and came from."""

    model_config = _Numbers

    format: Literal[1] = Field(default=FORMAT, description="version of this file")
    name: Annotated[str, AfterValidator(_is_name)] = Field(description="what it is called")
    target: Target = Field(description="what it segments, whole, so that it is known elsewhere too")
    base: BaseReference = Field(description="the base model it is for")
    geometry: GeometrySettings = Field(description="how images are shown to it")
    lora: LoraSettings = Field(description="its layers and size; rank and alpha are numbers")
    threshold: float = Field(gt=0, lt=1, description="probability that makes the mask")
    multimask_token: bool = Field(
        default=False,
        description="its mask is the first of SAM 2's three, not its single one (the paper's)",
    )
    trainable: int = Field(ge=1, description="weights that were trained")
    share: float = Field(gt=0, description="the same in percent of the base model's")
    training: dict[str, JsonValue] = Field(default={}, description="settings of the training")
    data: dict[str, JsonValue] = Field(default={}, description="summary of the training data")
    data_hash: _Digest | None = Field(default=None, description="hash of the training data")
    validation: dict[str, JsonValue] = Field(
        default={},
        description="metrics on the validation images; dice is shown in lists, beside start_dice, "
        "which is that of started_from on the same images",
    )
    started_from: AdapterReference | None = Field(
        default=None, description="the adapter the training went on from"
    )
    versions: dict[_Text, _Text] = Field(default={}, description="of the libraries")
    created: AwareDatetime = Field(description="when")
    purpose: _Text = Field(default="", description="what it is for")
    limits: _Text = Field(default="", description="where it is known to be weak, or untested")
    commands: tuple[_Text, ...] = Field(default=(), description="what makes it again")
    results: dict[str, JsonValue] = Field(
        default={}, description="figures on images that were kept out of the training"
    )
    license: _Text = Field(default="not stated", description="of these weights")
    notice: _Text = Field(default=NOTICE, description="what whoever uses it has to know")

    @model_validator(mode="after")
    def _check_settled(self) -> Self:
        if self.lora.rank is None or self.lora.alpha is None:
            raise ValueError("rank and alpha of an adapter have to be numbers")
        return self

    def renamed(self, name: str) -> Self:
        """Give the same card under another name.

        Raises
        ------
        AdapterError
            If an adapter cannot be called that.
        """
        return self.model_copy(update={"name": check_name(name)})

    def to_json(self) -> str:
        """Give the content of `sam2lora.json`."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


def read_card(path: Path) -> AdapterCard:
    """Read `sam2lora.json`.

    Raises
    ------
    AdapterError
        If it is missing, too large, no card, or made by a newer version; the message says where.
    """
    content = read_json(path, _LARGEST)
    made_by = content.get("format")
    if isinstance(made_by, int) and made_by > FORMAT:
        raise AdapterError(
            f"{path}: has format {made_by}, this version reads {FORMAT}. Update napari-sam2lora."
        )
    try:
        return AdapterCard.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the whole"
        raise AdapterError(
            f"{path}: is no card of an adapter ({place}: {first['msg']})."
        ) from error


def read_json(path: Path, largest: int) -> dict[str, Any]:
    """Read a small JSON object that others may have written.

    Raises
    ------
    AdapterError
        If it is missing, larger than `largest` bytes, or no JSON object.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(largest + 1)
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if len(raw) > largest:
        raise AdapterError(f"{path}: has more than {largest} bytes, so it is not what it says.")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path}: is truncated or no JSON ({error}).") from error
    if not isinstance(content, dict):
        raise AdapterError(f"{path}: is no JSON object.")
    return content


def library_versions(names: Iterable[str] = _LIBRARIES) -> dict[str, str]:
    """Give the versions of the libraries a result depends on, of those installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def now() -> datetime:
    """Give the time, to the second, as cards state it."""
    return datetime.now(UTC).replace(microsecond=0)

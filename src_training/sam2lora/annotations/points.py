"""A point of an image on disk, as a JSON file: what a mask file is for a target with an extent."""

import json
from pathlib import Path

from pydantic import Field, ValidationError

from sam2lora.errors import ImageError
from sam2lora.settings import Settings
from sam2lora.utils.files import atomic_path
from sam2lora.utils.json_files import read_json_object


class PointAnnotation(Settings):
    """Where a target is that is a point, such as the fovea."""

    target: str = Field(description="name of the target")
    x: float = Field(allow_inf_nan=False, description="column in native pixels, from 0")
    y: float = Field(allow_inf_nan=False, description="row in native pixels, from 0")
    confidence: float = Field(
        default=1.0, ge=0, le=1, description="of a network, 0…1; 1 if a person set it"
    )


def save_point(path: Path, point: PointAnnotation) -> None:
    """Write a point as `<stem>_<target>.json`.

    Raises
    ------
    OutputError
        If the file cannot be written; an existing file is kept.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(point.model_dump(), indent=2) + "\n", encoding="utf-8")


def read_point(path: Path) -> PointAnnotation:
    """Read a point.

    Raises
    ------
    ImageError
        If the file cannot be read, or is not a point; the message names the file and the field.
    """
    content = read_json_object(path, error=ImageError)
    try:
        return PointAnnotation.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file as a whole"
        raise ImageError(f"{path}: is not a point ({field}: {first['msg']}).") from error

"""The targets to find: vessel, optic disc, optic cup, the fovea, and those a user adds.

Most are masks; the fovea is a point, which has no extent, no mask and no label. A user's own
targets are stored as `targets.json` in the configuration folder, shared by the viewer and the
command line.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

import numpy as np
import platformdirs
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from sam2lora.errors import GeometryError, TargetError
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.json_files import read_json

InputMode = Literal["whole", "tiles", "zoom", "squash"]


class Target(BaseModel):
    """A structure to segment, its display, and how images are presented to the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = Field(
        description="lower-case name, used in file names and layer names"
    )
    kind: Literal["mask", "point"] = Field(
        default="mask", description="mask: an area; point: one place in the image"
    )
    label: int = Field(
        ge=0, le=255, description="value in a combined label map; 0 for a point, which is in none"
    )
    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$", description="colour of the layer, #RRGGBB")
    detail: InputMode = Field(
        default="whole",
        description="whole: the field of view at once; tiles: overlapping tiles, for fine "
        "structures; zoom: the field, then a crop around the first prediction, for compact ones; "
        "squash: the image stretched to a square, as in SAM 2 itself",
    )
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="probability from which a pixel belongs to the target"
    )
    convex: bool = Field(
        default=False,
        description="compact and convex, as disc and cup are: predictions become the inside of a "
        "smooth outline around their largest part",
    )
    inside: str | None = Field(
        default=None,
        description="name of the target it lies in, as the cup in the disc: that one is found "
        "first, this one is looked for there, and nothing of it lies outside",
    )

    @model_validator(mode="after")
    def _check_label(self) -> Self:
        if (self.label == 0) != (self.kind == "point"):
            raise ValueError("a point has the label 0, and a mask one from 1 to 255")
        return self

    @property
    def measure(self) -> str:
        """Name of what a training is validated by: Dice, or the closeness of a point."""
        return "Dice" if self.kind == "mask" else "closeness"


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        target.name: target
        for target in (
            Target(name="vessel", label=1, color="#e6194b", detail="tiles"),
            Target(name="disc", label=2, color="#ffd23f", detail="zoom", convex=True),
            Target(name="cup", label=3, color="#3bceac", detail="zoom", convex=True, inside="disc"),
        )
    }
)
"""The built-in targets that are masks."""

FOVEA = Target(name="fovea", kind="point", label=0, color="#42d4f4", detail="zoom")
"""The center of the macula: the built-in target that is a point."""


def config_folder() -> Path:
    """Return the folder of the user's settings (`SAM2LORA_CONFIG` overrides the default)."""
    override = os.environ.get("SAM2LORA_CONFIG")
    return Path(override) if override else platformdirs.user_config_path("napari-sam2lora")


def all_targets() -> dict[str, Target]:
    """Return the built-in targets that are masks, followed by the user's own, by name.

    Raises
    ------
    TargetError
        If `targets.json` cannot be read; the message names the file.
    """
    own = _own_targets()
    return dict(TARGETS) | {name: target for name, target in own.items() if target.kind == "mask"}


def point_targets() -> dict[str, Target]:
    """Return the fovea, followed by the user's own targets that are points, by name.

    A user's own target that is called fovea replaces it.

    Raises
    ------
    TargetError
        If `targets.json` cannot be read; the message names the file.
    """
    known = {FOVEA.name: FOVEA} | _own_targets()
    return {name: target for name, target in known.items() if target.kind == "point"}


def selectable_targets() -> dict[str, Target]:
    """Return the targets that are masks, followed by those that are points, by name.

    Raises
    ------
    TargetError
        If `targets.json` cannot be read; the message names the file.
    """
    return all_targets() | point_targets()


def get_target(name: str) -> Target:
    """Return the target called `name`, a mask or a point.

    Raises
    ------
    TargetError
        If there is none; the message lists the known ones.
    """
    targets = selectable_targets()
    if name not in targets:
        raise TargetError(f"No target is called {name!r}. There are: {', '.join(targets)}.")
    return targets[name]


def save_target(target: Target) -> None:
    """Save a user's own target, replacing the one of the same name.

    Raises
    ------
    TargetError
        If the name is that of a built-in target, another target has the label value, or the target
        that it lies in is unknown, a point, or lies in this one.
    """
    if target.name in TARGETS or target.name == FOVEA.name:
        raise TargetError(f"The target {target.name!r} is built in and cannot be changed.")
    own = _own_targets() | {target.name: target}
    masks = {name: one for name, one in (dict(TARGETS) | own).items() if one.kind == "mask"}
    _check_nesting(target, masks)
    for other in masks.values():
        if other.label == target.label and other.name != target.name:
            raise TargetError(
                f"Label value {target.label} belongs to the target {other.name!r}; choose another."
            )
    _write_own_targets(own)


def _check_nesting(target: Target, known: Mapping[str, Target]) -> None:
    around: list[str] = []
    outer = target.inside
    while outer is not None:
        if outer not in known:
            raise TargetError(
                f"{target.name!r} is to lie in {outer!r}, and there is no such target. There are: "
                f"{', '.join(known)}."
            )
        if outer == target.name or outer in around:
            raise TargetError(f"{target.name!r} is to lie in {outer!r}, which lies in it.")
        around.append(outer)
        outer = known[outer].inside


def delete_target(name: str) -> None:
    """Delete one of the user's own targets.

    Raises
    ------
    TargetError
        If the user has no target of that name, or another one lies in it.
    """
    own = _own_targets()
    if name not in own:
        raise TargetError(f"{name!r} is not one of your own targets, so it cannot be deleted.")
    inner = [target.name for target in own.values() if target.inside == name]
    if inner:
        raise TargetError(f"{inner[0]!r} lies in {name!r}. Delete {inner[0]!r} first.")
    del own[name]
    _write_own_targets(own)


def combine(
    masks: Mapping[str, NDArray[np.bool_]], *, priority: Iterable[str] = ("vessel", "cup", "disc")
) -> NDArray[np.uint8]:
    """Combine one mask per target into a single label map.

    Parameters
    ----------
    masks
        Target name to mask, all `(H, W)` bool.
    priority
        Where masks overlap, the target named first wins. Targets not named come last, in the order
        of `masks`.

    Returns
    -------
    `(H, W)` uint8: 0 for the background, else the target's label value.

    Raises
    ------
    TargetError
        If a target is unknown.
    GeometryError
        If `masks` is empty or the shapes differ.
    """
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) != 1:
        found = ", ".join(f"{name} {mask.shape}" for name, mask in masks.items()) or "none"
        raise GeometryError(f"The masks must have the same size; found: {found}.")
    first = [name for name in priority if name in masks]
    order = first + [name for name in masks if name not in first]
    labels = np.zeros(shapes.pop(), dtype=np.uint8)
    for name in reversed(order):
        labels[masks[name]] = get_target(name).label
    return labels


_TARGET_LIST = TypeAdapter(list[Target])


def _own_file() -> Path:
    return config_folder() / "targets.json"


def _own_targets() -> dict[str, Target]:
    path = _own_file()
    if not path.exists():
        return {}
    content = read_json(path, error=TargetError)
    try:
        targets = _TARGET_LIST.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file as a whole"
        raise TargetError(
            f"{path}: your targets cannot be read ({place}: {first['msg']}). Correct it, or delete "
            "it to start without targets of your own."
        ) from error
    return {target.name: target for target in targets}


def _write_own_targets(own: Mapping[str, Target]) -> None:
    make_folder(config_folder())
    with atomic_path(_own_file()) as temporary:
        content = [target.model_dump() for target in own.values()]
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

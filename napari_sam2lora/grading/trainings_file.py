"""`trainings.json` of a grader: what trainings in the background start from, and what they made."""

import json
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, ValidationError

from sam2lora.adapters.card import AdapterReference
from sam2lora.errors import SessionError
from sam2lora.settings import Settings
from sam2lora.utils.files import durable_path
from sam2lora.utils.json_files import read_json_object

FORMAT: Final = 1
FILE_NAME = "trainings.json"


class TargetTrainings(Settings):
    """The trainings of one target by one grader."""

    initial: AdapterReference | None = Field(
        default=None, description="the adapter that every training starts from; None before any"
    )
    made: tuple[str, ...] = Field(
        default=(), description="names of the adapters of all trainings, finished or not"
    )
    used: tuple[str, ...] = Field(
        default=(), description="those that came into use one after another, and were not undone"
    )
    trained: tuple[str, ...] = Field(
        default=(), description="stems of the images of the last training that finished"
    )

    def before(self, adapter: str) -> tuple[str, ...]:
        """Return what was in use before an adapter of `used`, the latest first; none for others."""
        if self.initial is None or adapter not in self.used:
            return ()
        earlier = (self.initial.name, *self.used[: self.used.index(adapter)])
        return earlier[::-1]

    def up_to(self, adapter: str) -> Self:
        """Return the same without what came into use after an adapter of `used`, or any other."""
        kept = self.used.index(adapter) + 1 if adapter in self.used else 0
        return self.model_copy(update={"used": self.used[:kept]})


class Trainings(Settings):
    """The content of `trainings.json`."""

    format: Literal[1] = FORMAT
    targets: dict[str, TargetTrainings] = Field(default={}, description="by the target's name")

    def of(self, target: str) -> TargetTrainings:
        """Return the trainings of a target; empty ones if there were none."""
        return self.targets.get(target, TargetTrainings())


def read_trainings(folder: Path) -> Trainings:
    """Read the trainings of a grader; there are none without the file.

    Parameters
    ----------
    folder
        The grader's folder in the session.

    Raises
    ------
    SessionError
        If the file is damaged, or a newer version wrote it.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return Trainings()
    try:
        return Trainings.model_validate(read_json_object(path, error=SessionError))
    except (SessionError, ValidationError) as error:
        raise SessionError(
            f"{path}: cannot be read, so what was trained before is not known. The next training "
            "writes it anew."
        ) from error


def write_trainings(folder: Path, target: str, trainings: TargetTrainings) -> None:
    """Write the trainings of one target, whole or not at all; those of other targets stay.

    A damaged file is replaced.

    Raises
    ------
    OutputError
        If it cannot be written; the earlier file stays.
    """
    try:
        before = read_trainings(folder)
    except SessionError:
        before = Trainings()
    content = before.model_copy(update={"targets": {**before.targets, target: trainings}})
    with durable_path(folder / FILE_NAME) as temporary:
        text = json.dumps(content.model_dump(mode="json"), indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")

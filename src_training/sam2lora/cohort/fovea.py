"""The fovea of an image: marked in its dataset, or in a file beside its masks."""

from dataclasses import dataclass
from typing import Literal, Self

from sam2lora.annotations.points import read_point
from sam2lora.datasets import Record
from sam2lora.datasets.ellipses import Landmark
from sam2lora.targets import FOVEA


@dataclass(frozen=True)
class Fovea:
    """The fovea of an image.

    Attributes
    ----------
    x, y
        Its place in native pixels.
    source
        Who says so: the dataset, the network, or a user's hand.
    confidence
        Of the network, 0…1; None where it is not the network's.
    """

    x: float
    y: float
    source: Literal["dataset", "predicted", "hand"]
    confidence: float | None = None

    @property
    def place(self) -> tuple[float, float]:
        """Its place, (x, y) in native pixels."""
        return self.x, self.y

    @classmethod
    def located(cls, x: float, y: float, confidence: float) -> Self:
        """Return a fovea that was located; with the confidence 1, it was set by hand."""
        return cls(x, y, "hand") if confidence == 1 else cls(x, y, "predicted", confidence)


def fovea_of(record: Record) -> Fovea | None:
    """Return the fovea of an image; None if nothing marks it, as a user's own mask does not.

    Raises
    ------
    ImageError
        If its file cannot be read.
    """
    for file in record.masks_by(FOVEA.name, 1):
        if isinstance(file.drawn, Landmark):
            return Fovea(file.drawn.x, file.drawn.y, "dataset")
        if file.path.suffix == ".json":
            point = read_point(file.path)
            return Fovea.located(point.x, point.y, point.confidence)
    return None

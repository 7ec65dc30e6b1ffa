"""What the masks of one eye measure: `eye` measures, `definitions` says what each number is."""

from sam2lora.measurements.definitions import DEFINITIONS, Definition
from sam2lora.measurements.eye import EyeMeasurements, measure_eye
from sam2lora.measurements.structures import Extent, Measurements, measure

__all__ = [
    "DEFINITIONS",
    "Definition",
    "Extent",
    "EyeMeasurements",
    "Measurements",
    "measure",
    "measure_eye",
]

"""Names that fixtures and tests of sessions share."""

from collections.abc import Callable, Mapping

from sam2lora.types import Mask

STEMS = ("p1_left", "p1_right", "p2_left", "p2_right")

Eyes = Mapping[str, Mapping[str, Mask]]
Grade = Callable[..., None]

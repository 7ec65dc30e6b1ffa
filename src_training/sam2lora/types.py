"""Types in signatures."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""`(H, W)` bool."""

Pixels = NDArray[np.uint8]
"""`(H, W, 3)` RGB, unless stated otherwise."""

Spacing = tuple[float, float]
"""Millimetres per pixel: (row, column)."""

Place = tuple[float, float]
"""A point (x, y) in native pixels."""

Eye = Literal["left", "right"]

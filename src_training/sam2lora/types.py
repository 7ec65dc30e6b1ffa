"""Types of arrays in signatures."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""`(H, W)` bool."""

Pixels = NDArray[np.uint8]
"""`(H, W, 3)` RGB, unless stated otherwise."""

"""Masks to measure."""

import numpy as np
import pytest

from sam2lora.synthetic import draw_fundus


@pytest.fixture(scope="session")
def vessel_mask() -> np.ndarray:
    """Return the vessels of a synthetic eye, `(1024, 1024)` bool."""
    return draw_fundus(7).masks["vessel"]

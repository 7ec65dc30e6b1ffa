"""Fixtures that write the tiny datasets of these tests."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

SHAPE = (8, 12)


@pytest.fixture
def box() -> np.ndarray:
    """Return an (8, 12) mask of rows 2 to 4 and columns 3 to 6, which `outline` surrounds."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:5, 3:7] = True
    return mask


@pytest.fixture
def outline() -> list[tuple[float, float]]:
    """Return the (x, y) points of a polygon around the pixels of `box`."""
    return [(2.6, 1.6), (6.4, 1.6), (6.4, 4.4), (2.6, 4.4)]


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Return a function that writes a file in `tmp_path` in the format of its extension.

    "photo" stands for an (8, 12) image; bool masks are written as 0 and 255, other arrays as they
    are.
    """

    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content == "photo":
            content = np.full((*SHAPE, 3), (180, 90, 30), dtype=np.uint8)
        if isinstance(content, np.ndarray) and content.dtype == bool:
            content = content.astype(np.uint8) * 255
        if path.suffix == ".mat":
            savemat(path, content)
        elif isinstance(content, np.ndarray) and path.suffix == ".gz":
            buffer = io.BytesIO()
            Image.fromarray(content).save(buffer, format="PPM")
            path.write_bytes(gzip.compress(buffer.getvalue()))
        elif isinstance(content, np.ndarray):
            Image.fromarray(content).save(path)
        elif isinstance(content, dict):
            path.write_text(json.dumps(content))
        else:
            path.write_text(content)
        return path

    return write

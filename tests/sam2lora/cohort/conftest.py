"""A dataset to measure."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def data(eyes: Path, tmp_path: Path) -> Path:
    """Return a dataset of 8 eyes that a test may change."""
    return shutil.copytree(eyes, tmp_path / "data")

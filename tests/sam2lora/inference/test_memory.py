"""Estimates of memory."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference.memory import bytes_needed, memory_warning, windows_at_most
from sam2lora.models.loading import build_network
from sam2lora.models.registry import BASE_MODELS
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import tile_windows

NANO, TINY = BASE_MODELS["nano"], BASE_MODELS["tiny"]
TILES = GeometrySettings(detail="tiles")


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_features_take_what_the_network_says(name: str):
    assert BASE_MODELS[name].embedding_bytes == build_network(BASE_MODELS[name]).embedding_bytes


@pytest.mark.parametrize("base", [NANO, TINY], ids=["nano", "tiny"])
def test_there_are_no_more_tiles_than_estimated(base):
    field = field_of_view_from_mask(np.ones((700, 700), bool))
    tiles = tile_windows(field, base.input_size, field_size=1600, overlap=0.25)
    assert len(tiles) <= windows_at_most(base, TILES) < 30


@pytest.mark.parametrize(("detail", "windows"), [("whole", 1), ("squash", 1), ("zoom", 2)])
def test_other_details_look_once_or_twice(detail, windows: int):
    assert windows_at_most(NANO, GeometrySettings(detail=detail)) == windows


def test_more_needs_more():
    small, large = (bytes_needed(NANO, shape, TILES) for shape in ((584, 565), (2336, 3504)))
    assert small < large < bytes_needed(TINY, (2336, 3504), TILES) < 8 << 30


def test_it_is_said_only_where_it_does_not_suffice():
    assert memory_warning(NANO, (584, 565), TILES, free=4 << 30) is None
    words = memory_warning(NANO, (20000, 30000), TILES, free=4 << 30)
    assert words is not None
    assert "30000 × 20000" in words
    assert "4.0 GiB are free" in words
    assert memory_warning(NANO, (64, 64), TILES, free=0) is not None

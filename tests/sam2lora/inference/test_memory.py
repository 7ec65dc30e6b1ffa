"""The estimate of memory, and the warning."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference.memory import bytes_needed, max_windows, memory_warning
from sam2lora.models.loading import build_network
from sam2lora.models.registry import BASE_MODELS
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import tile_windows

NANO, TINY = BASE_MODELS["nano"], BASE_MODELS["tiny"]
TILES = GeometrySettings(detail="tiles")


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_embedding_bytes_of_the_registry_match_the_network(name: str):
    assert BASE_MODELS[name].embedding_bytes == build_network(BASE_MODELS[name]).embedding_bytes


@pytest.mark.parametrize("base", [NANO, TINY], ids=["nano", "tiny"])
def test_max_windows_is_an_upper_bound_of_tiles(base):
    field = field_of_view_from_mask(np.ones((700, 700), bool))
    tiles = tile_windows(field, base.input_size, field_size=1600, overlap=0.25)
    assert len(tiles) <= max_windows(base, TILES) < 30


@pytest.mark.parametrize(("detail", "windows"), [("whole", 1), ("squash", 1), ("zoom", 2)])
def test_max_windows_of_other_input_modes(detail, windows: int):
    assert max_windows(NANO, GeometrySettings(detail=detail)) == windows


def test_memory_estimate_grows_with_image_and_model():
    small, large = (bytes_needed(NANO, shape, TILES) for shape in ((584, 565), (2336, 3504)))
    assert small < large < bytes_needed(TINY, (2336, 3504), TILES) < 8 << 30


def test_a_detail_head_needs_more():
    coarse, fine = (
        bytes_needed(NANO, (584, 565), TILES, detail_head=head, loaded=True)
        for head in (False, True)
    )
    assert coarse < fine < 3 * coarse


def test_memory_warning_only_if_there_is_not_enough():
    assert memory_warning(NANO, (584, 565), TILES, free=4 << 30) is None
    text = memory_warning(NANO, (20000, 30000), TILES, free=4 << 30)
    assert text is not None
    assert "30000 × 20000" in text
    assert "4.0 GiB are free" in text
    assert memory_warning(NANO, (64, 64), TILES, free=0) is not None

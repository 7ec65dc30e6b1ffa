"""Windows through the network nano with random weights: batches and caches."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.prepared_image import PreparedImage, windows_of
from sam2lora.inference.window_predictor import StepCounter, WindowPredictor
from sam2lora.models.loading import LoadedModel, random_base
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import Window
from sam2lora.utils.progress import no_progress


@pytest.fixture(scope="module")
def nano() -> LoadedModel:
    return random_base("nano")


@pytest.fixture(scope="module")
def prepared() -> PreparedImage:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 360, 3), dtype=np.uint8)
    rows, columns = np.ogrid[:300, :360]
    field = FieldOfView(np.hypot(columns - 180, rows - 150) <= 140, (180, 150), 280)
    return PreparedImage.of(pixels, field=field)


@pytest.fixture(scope="module")
def tiles(prepared: PreparedImage) -> list[Window]:
    return windows_of(prepared, GeometrySettings(detail="tiles", field_size=760), 512)


def predictor(nano: LoadedModel, cache: EmbeddingCache, *, batch: int = 4) -> WindowPredictor:
    return WindowPredictor(
        nano, device="cpu", precision="float32", cache=cache, batch=batch, multimask_token=None
    )


def steps(total: int) -> StepCounter:
    return StepCounter(no_progress, total=total)


def logits(
    windows: WindowPredictor, prepared: PreparedImage, tiles: list[Window], prompts: Prompts
) -> np.ndarray:
    outputs = windows.decode(prepared, tiles, prompts, steps(2 * len(tiles)))
    return np.stack([output.logits for output in outputs])


def test_each_window_counts_as_encoded_and_decoded_also_from_the_cache(
    nano: LoadedModel, prepared: PreparedImage, tiles: list[Window]
) -> None:
    windows = predictor(nano, EmbeddingCache())
    for prompts in (Prompts(), Prompts(), Prompts((PointPrompt(70, 120),))):
        counter = steps(2 * len(tiles))
        windows.decode(prepared, tiles, prompts, counter)
        assert counter.done == counter.total


def test_prompt_reaches_only_the_windows_it_lies_in(
    nano: LoadedModel, prepared: PreparedImage, tiles: list[Window]
) -> None:
    windows, point = predictor(nano, EmbeddingCache()), Prompts((PointPrompt(70, 120),))
    before = logits(windows, prepared, tiles, Prompts())
    after = logits(windows, prepared, tiles, point)
    touched = [bool(point.within(tile).points) for tile in tiles]
    assert any(touched)
    assert not all(touched)
    assert [bool((a != b).any()) for a, b in zip(before, after, strict=True)] == touched


def test_cache_size_does_not_change_outputs(
    nano: LoadedModel, prepared: PreparedImage, tiles: list[Window]
) -> None:
    kept, forgetful = (predictor(nano, cache) for cache in (EmbeddingCache(), EmbeddingCache(0)))
    np.testing.assert_array_equal(
        logits(kept, prepared, tiles, Prompts()), logits(forgetful, prepared, tiles, Prompts())
    )


def test_batch_size_does_not_change_outputs(
    nano: LoadedModel, prepared: PreparedImage, tiles: list[Window]
) -> None:
    one, many = (predictor(nano, EmbeddingCache(), batch=batch) for batch in (1, 8))
    np.testing.assert_allclose(
        logits(one, prepared, tiles, Prompts()),
        logits(many, prepared, tiles, Prompts()),
        atol=1e-3,
    )


def test_cached_tensors_hold_no_more_memory_than_counted(
    nano: LoadedModel, prepared: PreparedImage, tiles: list[Window]
) -> None:
    cache = EmbeddingCache()
    windows = predictor(nano, cache)
    logits(windows, prepared, tiles, Prompts())
    kept = list(cache.memory._values.values())
    assert len(kept) > 1
    for embedding in kept:
        tensors = (embedding.image_embed, embedding.fine, embedding.middle)
        held = sum(tensor.untyped_storage().nbytes() for tensor in tensors)
        assert held == embedding.nbytes()
    for output in windows._unprompted._values.values():
        assert output.logits.base is None  # no view of a batch

"""Sides of the training benchmarks use whole batches, and cache embeddings or not."""

from unittest.mock import Mock

import pytest

from benchmarks.speed import training
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.training.prompted_model import PromptedNetwork


@pytest.mark.parametrize(
    ("prepare", "batches"),
    [(training.train_standard, [2]), (training.train_low_memory, [1, 1])],
)
def test_step_uses_the_whole_batch(small, small_base, monkeypatch, prepare, batches):
    sizes = []
    forward = PromptedNetwork.forward
    monkeypatch.setattr(
        PromptedNetwork,
        "forward",
        lambda self, images, prompts, *rest: (
            sizes.append(len(prompts)),
            forward(self, images, prompts, *rest),
        )[1],
    )
    prepare(small.model_copy(update={"batch": 2}))()
    assert sizes == batches


@pytest.mark.parametrize(
    ("prepare", "encoded"),
    [(training.quick_adapt_kept, [2, 0, 0]), (training.quick_adapt_encoding, [2, 2, 2])],
)
def test_cached_embeddings_are_computed_once(small, small_base, monkeypatch, prepare, encoded):
    turn = prepare(small)
    encode = Mock(wraps=Sam2ImageModel.encode)
    monkeypatch.setattr(Sam2ImageModel, "encode", lambda *args: encode(*args))
    counts = []
    for _ in range(3):
        encode.reset_mock()
        turn()
        counts.append(encode.call_count)
    assert counts == encoded


def test_plain_side_takes_a_step(small, small_base):
    assert training.train_plain(small)() > 0

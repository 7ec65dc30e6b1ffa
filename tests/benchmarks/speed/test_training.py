"""Sides of training: whole batches, and an encoder that is asked or not."""

from unittest.mock import Mock

import pytest

from benchmarks.speed import training
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.training.prompted_model import PromptedNetwork


@pytest.mark.parametrize(
    ("make", "batches"),
    [(training.train_standard, [2]), (training.train_low_memory, [1, 1])],
)
def test_a_step_learns_from_the_whole_batch(small, small_base, monkeypatch, make, batches):
    seen = []
    forward = PromptedNetwork.forward
    monkeypatch.setattr(
        PromptedNetwork,
        "forward",
        lambda self, images, prompts: (seen.append(len(prompts)), forward(self, images, prompts))[
            1
        ],
    )
    make(small.model_copy(update={"batch": 2}))()
    assert seen == batches


@pytest.mark.parametrize(
    ("make", "encoded"),
    [(training.quick_adapt_kept, [2, 0, 0]), (training.quick_adapt_encoding, [2, 2, 2])],
)
def test_kept_features_are_computed_once(small, small_base, monkeypatch, make, encoded):
    turn = make(small)
    encode = Mock(wraps=Sam2ImageModel.encode)
    monkeypatch.setattr(Sam2ImageModel, "encode", lambda *how: encode(*how))
    counts = []
    for _ in range(3):
        encode.reset_mock()
        turn()
        counts.append(encode.call_count)
    assert counts == encoded


def test_the_peer_does_a_step(small, small_base):
    assert training.train_plain(small)() > 0

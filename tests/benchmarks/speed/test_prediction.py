"""Sides of the prediction benchmarks repeat their work in every turn."""

from unittest.mock import Mock

import pytest

from benchmarks.speed import prediction
from sam2lora.models.sam2_image_model import Sam2ImageModel


@pytest.mark.parametrize(
    ("prepare", "encodes", "decodes"),
    [
        (prediction.encode_ours, 1, 0),
        (prediction.prompt_ours, 0, 1),
        (prediction.forward_base, 1, 1),
        (prediction.forward_merged, 1, 1),
        (prediction.forward_lora, 1, 1),
    ],
)
def test_every_turn_repeats_the_work(small, small_base, monkeypatch, prepare, encodes, decodes):
    turn = prepare(small)
    encode, decode = Mock(wraps=Sam2ImageModel.encode), Mock(wraps=Sam2ImageModel.decode)
    monkeypatch.setattr(Sam2ImageModel, "encode", lambda *args, **kwargs: encode(*args, **kwargs))
    monkeypatch.setattr(Sam2ImageModel, "decode", lambda *args, **kwargs: decode(*args, **kwargs))
    turn()
    turn()
    assert (encode.call_count, decode.call_count) == (2 * encodes, 2 * decodes)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_stock_sides_take_turns(small, small_base):
    prediction.encode_stock(small)()
    assert prediction.prompt_stock(small)().shape == (64, 96)

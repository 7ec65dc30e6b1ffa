"""Sides of prediction: each does its work again in every turn."""

from unittest.mock import Mock

import pytest

from benchmarks.speed import prediction
from sam2lora.models.sam2_image_model import Sam2ImageModel


@pytest.mark.parametrize(
    ("make", "encodes", "decodes"),
    [
        (prediction.encode_ours, 1, 0),
        (prediction.prompt_ours, 0, 1),
        (prediction.forward_base, 1, 1),
        (prediction.forward_merged, 1, 1),
        (prediction.forward_lora, 1, 1),
    ],
)
def test_a_turn_does_it_again(small, small_base, monkeypatch, make, encodes, decodes):
    turn = make(small)
    encode, decode = Mock(wraps=Sam2ImageModel.encode), Mock(wraps=Sam2ImageModel.decode)
    monkeypatch.setattr(Sam2ImageModel, "encode", lambda *how, **more: encode(*how, **more))
    monkeypatch.setattr(Sam2ImageModel, "decode", lambda *how, **more: decode(*how, **more))
    turn()
    turn()
    assert (encode.call_count, decode.call_count) == (2 * encodes, 2 * decodes)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_stock_takes_its_turns(small, small_base):
    prediction.encode_stock(small)()
    assert prediction.prompt_stock(small)().shape == (64, 96)

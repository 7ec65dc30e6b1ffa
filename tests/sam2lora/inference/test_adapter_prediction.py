"""Adapters in a `Predictor`: embeddings are shared only if the encoder is the same."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from sam2lora.adapters.folder import Adapter, open_adapter
from sam2lora.errors import AdapterError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import DetailHeadSettings, GeometrySettings, LoraSettings

WHOLE = GeometrySettings(detail="whole")
DECODER = LoraSettings(placement="decoder", rank=4, alpha=8)
POINT = Prompts((PointPrompt(100, 100),))


@pytest.fixture(scope="module")
def prepared() -> PreparedImage:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    return PreparedImage.of(pixels, field=FieldOfView(np.ones((200, 200), bool), (99.5, 99.5), 200))


class Counter:
    """Counts calls of the encoder and the decoder, and records which masks were requested."""

    def __init__(self, network: Sam2ImageModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded = self.decoded = 0
        self.multimask: bool | None = None
        encode, decode = network.encode, network.decode

        def counted_encode(images: torch.Tensor) -> object:
            self.encoded += 1
            return encode(images)

        def counted_decode(*arguments: object, multimask: bool = False) -> object:
            self.decoded += 1
            self.multimask = multimask
            return decode(*arguments, multimask=multimask)

        monkeypatch.setattr(network, "encode", counted_encode)
        monkeypatch.setattr(network, "decode", counted_decode)


@pytest.fixture
def counter(base: LoadedModel, monkeypatch) -> Counter:
    return Counter(base.network, monkeypatch)


@pytest.fixture
def predictor(base: LoadedModel, counter: Counter) -> Predictor:
    return Predictor(base, device="cpu", precision="float32")


Make = Callable[..., Adapter]


def test_adapter_changes_the_prediction_and_can_be_removed(make_adapter: Make, predictor, prepared):
    plain = predictor.predict(prepared, WHOLE).probabilities
    adapter = make_adapter()
    predictor.set_adapter(adapter)
    assert predictor.adapter is adapter
    adapted = predictor.predict(prepared, WHOLE).probabilities
    assert not np.array_equal(adapted, plain)
    predictor.set_adapter(None)
    assert predictor.adapter is None
    assert np.array_equal(predictor.predict(prepared, WHOLE).probabilities, plain)
    predictor.set_adapter(adapter)
    assert np.array_equal(predictor.predict(prepared, WHOLE).probabilities, adapted)


def test_a_detail_head_gets_the_pixels_of_its_windows(make_adapter: Make, predictor, prepared):
    coarse, fine = make_adapter("coarse"), make_adapter("fine", detail_head=DetailHeadSettings())
    predictor.set_adapter(coarse)
    before = predictor.predict(prepared, WHOLE, POINT).probabilities
    predictor.set_adapter(fine)
    drawn = predictor.predict(prepared, WHOLE, POINT).probabilities
    assert np.abs(drawn - before).max() > 0.01
    assert np.array_equal(predictor.predict(prepared, WHOLE, POINT).probabilities, drawn)
    predictor.set_adapter(coarse)
    assert np.array_equal(predictor.predict(prepared, WHOLE, POINT).probabilities, before)
    tiles = GeometrySettings(detail="tiles", field_size=900)
    predictor.set_adapter(fine)
    assert predictor.predict(prepared, tiles).probabilities.shape == (200, 200)


def test_predicted_iou_is_corrected_as_the_card_says(make_adapter: Make, predictor, prepared):
    adapter = make_adapter(detail_head=DetailHeadSettings())
    predictor.set_adapter(adapter)
    network_says = predictor.predict(prepared, WHOLE).iou
    for offset in (0.125, -0.125, 1.0):
        card = adapter.card.model_copy(update={"iou_offset": offset})
        predictor.set_adapter(replace(adapter, card=card))
        expected = min(max(network_says + offset, 0), 1)
        assert predictor.predict(prepared, WHOLE).iou == pytest.approx(expected)


def test_cached_predictions_are_those_of_the_active_adapter(
    make_adapter: Make, base, predictor, prepared
):
    """A predictor that has cached several adapters predicts the same as a new one."""
    adapters = [None, make_adapter("a"), make_adapter("b", lora=DECODER), make_adapter("c", seed=2)]
    for adapter in adapters:
        predictor.set_adapter(adapter)
        predictor.predict(prepared, WHOLE)
    for adapter in adapters:
        predictor.set_adapter(adapter)
        kept = predictor.predict(prepared, WHOLE).probabilities
        fresh = Predictor(base, device="cpu", precision="float32")
        assert np.array_equal(fresh.predict(prepared, WHOLE).probabilities, kept)


def test_decoder_adapters_share_embeddings(make_adapter: Make, predictor, prepared, counter):
    predictor.predict(prepared, WHOLE)
    assert (counter.encoded, counter.decoded) == (1, 1)
    for seed in (1, 2):
        predictor.set_adapter(make_adapter(f"decoder-{seed}", lora=DECODER, seed=seed))
        predictor.predict(prepared, WHOLE)
    assert (counter.encoded, counter.decoded) == (1, 3)
    predictor.set_adapter(make_adapter("all"))
    predictor.predict(prepared, WHOLE)
    assert (counter.encoded, counter.decoded) == (2, 4)
    predictor.set_adapter(None)
    predictor.predict(prepared, WHOLE)
    assert (counter.encoded, counter.decoded) == (2, 4), (
        "embedding and unprompted prediction are cached"
    )


def test_only_a_base_without_adapter_selects_from_three_masks(
    make_adapter, predictor, prepared, counter
):
    predictor.predict(prepared, WHOLE, POINT)
    assert counter.multimask is True
    predictor.set_adapter(make_adapter())
    predictor.predict(prepared, WHOLE, POINT)
    assert counter.multimask is False
    predictor.set_adapter(None)
    predictor.predict(prepared, WHOLE, POINT)
    assert counter.multimask is True


def test_adapter_card_selects_the_trained_mask(make_adapter, base, prepared):
    """The same tensors, once for the single mask and once for the first of three."""
    predictor = Predictor(base, device="cpu", precision="float32")
    found = {}
    for first in (False, True):
        predictor.set_adapter(make_adapter(f"first-{first}", multimask_token=first))
        for prompts in (Prompts(), POINT):
            found[first, prompts.empty] = predictor.predict(prepared, WHOLE, prompts)
        # In training the predictor has no adapter; here it is part of the network already.
        training = Predictor(base, device="cpu", precision="float32", multimask_token=first)
        again = training.predict(prepared, WHOLE, POINT)
        assert np.array_equal(again.probabilities, found[first, False].probabilities)
    for empty in (True, False):
        different = found[True, empty].probabilities != found[False, empty].probabilities
        assert different.any()


def test_adapter_of_another_base_is_refused_and_the_active_one_stays(
    make_adapter: Make, predictor, stock_sam2
):
    good = make_adapter("good")
    predictor.set_adapter(good)
    other = make_adapter("other")
    card = other.card.model_copy(
        update={"base": other.card.base.model_copy(update={"identity": "0" * 64})}
    )
    (other.folder / "sam2lora.json").write_text(card.to_json())
    with pytest.raises(AdapterError, match=r"0{12}…, not for 'nano'"):
        predictor.set_adapter(open_adapter(other.folder))
    assert predictor.adapter is good

"""Adapters in a `Predictor`: features are shared where that is right, and only there."""

from collections.abc import Callable

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
from sam2lora.settings import GeometrySettings, LoraSettings

WHOLE = GeometrySettings(detail="whole")
DECODER = LoraSettings(placement="decoder", rank=4, alpha=8)
CLICK = Prompts((PointPrompt(100, 100),))


@pytest.fixture(scope="module")
def prepared() -> PreparedImage:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    return PreparedImage.of(pixels, field=FieldOfView(np.ones((200, 200), bool), (99.5, 99.5), 200))


class Counter:
    """Counts what passes the encoder and the decoder, and which masks were asked for."""

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


def test_an_adapter_changes_the_answer_and_leaves_no_trace(make_adapter: Make, predictor, prepared):
    bare = predictor.predict(prepared, WHOLE).probabilities
    adapter = make_adapter()
    predictor.set_adapter(adapter)
    assert predictor.adapter is adapter
    adapted = predictor.predict(prepared, WHOLE).probabilities
    assert not np.array_equal(adapted, bare)
    predictor.set_adapter(None)
    assert predictor.adapter is None
    assert np.array_equal(predictor.predict(prepared, WHOLE).probabilities, bare)
    predictor.set_adapter(adapter)
    assert np.array_equal(predictor.predict(prepared, WHOLE).probabilities, adapted)


def test_what_is_kept_is_the_right_answer(make_adapter: Make, base, predictor, prepared):
    """Answers from a cache that knows several adapters are those of one that knows none."""
    adapters = [None, make_adapter("a"), make_adapter("b", lora=DECODER), make_adapter("c", seed=2)]
    for adapter in adapters:
        predictor.set_adapter(adapter)
        predictor.predict(prepared, WHOLE)
    for adapter in adapters:
        predictor.set_adapter(adapter)
        kept = predictor.predict(prepared, WHOLE).probabilities
        fresh = Predictor(base, device="cpu", precision="float32")
        assert np.array_equal(fresh.predict(prepared, WHOLE).probabilities, kept)


def test_variants_of_the_decoder_share_features(make_adapter: Make, predictor, prepared, counter):
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
    assert (counter.encoded, counter.decoded) == (2, 4), "features and automatic answer are kept"


def test_only_a_bare_base_chooses_among_three_masks(make_adapter, predictor, prepared, counter):
    predictor.predict(prepared, WHOLE, CLICK)
    assert counter.multimask is True
    predictor.set_adapter(make_adapter())
    predictor.predict(prepared, WHOLE, CLICK)
    assert counter.multimask is False
    predictor.set_adapter(None)
    predictor.predict(prepared, WHOLE, CLICK)
    assert counter.multimask is True


def test_an_adapter_says_which_mask_it_was_trained_on(make_adapter, base, prepared):
    """The same tensors, once for the single mask and once for the first of three."""
    predictor = Predictor(base, device="cpu", precision="float32")
    found = {}
    for first in (False, True):
        predictor.set_adapter(make_adapter(f"first-{first}", multimask_token=first))
        for prompts in (Prompts(), CLICK):
            found[first, prompts.empty] = predictor.predict(prepared, WHOLE, prompts)
        # A network in training says so itself; here the adapter is merged already.
        training = Predictor(base, device="cpu", precision="float32", multimask_token=first)
        again = training.predict(prepared, WHOLE, CLICK)
        assert np.array_equal(again.probabilities, found[first, False].probabilities)
    for empty in (True, False):
        different = found[True, empty].probabilities != found[False, empty].probabilities
        assert different.any()


def test_another_base_is_refused_and_the_one_in_use_stays(
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

import copy
from dataclasses import replace

import pytest
import torch

from sam2lora.adapters.switching import NO_ADAPTER, AdapterManager
from sam2lora.errors import AdapterError
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import DetailHeadSettings, LoraSettings
from tests.sam2lora.adapters.helpers import hash_weights, noise

DECODER = LoraSettings(placement="decoder", rank=4, alpha=8)
PROMPTS = [PromptBatch.none(1), PromptBatch.single(points=[(200.0, 300.0)], labels=[1])]


@torch.inference_mode()
def predict(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([network(noise(), prompt).logits for prompt in PROMPTS])


@pytest.mark.parametrize("placement", ["attention", "wide", "decoder"])
def test_merged_predictions_equal_unmerged_peft(make_adapter, base, placement):
    from peft import PeftModel

    lora = LoraSettings(placement=placement, rank=4, alpha=6, train_heads=True)
    adapter = make_adapter(lora=lora)
    unmerged = PeftModel.from_pretrained(copy.deepcopy(base.network), adapter.folder)
    without = predict(base.network)
    AdapterManager(base).activate(adapter)
    merged, expected = predict(base.network), predict(unmerged)
    assert (without - expected).abs().max() > 0.01, "the adapter must have an effect"
    assert (merged - expected).abs().max() < 1e-5


def test_base_weights_are_unchanged_after_twenty_switches(make_adapter, base: LoadedModel):
    original = hash_weights(base.network)
    places = {name: weight.data_ptr() for name, weight in base.network.named_parameters()}
    heads = LoraSettings(placement="wide", rank=3, alpha=5, train_heads=True)
    adapters = [make_adapter("a"), make_adapter("b", lora=heads), make_adapter("c", lora=DECODER)]
    manager = AdapterManager(base)
    merged = {}
    for number in range(20):
        adapter = adapters[number % 3]
        manager.activate(adapter)
        assert manager.adapter is adapter
        found = hash_weights(base.network)
        assert merged.setdefault(adapter.name, found) == found, "independent of earlier adapters"
    assert len({original, *merged.values()}) == 4
    manager.activate(None)
    assert manager.adapter is None
    assert hash_weights(base.network) == original
    assert {n: w.data_ptr() for n, w in base.network.named_parameters()} == places


def test_states_differ_exactly_where_the_tensors_do(make_adapter, base: LoadedModel):
    manager = AdapterManager(base)
    assert (manager.encoder_state, manager.decoder_state) == (NO_ADAPTER, NO_ADAPTER)

    def states(adapter) -> tuple[str, str]:
        manager.activate(adapter)
        return manager.encoder_state, manager.decoder_state

    first, second = states(make_adapter("first")), states(make_adapter("second", seed=2))
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert states(make_adapter("copy")) == first, "the name is not part of the state"
    decoder = states(make_adapter("decoder", lora=DECODER))
    assert decoder[0] == NO_ADAPTER
    assert decoder[1] != NO_ADAPTER
    heads = states(make_adapter("heads", lora=DECODER.model_copy(update={"train_heads": True})))
    assert heads[0] != NO_ADAPTER, "conv_s0 and conv_s1 are applied while encoding"
    stronger = states(make_adapter("stronger", lora=LoraSettings(rank=4, alpha=16)))
    assert stronger[0] != first[0]
    manager.activate(None)
    assert (manager.encoder_state, manager.decoder_state) == (NO_ADAPTER, NO_ADAPTER)


def test_a_detail_head_comes_and_goes_with_its_adapter(make_adapter, base: LoadedModel):
    manager, network, plain = AdapterManager(base), base.network, predict(base.network)
    manager.activate(make_adapter("coarse"))
    states = manager.encoder_state, manager.decoder_state
    assert predict(network).shape[-1] == 128
    manager.activate(make_adapter("fine", detail_head=DetailHeadSettings()))
    assert network.detail_head is not None
    assert manager.encoder_state == states[0]
    assert manager.decoder_state != states[1]
    fine, fine_state = predict(network), manager.decoder_state
    assert fine.shape[-1] == 512
    manager.activate(make_adapter("other", detail_head=DetailHeadSettings(inputs=("logits",))))
    assert manager.decoder_state != fine_state
    assert not torch.equal(predict(network), fine)
    manager.activate(None)
    assert network.detail_head is None
    assert torch.equal(predict(network), plain)


def test_a_damaged_detail_head_keeps_the_active_adapter(make_adapter, base: LoadedModel):
    manager = AdapterManager(base)
    good, bad = make_adapter("good"), make_adapter("bad", detail_head=DetailHeadSettings())
    manager.activate(good)
    bad.head_weights.write_bytes(bad.head_weights.read_bytes()[:-50])
    with pytest.raises(AdapterError, match=r"detail_head\.safetensors: is truncated"):
        manager.activate(bad)
    assert manager.adapter is good
    assert base.network.detail_head is None


def test_encoder_state_changes_exactly_with_the_embedding(make_adapter, base: LoadedModel):
    image = torch.zeros(1, 3, 512, 512)
    with torch.inference_mode():
        without = base.network.encode(image)
        manager = AdapterManager(base)
        manager.activate(make_adapter(lora=DECODER))
        assert torch.equal(base.network.encode(image).image_embed, without.image_embed)
        manager.activate(make_adapter("all"))
        assert not torch.equal(base.network.encode(image).image_embed, without.image_embed)


def test_wrong_base_model_error_names_both(make_adapter, base: LoadedModel):
    adapter = make_adapter()
    original = hash_weights(base.network)
    other = replace(base, weights_sha256="0" * 64)
    with pytest.raises(
        AdapterError, match=rf"{base.weights_sha256[:12]}…, not for 'nano' with 0{{12}}"
    ):
        AdapterManager(other).activate(adapter)
    assert hash_weights(base.network) == original


def test_failed_activation_keeps_the_active_adapter(make_adapter, base: LoadedModel):
    manager = AdapterManager(base)
    good, bad = make_adapter("good"), make_adapter("bad", seed=2)
    manager.activate(good)
    before = hash_weights(base.network), manager.encoder_state
    bad.weights.write_bytes(bad.weights.read_bytes()[:-50])
    with pytest.raises(AdapterError, match="truncated"):
        manager.activate(bad)
    assert manager.adapter is good
    assert (hash_weights(base.network), manager.encoder_state) == before


def test_failed_merge_restores_the_base_weights(make_adapter, base, monkeypatch):
    original = hash_weights(base.network)
    manager = AdapterManager(base)
    calls = []

    def fail(self: torch.Tensor, other: torch.Tensor, *, alpha: float) -> None:
        calls.append(alpha)
        if len(calls) == 3:
            raise MemoryError
        return torch.Tensor.sub_(self, other, alpha=-alpha)

    monkeypatch.setattr(torch.Tensor, "add_", fail)
    with pytest.raises(MemoryError):
        manager.activate(make_adapter())
    assert hash_weights(base.network) == original
    assert manager.adapter is None


def test_changed_adapter_files_are_read_again(make_adapter, base: LoadedModel):
    manager = AdapterManager(base)
    adapter = make_adapter("one")
    manager.activate(adapter)
    before = manager.encoder_state
    newer = make_adapter("two", seed=2)
    adapter.weights.write_bytes(newer.weights.read_bytes())
    manager.activate(adapter)
    assert manager.encoder_state == before, "the same object is not read again"
    manager.activate(replace(adapter))
    assert manager.encoder_state != before


@pytest.mark.gpu
def test_gpu_base_weights_are_restored_exactly(make_adapter, base: LoadedModel):
    original = hash_weights(base.network)
    base.network.to("cuda")
    manager = AdapterManager(base)
    manager.activate(make_adapter(lora=LoraSettings(placement="wide", rank=4, alpha=8)))
    assert hash_weights(base.network) != original
    manager.activate(None)
    assert hash_weights(base.network) == original

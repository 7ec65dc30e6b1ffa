import copy
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from sam2lora.adapters.switching import NO_ADAPTER, AdapterManager
from sam2lora.errors import AdapterError
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import normalize
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings

RANK_4 = LoraSettings(rank=4, alpha=8)
DECODER = LoraSettings(placement="decoder", rank=4, alpha=8)
PROMPTS = [PromptBatch.none(1), PromptBatch.single(points=[(200.0, 300.0)], labels=[1])]


def bytes_of(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def answers(network: torch.nn.Module) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    image = normalize(pixels)[None]
    return torch.cat([network(image, prompt).logits for prompt in PROMPTS])


@pytest.mark.parametrize("placement", ["attention", "wide", "decoder"])
def test_merged_answers_as_peft_does_unmerged(make_adapter, base, placement):
    from peft import PeftModel

    lora = LoraSettings(placement=placement, rank=4, alpha=6, train_heads=True)
    adapter = make_adapter(lora=lora)
    unmerged = PeftModel.from_pretrained(copy.deepcopy(base.network), adapter.folder)
    bare = answers(base.network)
    AdapterManager(base).activate(adapter)
    merged, expected = answers(base.network), answers(unmerged)
    assert (bare - expected).abs().max() > 0.01, "an adapter that does nothing proves nothing"
    assert (merged - expected).abs().max() < 1e-5


def test_twenty_switches_leave_not_one_byte_changed(make_adapter, base: LoadedModel):
    original = bytes_of(base.network)
    places = {name: weight.data_ptr() for name, weight in base.network.named_parameters()}
    heads = LoraSettings(placement="wide", rank=3, alpha=5, train_heads=True)
    adapters = [make_adapter("a"), make_adapter("b", lora=heads), make_adapter("c", lora=DECODER)]
    switch = AdapterManager(base)
    merged = {}
    for number in range(20):
        adapter = adapters[number % 3]
        switch.activate(adapter)
        assert switch.adapter is adapter
        found = bytes_of(base.network)
        assert merged.setdefault(adapter.name, found) == found, "it depends on none before it"
    assert len({original, *merged.values()}) == 4
    switch.activate(None)
    assert switch.adapter is None
    assert bytes_of(base.network) == original
    assert {n: w.data_ptr() for n, w in base.network.named_parameters()} == places


def test_states_tell_what_can_be_shared(make_adapter, base: LoadedModel):
    switch = AdapterManager(base)
    assert (switch.encoder_state, switch.decoder_state) == (NO_ADAPTER, NO_ADAPTER)

    def states(adapter) -> tuple[str, str]:
        switch.activate(adapter)
        return switch.encoder_state, switch.decoder_state

    one, two = states(make_adapter("one")), states(make_adapter("two", seed=2))
    assert one[0] != two[0]
    assert one[1] != two[1]
    assert states(make_adapter("copy")) == one, "the name is no part of it"
    decoder = states(make_adapter("decoder", lora=DECODER))
    assert decoder[0] == NO_ADAPTER
    assert decoder[1] != NO_ADAPTER
    heads = states(make_adapter("heads", lora=DECODER.model_copy(update={"train_heads": True})))
    assert heads[0] != NO_ADAPTER, "conv_s0 and conv_s1 are applied while encoding"
    stronger = states(make_adapter("stronger", lora=LoraSettings(rank=4, alpha=16)))
    assert stronger[0] != one[0]
    switch.activate(None)
    assert (switch.encoder_state, switch.decoder_state) == (NO_ADAPTER, NO_ADAPTER)


def test_states_tell_the_truth_about_features(make_adapter, base: LoadedModel):
    image = torch.zeros(1, 3, 512, 512)
    with torch.inference_mode():
        bare = base.network.encode(image)
        switch = AdapterManager(base)
        switch.activate(make_adapter(lora=DECODER))
        assert torch.equal(base.network.encode(image).image_embed, bare.image_embed)
        switch.activate(make_adapter("all"))
        assert not torch.equal(base.network.encode(image).image_embed, bare.image_embed)


def test_another_base_is_refused_naming_both(make_adapter, base: LoadedModel):
    adapter = make_adapter()
    original = bytes_of(base.network)
    other = replace(base, weights_sha256="0" * 64)
    with pytest.raises(
        AdapterError, match=rf"{base.weights_sha256[:12]}…, not for 'nano' with 0{{12}}"
    ):
        AdapterManager(other).activate(adapter)
    assert bytes_of(base.network) == original


def test_after_a_failure_the_one_in_use_stays(make_adapter, base: LoadedModel):
    switch = AdapterManager(base)
    good, bad = make_adapter("good"), make_adapter("bad", seed=2)
    switch.activate(good)
    before = bytes_of(base.network), switch.encoder_state
    bad.weights.write_bytes(bad.weights.read_bytes()[:-50])
    with pytest.raises(AdapterError, match="truncated"):
        switch.activate(bad)
    assert switch.adapter is good
    assert (bytes_of(base.network), switch.encoder_state) == before


def test_a_merge_that_breaks_off_leaves_the_bare_base(make_adapter, base, monkeypatch):
    original = bytes_of(base.network)
    switch = AdapterManager(base)
    calls = []

    def fail(self: torch.Tensor, other: torch.Tensor, *, alpha: float) -> None:
        calls.append(alpha)
        if len(calls) == 3:
            raise MemoryError
        return torch.Tensor.sub_(self, other, alpha=-alpha)

    monkeypatch.setattr(torch.Tensor, "add_", fail)
    with pytest.raises(MemoryError):
        switch.activate(make_adapter())
    assert bytes_of(base.network) == original
    assert switch.adapter is None


def test_files_that_changed_are_read_again(make_adapter, base: LoadedModel):
    switch = AdapterManager(base)
    adapter = make_adapter("one")
    switch.activate(adapter)
    before = switch.encoder_state
    newer = make_adapter("two", seed=2)
    adapter.weights.write_bytes(newer.weights.read_bytes())
    switch.activate(adapter)
    assert switch.encoder_state == before, "the very object in use is taken for the same"
    switch.activate(replace(adapter))
    assert switch.encoder_state != before


@pytest.mark.gpu
def test_on_a_gpu_the_bytes_come_back_too(make_adapter, base: LoadedModel):
    original = bytes_of(base.network)
    base.network.to("cuda")
    switch = AdapterManager(base)
    switch.activate(make_adapter(lora=LoraSettings(placement="wide", rank=4, alpha=8)))
    assert bytes_of(base.network) != original
    switch.activate(None)
    assert bytes_of(base.network) == original

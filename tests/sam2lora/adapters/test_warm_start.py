import numpy as np
import pytest
import torch

from sam2lora.adapters.lora import add_lora, lora_tensors, trainable_count
from sam2lora.adapters.peft_format import part_of
from sam2lora.adapters.serialization import save_adapter
from sam2lora.adapters.switching import AdapterManager
from sam2lora.adapters.warm_start import continued_lora, start_from_adapter
from sam2lora.errors import AdapterError
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import Sam2ImageModel, normalize
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings

RANK_4 = LoraSettings(rank=4, alpha=8)
HEADS = RANK_4.model_copy(update={"train_heads": True})
PROMPT = PromptBatch.none(1)


def answer(network: torch.nn.Module) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    with torch.inference_mode():
        return network(normalize(pixels)[None], PROMPT).logits


def answer_of(adapter, untouched: LoadedModel, base: LoadedModel) -> torch.Tensor:
    """Give the merged answer on a network that is put back afterwards."""
    switch = AdapterManager(base)
    switch.activate(adapter)
    found = answer(base.network)
    switch.activate(None)
    return found


@pytest.mark.parametrize("lora", [RANK_4, HEADS], ids=["lora", "heads"])
def test_training_goes_on_where_the_adapter_is(make_adapter, base, untouched, lora):
    adapter = make_adapter(lora=lora)
    expected = answer_of(adapter, untouched, base)
    assert not torch.allclose(expected, answer(base.network), atol=1e-2)
    model = add_lora(base.network, continued_lora(LoraSettings(), adapter), seed=9)
    start_from_adapter(model, adapter)
    torch.testing.assert_close(answer(model), expected, atol=1e-4, rtol=0)
    assert trainable_count(model) == adapter.card.trainable


def test_heads_may_join_in_with_the_bases_weights(make_adapter, base, untouched):
    adapter = make_adapter(lora=RANK_4)
    expected = answer_of(adapter, untouched, base)
    lora = continued_lora(LoraSettings(train_heads=True), adapter)
    assert lora.train_heads
    model = add_lora(base.network, lora)
    start_from_adapter(model, adapter)
    torch.testing.assert_close(answer(model), expected, atol=1e-4, rtol=0)


def test_placement_rank_and_alpha_are_the_adapters(make_adapter):
    adapter = make_adapter(lora=LoraSettings(placement="decoder", rank=3, alpha=5, dropout=0))
    lora = continued_lora(LoraSettings(dropout=0.2), adapter)
    assert (lora.placement, lora.rank, lora.alpha, lora.dropout) == ("decoder", 3, 5, 0.2)
    assert continued_lora(LoraSettings(placement="decoder", rank=3, alpha=5), adapter).rank == 3
    for asked in ({"placement": "wide"}, {"rank": 4}, {"alpha": 6}):
        (field,) = asked
        with pytest.raises(AdapterError, match=f"'vessel-test' has LoRA of {field}"):
            continued_lora(LoraSettings(**asked), adapter)


def test_trained_heads_are_never_lost(make_adapter, base: LoadedModel):
    adapter = make_adapter(lora=HEADS)
    assert continued_lora(LoraSettings(), adapter).train_heads
    with pytest.raises(AdapterError, match="does not fit"):
        start_from_adapter(add_lora(base.network, RANK_4), adapter)


def test_an_adapter_of_another_rank_does_not_fit(make_adapter, base: LoadedModel):
    adapter = make_adapter(lora=LoraSettings(rank=5, alpha=8))
    with pytest.raises(AdapterError, match=r"shape \(5, 32\), the network shape \(4, 32\)"):
        start_from_adapter(add_lora(base.network, RANK_4), adapter)


@pytest.mark.parametrize("lora", [RANK_4, HEADS], ids=["lora", "heads"])
def test_a_frozen_encoder_keeps_its_features(make_adapter, make_card, base, tmp_path, lora):
    adapter = make_adapter(lora=lora)
    model = add_lora(base.network, continued_lora(LoraSettings(dropout=0.5), adapter))
    start_from_adapter(model, adapter, freeze_encoder=True)
    names = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {part_of(name) for name in names} == {"decoder"}
    assert len(names) == 2 * 28 + (6 if lora.train_heads else 0)
    network: Sam2ImageModel = model.get_base_model()
    image = torch.zeros(1, 3, 512, 512)
    before = network.encode(image)
    model.train()
    again = network.encode(image)
    assert torch.equal(before.image_embed, again.image_embed), "no dropout in what is frozen"
    optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.1)
    model(before, PROMPT).logits.mean().backward()
    optimizer.step()
    model.eval()
    after = network.encode(image)
    assert torch.equal(before.fine, after.fine)

    # The result is complete, and shares features with the adapter it started from.
    result = save_adapter(lora_tensors(model), make_card(lora=lora, name="quick"), tmp_path / "q")
    expected = answer(model)
    fresh = LoadedModel(base.spec, model.unload(), base.weights_sha256, trained=False, path=None)
    switch = AdapterManager(fresh)
    switch.activate(adapter)
    states = (switch.encoder_state, switch.decoder_state)
    switch.activate(result)
    assert switch.encoder_state == states[0]
    assert switch.decoder_state != states[1]
    torch.testing.assert_close(answer(fresh.network), expected, atol=1e-4, rtol=0)

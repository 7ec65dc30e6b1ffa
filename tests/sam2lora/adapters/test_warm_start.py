import copy

import pytest
import torch

from sam2lora.adapters.detail_head import head_tensors, read_head
from sam2lora.adapters.folder import Adapter, read_shapes
from sam2lora.adapters.lora import add_lora, default_rank, lora_tensors, trainable_count
from sam2lora.adapters.peft_format import network_part
from sam2lora.adapters.serialization import read_tensors, save_adapter
from sam2lora.adapters.switching import AdapterManager
from sam2lora.adapters.warm_start import (
    make_room,
    start_from_adapter,
    warm_start_head,
    warm_start_lora,
)
from sam2lora.errors import AdapterError
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import DetailHeadSettings, LoraSettings
from tests.sam2lora.adapters.helpers import RANK_4, noise

HEADS = RANK_4.model_copy(update={"train_heads": True})
PROMPT = PromptBatch.none(1)


def predict(network: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return network(noise(), PROMPT).logits


def predict_with(adapter: Adapter, base: LoadedModel) -> torch.Tensor:
    """Return the prediction with a merged adapter; the network is restored afterwards."""
    manager = AdapterManager(base)
    manager.activate(adapter)
    logits = predict(base.network)
    manager.activate(None)
    return logits


@pytest.mark.parametrize("lora", [RANK_4, HEADS], ids=["lora", "heads"])
def test_warm_start_predicts_as_the_initial_adapter(make_adapter, base, lora):
    adapter = make_adapter(lora=lora)
    expected = predict_with(adapter, base)
    assert not torch.allclose(expected, predict(base.network), atol=1e-2)
    model = add_lora(base.network, warm_start_lora(LoraSettings(), adapter), seed=9)
    start_from_adapter(model, adapter)
    torch.testing.assert_close(predict(model), expected, atol=1e-4, rtol=0)
    assert trainable_count(model) == adapter.card.trainable


def test_added_heads_start_with_the_base_weights(make_adapter, base):
    adapter = make_adapter(lora=RANK_4)
    expected = predict_with(adapter, base)
    lora = warm_start_lora(LoraSettings(train_heads=True), adapter)
    assert lora.train_heads
    model = add_lora(base.network, lora)
    start_from_adapter(model, adapter)
    torch.testing.assert_close(predict(model), expected, atol=1e-4, rtol=0)


def test_placement_rank_and_alpha_are_those_of_the_adapter(make_adapter):
    adapter = make_adapter(lora=LoraSettings(placement="decoder", rank=3, alpha=5, dropout=0))
    lora = warm_start_lora(LoraSettings(dropout=0.2), adapter)
    assert (lora.placement, lora.rank, lora.alpha, lora.dropout) == ("decoder", 3, 5, 0.2)
    assert warm_start_lora(LoraSettings(placement="decoder", rank=3, alpha=5), adapter).rank == 3
    lower = warm_start_lora(LoraSettings(rank=2), adapter)
    assert (lower.rank, lower.scale) == (2, pytest.approx(5 / 3))
    for requested in ({"placement": "wide"}, {"rank": 4}, {"alpha": 6}):
        (field,) = requested
        with pytest.raises(AdapterError, match=f"'vessel-test' has LoRA of {field}"):
            warm_start_lora(LoraSettings(**requested), adapter)


def test_trained_heads_are_never_lost(make_adapter, base: LoadedModel):
    adapter = make_adapter(lora=HEADS)
    assert warm_start_lora(LoraSettings(), adapter).train_heads
    with pytest.raises(AdapterError, match="does not fit"):
        start_from_adapter(add_lora(base.network, RANK_4), adapter)


def test_an_adapter_of_a_lower_rank_does_not_fit(make_adapter, base: LoadedModel):
    adapter = make_adapter(lora=LoraSettings(rank=3, alpha=8))
    with pytest.raises(AdapterError, match=r"shape \(3, 32\), the network shape \(4, 32\)"):
        start_from_adapter(add_lora(base.network, RANK_4), adapter)


def test_a_lower_rank_is_the_nearest_to_the_adapter(make_adapter, base: LoadedModel):
    adapter = make_adapter(lora=HEADS)
    stored = read_tensors(adapter, read_shapes(adapter.weights))
    place = "base_model.model.image_encoder.trunk.blocks.0.attn.qkv"
    product = stored[f"{place}.lora_B.weight"] @ stored[f"{place}.lora_A.weight"]
    values = torch.linalg.svdvals(product)
    for rank in (4, 3, 1):
        lora = warm_start_lora(LoraSettings(rank=rank), adapter)
        assert lora.scale == adapter.card.lora.scale
        model = add_lora(copy.deepcopy(base.network), lora)
        start_from_adapter(model, adapter)
        cut = lora_tensors(model)
        found = cut[f"{place}.lora_B.weight"] @ cut[f"{place}.lora_A.weight"]
        lost = float((found - product).norm())
        assert lost == pytest.approx(float(values[rank:].norm()), abs=1e-4)
        head = "base_model.model.sam_mask_decoder.conv_s0.weight"
        assert torch.equal(cut[head], stored[head])


def test_a_new_detail_head_leaves_room_for_less_lora(make_adapter, base: LoadedModel):
    adapter = make_adapter(lora=LoraSettings(rank=14, alpha=28, train_heads=True))
    lora = warm_start_lora(LoraSettings(), adapter)
    smaller = make_room(base.network, lora, DetailHeadSettings())
    assert (smaller.rank, smaller.scale) == (6, 2)
    assert make_room(base.network, smaller, DetailHeadSettings()) == smaller
    assert default_rank(base.network, LoraSettings(train_heads=True)) == 8
    head = DetailHeadSettings()
    assert default_rank(base.network, LoraSettings(train_heads=True), detail_head=head) == 4


def test_a_detail_head_is_continued_or_new(make_adapter, base: LoadedModel):
    network, head = base.network, DetailHeadSettings(channels=(4, 6, 8))
    plain, adapter = make_adapter("plain"), make_adapter("fine", detail_head=head)
    assert warm_start_head(network, None, plain, seed=0) is None
    new = warm_start_head(network, head, plain, seed=0)
    assert new is not None
    assert not new.last.weight.any(), "the residual of a new one is zero"
    stored = read_head(adapter, network)
    assert stored is not None
    for requested in (None, head):
        found = warm_start_head(network, requested, adapter, seed=0)
        assert found is not None
        assert found.settings == head
        for name, tensor in head_tensors(found).items():
            assert torch.equal(tensor, stored[name]), name
    with pytest.raises(AdapterError, match="detail head of other settings"):
        warm_start_head(network, DetailHeadSettings(), adapter, seed=0)


@pytest.mark.parametrize("lora", [RANK_4, HEADS], ids=["lora", "heads"])
def test_frozen_encoder_keeps_its_embedding(make_adapter, make_card, base, tmp_path, lora):
    adapter = make_adapter(lora=lora)
    model = add_lora(base.network, warm_start_lora(LoraSettings(dropout=0.5), adapter))
    start_from_adapter(model, adapter, freeze_encoder=True)
    names = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {network_part(name) for name in names} == {"decoder"}
    assert len(names) == 2 * 28 + (6 if lora.train_heads else 0)
    network: Sam2ImageModel = model.get_base_model()
    image = torch.zeros(1, 3, 512, 512)
    before = network.encode(image)
    model.train()
    again = network.encode(image)
    assert torch.equal(before.image_embed, again.image_embed), "no dropout in the frozen encoder"
    optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.1)
    model(before, PROMPT).logits.mean().backward()
    optimizer.step()
    model.eval()
    after = network.encode(image)
    assert torch.equal(before.fine, after.fine)

    # The result is complete, and can share embeddings with the initial adapter.
    result = save_adapter(lora_tensors(model), make_card(lora=lora, name="quick"), tmp_path / "q")
    expected = predict(model)
    fresh = LoadedModel(base.spec, model.unload(), base.weights_sha256, trained=False, path=None)
    manager = AdapterManager(fresh)
    manager.activate(adapter)
    states = (manager.encoder_state, manager.decoder_state)
    manager.activate(result)
    assert manager.encoder_state == states[0]
    assert manager.decoder_state != states[1]
    torch.testing.assert_close(predict(fresh.network), expected, atol=1e-4, rtol=0)

import copy
import json
import warnings
from pathlib import Path

import pytest
import safetensors
import torch

from sam2lora.adapters.folder import FILES, open_adapter
from sam2lora.adapters.lora import add_lora, expected_shapes, lora_tensors
from sam2lora.adapters.serialization import read_tensors, save_adapter
from sam2lora.adapters.switching import AdapterManager
from sam2lora.errors import AdapterError, OutputError
from sam2lora.models.loading import LoadedModel, build_network
from sam2lora.models.registry import BASE_MODELS
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.models.weights import fit_weights, weights_digest
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings
from tests.sam2lora.adapters.helpers import RANK_4, noise

PROMPT = PromptBatch.single(points=[(200.0, 300.0)], labels=[1])


@pytest.fixture
def stock(stock_sam2) -> LoadedModel:
    """Return our network with the weights of stock SAM 2; tests must not change it."""
    network = Sam2ImageModel(*_parts(stock_sam2("nano")), input_size=512)
    ours = copy.deepcopy(network)
    fit_weights(ours, stock_sam2("nano").state_dict(), Path("stock"))
    ours.eval().requires_grad_(False)
    return LoadedModel(BASE_MODELS["nano"], ours, weights_digest(ours), trained=True, path=None)


def _parts(model):
    return model.image_encoder, model.sam_prompt_encoder, model.sam_mask_decoder


def test_an_adapter_is_four_files_without_the_base(make_adapter):
    adapter = make_adapter()
    assert {path.name for path in adapter.folder.iterdir()} == set(FILES)
    assert adapter.weights.stat().st_size < 4 * adapter.card.trainable + 20_000
    with safetensors.safe_open(adapter.weights, framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert all(".lora_" in name for name in file.keys())  # noqa: SIM118 - not a mapping


def test_tensors_are_read_bit_by_bit(base: LoadedModel, make_card, tmp_path: Path):
    model = add_lora(base.network, RANK_4)
    adapter = save_adapter(lora_tensors(model), make_card(), tmp_path / "a")
    back = read_tensors(adapter, expected_shapes(build_network(BASE_MODELS["nano"]), RANK_4))
    for name, tensor in lora_tensors(model).items():
        assert torch.equal(back[name], tensor)


@pytest.mark.parametrize("heads", [False, True])
def test_plain_peft_loads_it_onto_stock_sam2(make_adapter, stock, stock_sam2, heads, no_network):
    from peft import PeftModel

    lora = RANK_4.model_copy(update={"train_heads": heads})
    adapter = make_adapter(lora=lora, source=stock)
    model = copy.deepcopy(stock_sam2("nano"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # PEFT warns of missing and left over names
        PeftModel.from_pretrained(model, adapter.folder)
    theirs = Sam2ImageModel(*_parts(model), input_size=512).eval()
    theirs.no_mem_embed = model.no_mem_embed
    AdapterManager(stock).activate(adapter)
    with torch.inference_mode():
        expected = theirs(noise(), PROMPT).logits
        found = stock.network(noise(), PROMPT).logits
    assert (found - expected).abs().max() < 1e-4
    placed = [name for name, _ in model.named_modules() if name.endswith(".lora_A")]
    assert len(placed) == 9 + 28, "the memory parts of the video model have none"
    assert no_network == []


@pytest.mark.parametrize("placement", ["attention", "wide", "decoder"])
def test_adapter_loads_without_network_or_arguments(
    base, make_card, tmp_path, placement, no_network
):
    from peft import PeftModel

    lora = LoraSettings(placement=placement, rank=2, alpha=3, train_heads=True)
    plain = copy.deepcopy(base.network)
    model = add_lora(base.network, lora)
    for name, tensor in lora_tensors(model).items():
        if name.endswith("lora_B.weight"):
            tensor.add_(0.01)
    adapter = save_adapter(lora_tensors(model), make_card(lora=lora), tmp_path / "a")
    loaded = PeftModel.from_pretrained(plain, str(open_adapter(adapter.folder).folder))
    with torch.inference_mode():
        expected = model(noise(), PROMPT).logits
        assert torch.equal(loaded(noise(), PROMPT).logits, expected)
    assert no_network == []


def test_tensors_that_contradict_the_card_are_not_written(
    base: LoadedModel, make_card, tmp_path: Path
):
    tensors = lora_tensors(add_lora(base.network, RANK_4))
    card = make_card(lora=LoraSettings(rank=5, alpha=8))
    with pytest.raises(AdapterError, match=r"'vessel-test': .*rank 5"):
        save_adapter(tensors, card, tmp_path / "a")
    next(iter(tensors.values()))[0, 0] = float("nan")
    with pytest.raises(AdapterError, match="not finite"):
        save_adapter(tensors, make_card(), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_existing_adapter_is_replaced_only_on_request(
    make_adapter, make_card, base, tmp_path: Path
):
    adapter = make_adapter(folder=tmp_path / "a")
    before = adapter.digest()
    tensors = lora_tensors(add_lora(base.network, RANK_4))
    with pytest.raises(OutputError, match="already exists"):
        save_adapter(tensors, make_card(), tmp_path / "a")
    assert open_adapter(tmp_path / "a").digest() == before
    assert save_adapter(tensors, make_card(), tmp_path / "a", replace=True).digest() != before


def test_mismatched_tensors_are_refused_before_use(make_adapter, untouched):
    adapter = make_adapter()
    expected = expected_shapes(untouched.network, RANK_4)
    wide = expected_shapes(untouched.network, LoraSettings(placement="wide", rank=4))
    assert len(read_tensors(adapter, expected)) == len(expected)
    with pytest.raises(AdapterError, match="does not fit this network"):
        read_tensors(adapter, wide)


def test_file_damaged_after_the_check_is_noticed(make_adapter, untouched):
    adapter = make_adapter()
    expected = expected_shapes(untouched.network, RANK_4)
    raw = adapter.weights.read_bytes()
    adapter.weights.write_bytes(raw[:-100])
    with pytest.raises(AdapterError, match="truncated"):
        read_tensors(adapter, expected)
    adapter.weights.write_bytes(raw[:-4] + b"\x00\x00\xc0\x7f")  # the last number is none
    with pytest.raises(AdapterError, match="not finite"):
        read_tensors(adapter, expected)
    adapter.weights.unlink()
    with pytest.raises(AdapterError, match="cannot be read"):
        read_tensors(adapter, expected)


def test_adapter_files_are_readable_json_and_markdown(make_adapter):
    folder = make_adapter().folder
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    assert config["peft_type"] == "LORA"
    assert "## Use" in (folder / "README.md").read_text(encoding="utf-8")

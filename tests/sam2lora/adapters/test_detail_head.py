from pathlib import Path

import pytest
import torch

from sam2lora.adapters.archive import export_adapter, import_adapter
from sam2lora.adapters.detail_head import head_tensors, load_head, new_detail_head, read_head
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.store import find_adapter, install_adapter, rename_adapter
from sam2lora.errors import AdapterError
from sam2lora.models.loading import LoadedModel
from sam2lora.settings import DetailHeadSettings

SMALL = DetailHeadSettings(channels=(4, 6, 8))


@pytest.fixture
def made(make_adapter) -> Adapter:
    return make_adapter(detail_head=SMALL)


def test_a_new_head_depends_on_its_seed_alone(base: LoadedModel):
    first, again, other = (new_detail_head(base.network, SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.middle_in[0].weight, again.middle_in[0].weight)
    assert not torch.equal(first.middle_in[0].weight, other.middle_in[0].weight)
    state = torch.get_rng_state()
    new_detail_head(base.network, SMALL, seed=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_stored_head_is_read_bit_for_bit(made: Adapter, base: LoadedModel, tmp_path: Path):
    tensors = read_head(made, base.network)
    assert tensors is not None
    assert "fine_in.0.1.running_var" in tensors, "statistics are stored"
    head = new_detail_head(base.network, SMALL, seed=5)
    load_head(head, tensors, "here")
    for name, tensor in head_tensors(head).items():
        assert torch.equal(tensor, tensors[name])


def test_a_head_for_another_decoder_is_refused(made: Adapter, base: LoadedModel):
    base.network.sam_mask_decoder.transformer_dim = 256
    with pytest.raises(AdapterError, match=r"'fuse.weight' the adapter has shape \(6, 17, 1, 1\)"):
        read_head(made, base.network)
    with pytest.raises(AdapterError, match="does not fit"):
        load_head(new_detail_head(base.network, SMALL), {}, "here")


def test_an_adapter_without_a_head_has_none(make_adapter, base: LoadedModel):
    assert read_head(make_adapter(), base.network) is None


def test_it_is_exported_imported_and_renamed_with_its_adapter(made: Adapter, tmp_path: Path):
    archive = export_adapter(made, tmp_path / "made.zip")
    imported = import_adapter(archive, name="imported")
    assert imported.head_weights.read_bytes() == made.head_weights.read_bytes()
    assert imported.digest() == made.digest()
    renamed = rename_adapter("imported", "renamed")
    assert find_adapter("renamed").digest() == renamed.digest() == made.digest()
    assert renamed.card.detail_head == SMALL


def test_the_digest_covers_both_files(made: Adapter):
    before = made.digest()
    for path in made.tensor_files:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert made.digest() != before, path.name
        path.write_bytes(content)
    assert made.digest() == before


def test_stock_sam2_still_loads_the_lora(made: Adapter, stock_sam2):
    from peft import PeftModel

    copied = install_adapter(made, name="copied")
    model = PeftModel.from_pretrained(stock_sam2("nano"), copied.folder)
    assert any("lora_A" in name for name, _ in model.named_parameters())
    assert not any("detail_head" in name for name, _ in model.named_parameters())
    model.unload()

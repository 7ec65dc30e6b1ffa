import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from sam2lora.adapters.folder import Adapter, open_adapter, read_shapes
from sam2lora.errors import AdapterError


@pytest.fixture
def folder(make_adapter) -> Path:
    return make_adapter().folder


def change_config(folder: Path, **values: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_valid_adapter_folder_opens(folder: Path):
    adapter = open_adapter(folder)
    assert adapter.name == "vessel-test"
    assert adapter.card.geometry.field_size == 900
    assert len(adapter.digest()) == 64
    assert not adapter.shipped


def test_the_readme_may_be_missing_and_other_files_are_ignored(folder: Path):
    (folder / "README.md").unlink()
    (folder / "notes.txt").write_text("mine")
    assert open_adapter(folder).name == "vessel-test"


@pytest.mark.parametrize(
    "name", ["sam2lora.json", "adapter_config.json", "adapter_model.safetensors"]
)
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(AdapterError, match=f"{name} is missing"):
        open_adapter(folder)
    with pytest.raises(AdapterError, match="no such folder"):
        open_adapter(folder / "nowhere")


def test_a_pickle_is_refused_by_name_and_never_opened(folder: Path):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match=r"adapter_model\.bin, a file that can run code"):
        open_adapter(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:7],
        lambda raw: b"",
        lambda raw: b"\xff" * 8 + raw[8:],
        lambda raw: b"PK\x03\x04" + raw[4:],
        lambda raw: raw + b"more",
    ],
    ids=["half", "seven bytes", "empty", "absurd head", "a zip", "longer"],
)
def test_a_damaged_file_of_tensors_is_refused_by_name(
    folder: Path, damage: Callable[[bytes], bytes]
):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors: is truncated or no"):
        open_adapter(folder)


def test_an_absurdly_large_file_is_not_read(folder: Path):
    with (folder / "adapter_model.safetensors").open("rb+") as stream:
        stream.truncate(3 << 30)  # takes no room on the disk
    with pytest.raises(AdapterError, match="too many for an adapter"):
        open_adapter(folder)


def test_tensors_that_are_not_floats_are_refused(folder: Path):
    path = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    name = next(iter(tensors))
    safetensors.torch.save_file(tensors | {name: tensors[name].to(torch.int64)}, path)
    with pytest.raises(AdapterError, match="I64"):
        open_adapter(folder)
    safetensors.torch.save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, path)
    assert open_adapter(folder).name == "vessel-test"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"peft_type": "ADALORA"}, "'peft_type' is 'ADALORA'.*'LORA'"),
        ({"base_model_name_or_path": "someone/model"}, "base_model_name_or_path"),
        ({"revision": "main"}, "revision"),
        ({"auto_mapping": {"parent_library": "os"}}, "auto_mapping"),
        ({"r": 64}, "'r' is 64.*4"),
        ({"lora_alpha": 1000}, "lora_alpha"),
        ({"target_modules": "(a+)+b"}, "target_modules"),
        ({"target_modules": ["qkv"]}, "target_modules"),
        ({"modules_to_save": ["sam_mask_decoder"]}, "modules_to_save"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"megatron_core": "os"}, "'megatron_core', which adapters of this project do not have"),
        ({"loftq_config": {}}, "loftq_config"),
    ],
)
def test_peft_config_with_an_extra_key_is_refused(folder, values, message):
    change_config(folder, **values)
    with pytest.raises(AdapterError, match=message):
        open_adapter(folder)


def test_peft_config_without_a_required_key_is_refused(folder: Path):
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text())
    del content["target_modules"]
    path.write_text(json.dumps(content))
    with pytest.raises(AdapterError, match="'target_modules' is 'missing'"):
        open_adapter(folder)


def test_a_card_of_another_adapter_is_noticed(make_adapter, tmp_path: Path):
    small = make_adapter("small")
    large = make_adapter("large", lora=small.card.lora.model_copy(update={"rank": 5}))
    shutil.copy(large.folder / "sam2lora.json", small.folder)
    with pytest.raises(AdapterError, match=r"'r' is 4.*5"):
        open_adapter(small.folder)
    shutil.copy(large.folder / "adapter_config.json", small.folder)
    with pytest.raises(AdapterError, match="not LoRA of rank 5"):
        open_adapter(small.folder)


def test_renamed_adapter_writes_its_new_name(make_adapter):
    adapter: Adapter = make_adapter().renamed("other", shipped=True)
    assert adapter.shipped
    assert '"name": "other"' in adapter.card_files()["sam2lora.json"]
    assert "# other" in adapter.card_files()["README.md"]


def test_shapes_are_read_without_the_values(make_adapter):
    shapes = read_shapes(make_adapter().weights)
    assert len(shapes) == 2 * (9 + 28)
    assert shapes["base_model.model.image_encoder.trunk.blocks.0.attn.qkv.lora_A.weight"] == (4, 32)
    with pytest.raises(AdapterError, match="cannot be read"):
        read_shapes(Path("nowhere.safetensors"))


def test_file_deleted_after_opening_is_named(make_adapter):
    adapter = make_adapter()
    shutil.rmtree(adapter.folder)
    with pytest.raises(AdapterError, match="cannot be read"):
        adapter.digest()

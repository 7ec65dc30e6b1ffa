import dataclasses
import hashlib
import io
from pathlib import Path

import pytest
import safetensors.torch
import torch
from sam2.modeling.backbones.hieradet import Hiera

from sam2lora.errors import ModelError
from sam2lora.models import registry as model_table
from sam2lora.models.loading import build_network, load_base, random_base, recognize
from sam2lora.models.registry import BASE_MODELS, BaseModel
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.models.weights import MEMORY_PARTS, fit_weights, weights_digest

RANDOM_NANO = "e201e6dbc7bb2899d0356393ac6efa275e8eb01efc274e9dad169e4a4c9baf4c"


@pytest.mark.parametrize("name", list(BASE_MODELS))
def test_registry_matches_the_built_networks(name: str):
    base = BASE_MODELS[name]
    network = build_network(base)
    assert sum(parameter.numel() for parameter in network.parameters()) == base.parameters
    assert network.input_size == base.input_size
    assert recognize(network.state_dict(), Path("x.pt")) == name
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_parameter_names_are_those_of_stock_sam2(name: str, stock_sam2):
    stock = stock_sam2(name).state_dict()
    network = build_network(BASE_MODELS[name])
    assert network.state_dict().keys() <= stock.keys()
    left_over = stock.keys() - network.state_dict().keys()
    assert all(key.startswith(MEMORY_PARTS) for key in left_over)
    modules = {key: type(module) for key, module in stock_sam2(name).named_modules()}
    for key, module in network.named_modules():
        if key and "position_encoding" not in key:
            assert isinstance(module, modules[key])


def test_every_memory_part_exists_in_stock_sam2(stock_sam2):
    keys = stock_sam2("tiny").state_dict()
    assert all(any(key.startswith(part) for key in keys) for part in MEMORY_PARTS)


def test_building_leaves_the_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_base("nano")
    assert torch.equal(torch.rand(3), expected)


def test_random_weights_are_noted_and_reproducible():
    loaded = random_base("nano")
    assert not loaded.trained
    assert "random weights" in loaded.note
    assert loaded.path is None
    # Summed up in integers and exact products, so equal on every machine.
    assert loaded.weights_sha256 == RANDOM_NANO


def test_positions_are_cached_until_the_weights_change():
    trunk = build_network(BASE_MODELS["nano"]).image_encoder.trunk
    plain = Hiera._get_pos_embed
    with torch.inference_mode():
        first = trunk._get_pos_embed((64, 64))
    assert torch.equal(first, plain(trunk, (64, 64)))
    assert trunk._get_pos_embed((64, 64)) is first
    assert torch.equal(trunk._get_pos_embed((32, 32)), plain(trunk, (32, 32)))
    with torch.no_grad():
        trunk.pos_embed.add_(1)
    assert torch.equal(trunk._get_pos_embed((32, 32)), plain(trunk, (32, 32)))
    trunk.pos_embed = torch.nn.Parameter(trunk.pos_embed + 1, requires_grad=False)
    assert torch.equal(trunk._get_pos_embed((32, 32)), plain(trunk, (32, 32)))


def test_positions_that_are_trained_get_their_gradient():
    trunk = build_network(BASE_MODELS["nano"]).image_encoder.trunk
    trunk._get_pos_embed((64, 64))
    trunk.pos_embed.requires_grad_()
    trunk._get_pos_embed((64, 64)).sum().backward()
    assert trunk.pos_embed.grad.abs().sum() > 0
    torch.optim.AdamW([trunk.pos_embed], fused=True).step()
    trunk.pos_embed.requires_grad_(False)
    assert torch.equal(trunk._get_pos_embed((64, 64)), Hiera._get_pos_embed(trunk, (64, 64)))


def test_nano_comes_with_the_package():
    loaded = load_base(offline=True)
    assert loaded.trained
    assert loaded.note == ""
    assert loaded.path == BASE_MODELS["nano"].path
    assert loaded.single_mask
    assert {name.split()[-1] for name in loaded.learned_from} >= {"vessel", "disc", "cup"}


def test_nano_matches_the_metadata_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    network = build_network(BASE_MODELS["nano"])
    path = tmp_path / "nano.safetensors"
    half = {name: value.half() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(half, path)
    monkeypatch.setattr(BaseModel, "path", path)
    loaded = load_base("nano", offline=True)
    assert loaded.trained
    assert loaded.note == ""
    assert loaded.path == path
    assert loaded.weights_sha256 != RANDOM_NANO
    network.load_state_dict(half)
    assert loaded.weights_sha256 == weights_digest(network)
    assert loaded.network.no_mem_embed.dtype == torch.float32


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_users_weights_file_is_recognized(tmp_path: Path, suffix: str, stock_sam2):
    path = tmp_path / f"mine{suffix}"
    weights = stock_sam2("nano").state_dict()
    if suffix == ".pt":
        torch.save({"model": weights}, path)
    else:
        safetensors.torch.save_file(weights, path)
    loaded = load_base(path if suffix == ".pt" else str(path))
    assert loaded.spec.name == "nano"
    assert loaded.trained
    assert torch.equal(loaded.network.no_mem_embed, weights["no_mem_embed"])


def test_weights_digest_is_independent_of_format_and_memory_parts(tmp_path: Path, stock_sam2):
    stock = stock_sam2("nano").state_dict()
    torch.save({"model": stock}, tmp_path / "a.pt")
    keep = {name: value for name, value in stock.items() if not name.startswith(MEMORY_PARTS)}
    safetensors.torch.save_file(keep, tmp_path / "b.safetensors")
    first, second = load_base(tmp_path / "a.pt"), load_base(tmp_path / "b.safetensors")
    assert first.weights_sha256 == second.weights_sha256


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"head.weight": torch.ones(2)}, "no SAM 2 image encoder.*head.weight"),
        (
            {
                "image_encoder.trunk.patch_embed.proj.weight": torch.ones(33, 3, 7, 7),
                "image_encoder.trunk.blocks.0.x": torch.ones(1),
            },
            "1 blocks that starts with 33",
        ),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, weights: dict, message: str):
    torch.save(weights, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=message):
        load_base(tmp_path / "other.pt")


def test_checkpoint_with_a_missing_tensor_is_refused(tmp_path: Path, stock_sam2):
    weights = dict(stock_sam2("nano").state_dict())
    del weights["no_mem_embed"]
    torch.save({"model": weights}, tmp_path / "hole.pt")
    with pytest.raises(ModelError, match="1 missing: no_mem_embed"):
        load_base(tmp_path / "hole.pt")


def test_an_unknown_model_and_a_missing_file_are_named(tmp_path: Path):
    with pytest.raises(ModelError, match="'huge'"):
        load_base("huge")
    with pytest.raises(ModelError, match="no such file"):
        load_base(tmp_path / "missing.pt")


def test_unexpected_sam2_package_is_reported():
    base = dataclasses.replace(BASE_MODELS["tiny"], config="configs/sam2.1/other.yaml")
    with pytest.raises(ModelError, match="installed sam2 package"):
        build_network(base)
    base = dataclasses.replace(BASE_MODELS["tiny"], input_size=512)
    with pytest.raises(ModelError, match="installed sam2 package"):
        build_network(base)


def test_an_official_checkpoint_is_downloaded_resumed_and_loaded(
    file_server, stock_sam2, monkeypatch: pytest.MonkeyPatch
):
    stream = io.BytesIO()
    torch.save({"model": stock_sam2("tiny").state_dict()}, stream)
    file_server.content = stream.getvalue()
    file_server.behaviors = ["break off"]
    tiny = dataclasses.replace(
        BASE_MODELS["tiny"],
        url=file_server.url,
        sha256=hashlib.sha256(file_server.content).hexdigest(),
        size=len(file_server.content),
    )
    monkeypatch.setattr(model_table, "BASE_MODELS", {"tiny": tiny})
    loaded = load_base("tiny")
    assert file_server.ranges == [None, f"bytes={len(file_server.content) // 2}-"]
    assert loaded.path == tiny.path
    assert loaded.trained
    expected = build_network(tiny)
    fit_weights(expected, stock_sam2("tiny").state_dict(), Path("stock"))
    assert equal(loaded.network, expected)
    assert load_base("tiny", offline=True).weights_sha256 == loaded.weights_sha256
    assert len(file_server.ranges) == 2


def equal(first: Sam2ImageModel, other: Sam2ImageModel) -> bool:
    pairs = zip(first.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)

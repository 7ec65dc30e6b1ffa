import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from sam2lora.errors import ModelError
from sam2lora.models.weights import (
    file_digest,
    fit_weights,
    read_weights,
    seed_weights,
    training_image_counts,
    weights_digest,
)

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}
HERE = Path("weights.pt")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 2, bias=False)
        self.b = nn.Parameter(torch.zeros(2))


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(torch.equal(found[k], TENSORS[k]) for k in found)


@pytest.mark.parametrize("content", [TENSORS, {"model": TENSORS, "epoch": 3}])
def test_published_checkpoints_are_read(tmp_path: Path, content: dict):
    torch.save(content, tmp_path / "weights.pt")
    assert same(read_weights(tmp_path / "weights.pt"))


def test_safetensors_are_read(tmp_path: Path):
    safetensors.torch.save_file(TENSORS, tmp_path / "weights.safetensors")
    assert same(read_weights(tmp_path / "weights.safetensors"))


def test_training_images_are_read_from_the_metadata():
    metadata = {"data": '{"images": {"eyes disc": 6}, "validation": 2}'}
    assert training_image_counts(metadata, HERE) == {"eyes disc": 6}
    assert training_image_counts({}, HERE) == {}


@pytest.mark.parametrize("text", ["eyes", "[]", '{"images": 3}', '{"images": {"eyes": "many"}}'])
def test_invalid_training_images_in_metadata_are_named(text: str):
    with pytest.raises(ModelError, match=r"weights\.pt: the metadata 'data'"):
        training_image_counts({"data": text}, HERE)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path):
    torch.save({"model": Evil(tmp_path / "owned")}, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="can run code"):
        read_weights(tmp_path / "weights.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str, share: float):
    path = tmp_path / f"weights{suffix}"
    tensors = {"a": torch.rand(100, 100)}
    if suffix == ".pt":
        torch.save(tensors, path)
    else:
        safetensors.torch.save_file(tensors, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=f"weights{suffix}"):
        read_weights(path)


@pytest.mark.parametrize("seed", range(8))
def test_garbage_file_is_named(tmp_path: Path, seed: int):
    path = tmp_path / "weights.pt"
    path.write_bytes(np.random.default_rng(seed).bytes(1000))
    with pytest.raises(ModelError, match=r"weights\.pt"):
        read_weights(path)


def test_another_kind_of_file_is_named(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "weights.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match="truncated, corrupt"):
        read_weights(tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="no such file"):
        read_weights(tmp_path / "missing.pt")
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"\.safetensors files only"):
        read_weights(tmp_path / "weights.bin")


@pytest.mark.parametrize("content", [[1, 2], {}, {"model": {}}, {"epoch": 3}, torch.ones(3)])
def test_a_checkpoint_without_named_tensors_is_refused(tmp_path: Path, content: object):
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="checkpoint of SAM 2"):
        read_weights(tmp_path / "weights.pt")


def test_memory_parts_are_unused_and_half_precision_is_widened():
    network = Small()
    extra = {"memory_encoder.x": torch.ones(1), "no_obj_ptr": torch.ones(1)}
    fit_weights(network, {name: value.half() for name, value in TENSORS.items()} | extra, HERE)
    assert same(network.state_dict())
    assert network.b.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": None}, "1 missing: b."),
        ({"no_memory": torch.ones(1)}, "1 unexpected: no_memory."),
        ({"b": torch.ones(3)}, "1 of another shape: b (3,) instead of (2,)."),
        ({f"x{i}": torch.ones(1) for i in range(5)}, "5 unexpected: x0, x1, x2 and 2 more."),
    ],
)
def test_tensors_that_do_not_fit_are_named(changes: dict, message: str):
    weights = {k: v for k, v in (TENSORS | changes).items() if v is not None}
    network = Small()
    with pytest.raises(ModelError) as caught:
        fit_weights(network, weights, HERE)
    assert message in str(caught.value)
    assert "weights.pt" in str(caught.value)
    assert network.b.tolist() == [0, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e39])
def test_weights_that_are_not_finite_are_refused(value: float):
    weights = TENSORS | {"b": torch.tensor([1.0, value], dtype=torch.float64)}
    with pytest.raises(ModelError, match=r"weights\.pt: 'b' holds values that are not finite"):
        fit_weights(Small(), weights, HERE)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([1, 2]),
        torch.tensor([True, False]),
        torch.tensor([1j, 2]),
        torch.ones(2).to_sparse(),
    ],
)
def test_tensors_that_are_not_plain_numbers_are_refused(tensor: torch.Tensor):
    with pytest.raises(ModelError, match=r"'b' holds .*, not plain floating-point numbers"):
        fit_weights(Small(), TENSORS | {"b": tensor}, HERE)


@pytest.mark.parametrize("new", [True, False])
def test_error_about_an_old_file_does_not_advise_to_run_it(tmp_path: Path, new: bool):
    path = tmp_path / "weights.pt"
    content = {"model": {"a": torch.ones(1)}, "args": Evil(tmp_path / "owned")}
    torch.save(content, path, _use_new_zipfile_serialization=new)
    (tmp_path / "tar.pt").write_bytes(b"ustar")
    for file in (path, tmp_path / "tar.pt"):
        with pytest.raises(ModelError, match=r"\.safetensors file") as caught:
            read_weights(file)
        assert "weights_only" not in str(caught.value)


def test_weights_digest_is_the_documented_hash():
    network = Small()
    network.load_state_dict(TENSORS)
    content = b"a.weight\x002,3\x00" + np.arange(6, dtype="<f4").tobytes()
    content += b"b\x002\x00" + np.ones(2, dtype="<f4").tobytes()
    assert weights_digest(network) == hashlib.sha256(content).hexdigest()


def test_weights_digest_changes_with_any_value():
    network = Small()
    network.load_state_dict(TENSORS)
    before = weights_digest(network)
    with torch.no_grad():
        network.b[1] += 1e-6
    assert weights_digest(network) != before


def test_digest_of_a_file_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"x")
    network = Small()
    first = file_digest(network, path)
    assert first == weights_digest(network)
    monkeypatch.setattr("sam2lora.models.weights.weights_digest", lambda network: "computed again")
    assert file_digest(network, path) == first
    path.write_bytes(b"xy")
    assert file_digest(network, path) == "computed again"


def test_seeded_weights_have_torchs_variance_and_repeat():
    def seeded(seed: int) -> nn.Sequential:
        network = nn.Sequential(
            nn.Linear(300, 200),
            nn.Conv2d(16, 64, 5),
            nn.ConvTranspose2d(64, 16, 5),
            nn.Embedding(100, 100),
            nn.LayerNorm(10),
        )
        seed_weights(network, seed=seed)
        return network

    network, default = seeded(1), seeded(2)
    for module in default[:4]:
        module.reset_parameters()
    for mine, theirs in zip(network[:4], default[:4], strict=True):
        assert abs(mine.weight.mean()) < 0.03 * theirs.weight.std()
        assert mine.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.03)
    assert torch.equal(network[4].weight, torch.ones(10))
    again, other = seeded(1), seeded(2)
    assert torch.equal(network[0].weight, again[0].weight)
    assert not torch.equal(network[0].weight, other[0].weight)

"""What is measured with."""

from pathlib import Path

import pytest

from benchmarks.speed.material import picture, random_adapter, usable_base
from sam2lora.adapters.switching import AdapterManager
from sam2lora.models.loading import load_base


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (700, 600)])
def test_a_picture_has_any_size_and_an_eye_in_its_middle(size: tuple[int, int]):
    width, height = size
    drawn = picture(width, height)
    assert drawn.shape == (height, width, 3)
    assert drawn[height // 2, width // 2].max() > 30


def test_an_embedded_base_and_a_file_are_used_as_they_are(tmp_path: Path):
    assert usable_base("nano", tmp_path) == "nano"
    assert usable_base("my/weights.pt", tmp_path) == "my/weights.pt"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_another_base_gets_random_weights_of_its_shape(tmp_path: Path):
    assert load_base(usable_base("tiny", tmp_path)).spec.name == "tiny"


def test_a_random_adapter_can_be_merged(pocket_base, pocket, tmp_path: Path):
    base = pocket()
    adapter = random_adapter(base, 2, tmp_path / "random")
    AdapterManager(base).activate(adapter)
    name = "image_encoder.trunk.blocks.0.attn.qkv.weight"
    own, other = (one.network.get_parameter(name) for one in (base, pocket_base))
    assert not own.equal(other)

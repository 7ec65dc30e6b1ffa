"""Inputs of the benchmarks: images, base models and adapters."""

from pathlib import Path

import pytest

from benchmarks.speed.material import random_adapter, sample_image, usable_base
from sam2lora.adapters.switching import AdapterManager
from sam2lora.models.loading import load_base


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (700, 600)])
def test_sample_image_of_any_size_has_an_eye_in_the_middle(size: tuple[int, int]):
    width, height = size
    drawn = sample_image(width, height)
    assert drawn.shape == (height, width, 3)
    assert drawn[height // 2, width // 2].max() > 30


def test_embedded_base_and_file_are_used_unchanged(tmp_path: Path):
    assert usable_base("nano", tmp_path) == "nano"
    assert usable_base("my/weights.pt", tmp_path) == "my/weights.pt"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_other_base_gets_random_weights(tmp_path: Path):
    assert load_base(usable_base("tiny", tmp_path)).spec.name == "tiny"


def test_random_adapter_can_be_merged(pocket_base, pocket, tmp_path: Path):
    base = pocket()
    adapter = random_adapter(base, 2, tmp_path / "random")
    AdapterManager(base).activate(adapter)
    name = "image_encoder.trunk.blocks.0.attn.qkv.weight"
    merged, original = (model.network.get_parameter(name) for model in (base, pocket_base))
    assert not merged.equal(original)

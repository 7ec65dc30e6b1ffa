from pathlib import Path

import pytest
import safetensors.torch
import torch

from sam2lora.adapters.card import AdapterCard
from sam2lora.adapters.detail_head import head_tensors
from sam2lora.adapters.folder import CARD, HEAD, open_adapter
from sam2lora.adapters.head_format import check_head_file, head_shapes, head_weights
from sam2lora.adapters.serialization import shapes_of
from sam2lora.errors import AdapterError
from sam2lora.models.detail_head import DetailHead
from sam2lora.settings import DetailHeadSettings

SMALL = DetailHeadSettings(channels=(4, 6, 8))
INPUTS = [(), ("contrast",), ("embedding",), ("logits",), ("contrast", "embedding", "logits")]


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("channels", [16, 32])
def test_shapes_and_count_are_those_of_the_module(inputs, channels: int):
    settings = SMALL.model_copy(update={"inputs": inputs})
    head = DetailHead(settings, embedding_channels=channels)
    shapes = head_shapes(settings, embedding_channels=channels)
    assert shapes == shapes_of(head_tensors(head))
    count = head_weights(settings, embedding_channels=channels)
    assert count == sum(weight.numel() for weight in head.parameters())


def test_no_head_has_no_weights():
    assert head_weights(None, embedding_channels=16) == 0


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return dict(head_tensors(DetailHead(SMALL, embedding_channels=16)))


@pytest.mark.parametrize("inputs", INPUTS)
def test_a_head_of_its_settings_is_accepted(inputs, tmp_path: Path):
    settings = SMALL.model_copy(update={"inputs": inputs})
    head = DetailHead(settings, embedding_channels=32)
    safetensors.torch.save_file(head_tensors(head), tmp_path / HEAD)
    check_head_file(tmp_path / HEAD, settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"last.bias": None}, "'last.bias' the adapter has no such tensor"),
        ({"more": torch.zeros(1)}, "'more' the adapter has shape"),
        ({"last.weight": torch.zeros(4, 5, 3, 3)}, "'last.weight' the adapter has shape"),
        ({"fuse.weight": torch.zeros(6, 17)}, "'fuse.weight' the adapter has shape"),
        ({"last.bias": torch.full((4,), float("nan"))}, "not finite"),
        ({"last.bias": torch.zeros(4, dtype=torch.float16)}, "holds float16"),
    ],
)
def test_anything_else_is_refused(tensors, change, message: str, tmp_path: Path):
    changed = {name: tensor for name, tensor in (tensors | change).items() if tensor is not None}
    safetensors.torch.save_file(changed, tmp_path / HEAD)
    with pytest.raises(AdapterError, match=message):
        check_head_file(tmp_path / HEAD, SMALL)


def test_a_damaged_or_missing_file_is_refused(tensors, tmp_path: Path):
    with pytest.raises(AdapterError, match="cannot be read"):
        check_head_file(tmp_path / HEAD, SMALL)
    (tmp_path / HEAD).write_bytes(safetensors.torch.save(tensors)[:-9])
    with pytest.raises(AdapterError, match="truncated"):
        check_head_file(tmp_path / HEAD, SMALL)


def test_card_and_file_must_agree(make_adapter):
    adapter = make_adapter(detail_head=SMALL)
    assert open_adapter(adapter.folder).card.detail_head == SMALL
    plain: AdapterCard = adapter.card.model_copy(update={"detail_head": None})
    (adapter.folder / CARD).write_text(plain.to_json())
    with pytest.raises(AdapterError, match="this adapter has none"):
        open_adapter(adapter.folder)
    (adapter.folder / CARD).write_text(adapter.card.to_json())
    adapter.head_weights.unlink()
    with pytest.raises(AdapterError, match=r"detail_head\.safetensors: cannot be read"):
        open_adapter(adapter.folder)

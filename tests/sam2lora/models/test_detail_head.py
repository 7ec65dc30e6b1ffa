from itertools import combinations

import pytest
import torch
from torch import Tensor

from sam2lora.models.detail_head import DetailHead, enlarge, local_contrast
from sam2lora.settings import DetailHeadSettings

SMALL = DetailHeadSettings(channels=(4, 6, 8))
INPUTS = ("contrast", "embedding", "logits")


def some_inputs(size: int, *, channels: int = 16, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(size)
    quarter = size // 4
    return (
        torch.randn(batch, 3, size, size),
        torch.randn(batch, channels, quarter, quarter),
        4 * torch.randn(batch, 1, quarter, quarter),
    )


def trained(settings: DetailHeadSettings = SMALL, *, channels: int = 16) -> DetailHead:
    """Return a head whose residual is not zero."""
    torch.manual_seed(0)
    head = DetailHead(settings, embedding_channels=channels)
    torch.nn.init.normal_(head.last.weight, std=0.1)
    return head


@pytest.mark.parametrize(("size", "channels"), [(512, 16), (1024, 32), (128, 16)])
@pytest.mark.parametrize("training", [False, True])
def test_at_its_start_it_enlarges_the_logits_exactly(size: int, channels: int, training: bool):
    head = DetailHead(DetailHeadSettings(), embedding_channels=channels).train(training)
    images, embedding, logits = some_inputs(size, channels=channels, batch=1)
    with torch.no_grad():
        found = head(images, embedding, logits)
        with torch.autocast("cpu", torch.bfloat16):
            rough = head(images, embedding, logits)
    assert torch.equal(found, enlarge(logits, size))
    assert torch.equal(rough, found)
    assert rough.dtype == torch.float32


def test_gradients_reach_every_weight_and_the_decoder():
    head = trained()
    images, embedding, logits = some_inputs(64)
    embedding.requires_grad_()
    logits.requires_grad_()
    head(images, embedding, logits).square().mean().backward()
    for name, weight in head.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    assert embedding.grad is not None
    assert embedding.grad.abs().sum() > 0
    assert logits.grad is not None


def test_it_is_small_in_the_default_size():
    head = DetailHead(DetailHeadSettings(), embedding_channels=16)
    assert sum(weight.numel() for weight in head.parameters()) == 78_060


@pytest.mark.parametrize("count", range(4))
def test_it_sees_the_inputs_of_its_settings_alone(count: int):
    for inputs in combinations(INPUTS, count):
        head = trained(SMALL.model_copy(update={"inputs": inputs})).eval()
        images, embedding, logits = some_inputs(64)
        residual = head(images, embedding, logits) - enlarge(logits, 64)
        other = head(images, embedding + 1, logits) - enlarge(logits, 64)
        assert torch.equal(other, residual) == ("embedding" not in inputs)
        other = head(images, embedding, logits + 1) - enlarge(logits + 1, 64)
        same = torch.allclose(other, residual, atol=1e-4)
        assert same == ("logits" not in inputs)
        assert not torch.equal(head(images + 1, embedding, logits), head(images, embedding, logits))


def test_local_contrast_hardly_depends_on_brightness_and_gain():
    torch.manual_seed(0)
    fine = torch.randn(1, 3, 256, 256)
    across = torch.linspace(-1, 1, 256)
    plain = local_contrast(fine)
    torch.testing.assert_close(local_contrast(fine + 3), plain, atol=1e-3, rtol=0)
    shaded = local_contrast(fine + across)
    assert (shaded - plain).abs().mean() < 0.05
    assert (local_contrast(2 * fine) - plain).abs().mean() < 0.05
    assert plain.std() == pytest.approx(1, abs=0.1)
    assert torch.equal(local_contrast(torch.full((1, 3, 64, 64), 2.0)), torch.zeros(1, 1, 64, 64))


def test_local_contrast_is_that_of_green_in_full_precision():
    images = torch.randn(2, 3, 64, 64)
    expected = local_contrast(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(local_contrast(images), expected)
    assert torch.equal(local_contrast(images * torch.tensor([2.0, 1, 5]).view(3, 1, 1)), expected)
    assert expected.shape == (2, 1, 64, 64)


def test_enlarging_to_the_same_size_changes_nothing():
    values = torch.randn(1, 2, 16, 16)
    assert torch.equal(enlarge(values, 16), values)
    assert enlarge(values, 64).shape == (1, 2, 64, 64)

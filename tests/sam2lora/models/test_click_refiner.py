"""The click refiner's network, its inputs and its file."""

from pathlib import Path

import pytest
import torch

from sam2lora.errors import ModelError
from sam2lora.models.click_refiner import (
    CLICK_RADIUS,
    LARGEST_MARGIN,
    ClickRefiner,
    click_maps,
    load_refiner,
    save_refiner,
)

SIZE = 64


def inputs(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, SIZE, SIZE, generator=generator)
    margins = 6 * torch.randn(batch, 1, SIZE, SIZE, generator=generator)
    clicks = click_maps(torch.tensor([[20.0, 30.0]]), torch.tensor([1]), SIZE)
    return images, margins, clicks.expand(batch, -1, -1, -1)


def test_untrained_refiner_returns_the_margins_within_their_limit() -> None:
    images, margins, clicks = inputs()
    refined = ClickRefiner()(images, margins, clicks)
    torch.testing.assert_close(refined, margins.clamp(-LARGEST_MARGIN, LARGEST_MARGIN))


def test_all_inputs_reach_the_result_of_a_trained_refiner() -> None:
    torch.manual_seed(0)
    refiner = ClickRefiner().eval()
    torch.nn.init.normal_(refiner.change.weight, std=0.1)
    images, margins, clicks = inputs(1)
    plain = refiner(images, margins, clicks)
    others = ((images + 1, margins, clicks), (images, -margins, clicks), (images, margins, -clicks))
    for other in others:
        assert not torch.equal(refiner(*other), plain)


def test_click_maps_separate_both_signs_and_the_newest_click() -> None:
    points = torch.tensor([[10.0, 20.0], [40.0, 50.0]])
    on, off, newest = click_maps(points, torch.tensor([1, 0]), SIZE)
    assert on[20, 10] == 1
    assert on[50, 40] == 0
    assert off[50, 40] == 1
    assert newest[50, 40] == -1
    assert newest[20, 10] == 0
    assert on[20, 10 + CLICK_RADIUS] == 1
    assert on[20, 11 + CLICK_RADIUS] == 0


def test_saved_refiner_predicts_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    refiner = ClickRefiner().eval()
    torch.nn.init.normal_(refiner.change.weight, std=0.1)
    save_refiner(refiner, tmp_path / "a.safetensors", notes={"step": "3"})
    again = load_refiner(tmp_path / "a.safetensors")
    assert not again.training
    with torch.inference_mode():
        difference = (again(*inputs()) - refiner(*inputs())).abs().max()
    assert difference < 0.05  # stored in float16


@pytest.mark.parametrize("content", [None, b"", b"\x10" + bytes(200)])
def test_missing_or_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.safetensors"):
        load_refiner(path)


def test_file_of_another_network_is_named(tmp_path: Path) -> None:
    save_refiner(ClickRefiner((8, 8)), tmp_path / "a.safetensors", notes={})
    with pytest.raises(ModelError, match="not a click refiner"):
        load_refiner(tmp_path / "a.safetensors")

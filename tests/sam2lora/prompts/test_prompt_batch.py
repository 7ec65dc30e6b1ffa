"""Batches of prompts: values, shapes, joining, and painted masks as logits."""

import numpy as np
import pytest
import torch

from sam2lora.errors import GeometryError
from sam2lora.prompts.prompt_batch import PromptBatch, mask_to_logits


def test_none_is_an_empty_prompt():
    prompts = PromptBatch.none(3)
    assert len(prompts) == 3
    assert prompts.is_empty
    assert prompts.shape_key == (0, False, False)


def test_single_keeps_the_values():
    prompts = PromptBatch.single(
        points=[(1.5, 2), (3, 4)], labels=[1, 0], box=(0, 1, 2, 3), mask_logits=np.ones((8, 8))
    )
    assert prompts.points.tolist() == [[[1.5, 2.0], [3.0, 4.0]]]
    assert prompts.labels.tolist() == [[1, 0]]
    assert prompts.boxes is not None
    assert prompts.boxes.tolist() == [[0, 1, 2, 3]]
    assert prompts.mask_logits is not None
    assert prompts.mask_logits.shape == (1, 1, 8, 8)
    assert prompts.points.dtype == prompts.boxes.dtype == torch.float32
    assert not prompts.is_empty


def test_single_without_arguments_is_empty():
    assert PromptBatch.single().is_empty


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": [(1, 2)], "labels": [2]}, "Labels must be 1"),
        ({"points": [(1, 2)], "labels": []}, "one label"),
        ({"points": [(1, float("nan"))], "labels": [1]}, "finite"),
        ({"box": (5, 0, 1, 3)}, "x0 <= x1"),
        ({"box": (0, 5, 1, 3)}, "y0 <= y1"),
        ({"box": (0, 1, 2)}, "x0, y0, x1, y1"),
        ({"box": (0, 1, 2, float("inf"))}, "finite"),
        ({"mask_logits": np.zeros(4)}, "previous mask"),
        ({"mask_logits": np.full((4, 4), np.nan)}, "finite"),
    ],
)
def test_invalid_values_are_refused(arguments: dict, message: str):
    with pytest.raises(GeometryError, match=message):
        PromptBatch.single(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 2), torch.zeros(2)), "Points must be"),
        ((torch.zeros(2, 1, 3), torch.zeros(2, 1)), "Points must be"),
        ((torch.zeros(2, 1, 2), torch.zeros(2, 2)), "one label"),
        ((torch.zeros(2, 1, 2), torch.zeros(2, 1), torch.zeros(1, 4)), "Boxes must be"),
        ((torch.zeros(2, 1, 2), torch.zeros(2, 1), None, torch.zeros(2, 8, 8)), "Masks must be"),
    ],
)
def test_mismatched_shapes_are_refused(arguments: tuple, message: str):
    with pytest.raises(GeometryError, match=message):
        PromptBatch(*arguments)


def test_cat_and_index_are_inverse():
    parts = [
        PromptBatch.single(
            points=[(i, i)], labels=[i % 2], box=(0, 0, i, i), mask_logits=np.full((4, 4), i)
        )
        for i in range(3)
    ]
    joined = PromptBatch.cat(parts)
    assert len(joined) == 3
    for i, part in enumerate(parts):
        for index in (i, i - 3):
            prompt = joined[index]
            assert torch.equal(prompt.points, part.points)
            assert torch.equal(prompt.labels, part.labels)
            assert torch.equal(prompt.boxes, part.boxes)
            assert torch.equal(prompt.mask_logits, part.mask_logits)
    assert joined[1:].points[:, 0, 0].tolist() == [1, 2]
    with pytest.raises(IndexError):
        joined[3]


def test_cat_of_different_kinds_is_refused():
    with pytest.raises(GeometryError, match="one kind"):
        PromptBatch.cat([PromptBatch.none(1), PromptBatch.single(points=[(1, 1)], labels=[1])])
    with pytest.raises(GeometryError, match="one kind"):
        PromptBatch.cat([])


def test_to_moves_all_tensors():
    prompts = PromptBatch.single(
        points=[(1, 1)], labels=[1], box=(0, 0, 1, 1), mask_logits=np.zeros((4, 4))
    )
    moved = prompts.to("meta")
    tensors = (moved.points, moved.labels, moved.boxes, moved.mask_logits)
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_painted_mask_becomes_logits_of_plus_and_minus_ten():
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., 8:] = True
    logits = mask_to_logits(mask, size=16)
    assert torch.equal(logits, torch.where(mask, 10.0, -10.0))
    small = mask_to_logits(mask, size=4)
    assert small.shape == (1, 1, 4, 4)
    torch.testing.assert_close(small[..., 0], torch.full((1, 1, 4), -10.0))
    torch.testing.assert_close(small[..., -1], torch.full((1, 1, 4), 10.0))


def test_painted_mask_is_reduced_as_in_sam2():
    # SAM2Base._use_mask_as_output: logits first, then the antialiased bilinear reduction.
    mask = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) > 0.7
    stock = torch.nn.functional.interpolate(
        mask.float() * 20 - 10, size=(16, 16), mode="bilinear", align_corners=False, antialias=True
    )
    torch.testing.assert_close(mask_to_logits(mask, size=16), stock, atol=1e-4, rtol=0)


def test_painted_mask_with_wrong_dimensions_is_refused():
    with pytest.raises(GeometryError, match="Painted masks"):
        mask_to_logits(torch.zeros(4, 4), size=4)

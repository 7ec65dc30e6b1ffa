import pytest
import torch

from sam2lora.models.outputs import DecoderOutput, ImageEmbedding


def test_embedding_reports_its_bytes():
    embedding = ImageEmbedding(
        torch.rand(3, 128, 32, 32), torch.rand(3, 16, 128, 128), torch.rand(3, 32, 64, 64)
    )
    per_image = 4 * (128 * 32 * 32 + 16 * 128 * 128 + 32 * 64 * 64)
    assert embedding.nbytes() == 3 * per_image
    assert embedding[1:].nbytes() == 2 * per_image
    assert len(embedding[-1]) == 1
    assert torch.equal(embedding[-1].fine, embedding.fine[2:])
    with pytest.raises(IndexError):
        embedding[3]


def test_best_keeps_the_mask_of_highest_predicted_iou():
    logits = torch.arange(6.0).view(2, 3, 1, 1)
    iou = torch.tensor([[0.1, 0.9, 0.5], [0.7, 0.2, 0.1]])
    output = DecoderOutput(logits, iou, torch.zeros(2, 1), 10 * logits)
    best = output.best()
    assert best.low_res_logits.flatten().tolist() == [10, 30]
    assert best.logits.flatten().tolist() == [1, 3]
    assert best.iou.flatten().tolist() == pytest.approx([0.9, 0.7])
    assert best.logits.shape == (2, 1, 1, 1)
    first = output.first()
    assert first.low_res_logits.flatten().tolist() == [0, 30]
    assert first.logits.flatten().tolist() == [0, 3]
    assert first.iou.flatten().tolist() == pytest.approx([0.1, 0.7])
    assert first.logits.shape == (2, 1, 1, 1)

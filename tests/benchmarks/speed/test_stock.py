"""Stock SAM 2 with our weights gives the same predictions as our network."""

import pytest
import torch

from benchmarks.speed.material import sample_image
from benchmarks.speed.stock import (
    stock_features,
    stock_mask,
    stock_model,
    stock_prediction,
    stock_predictor,
)
from sam2lora.models.normalization import normalize
from sam2lora.prompts.prompt_batch import PromptBatch


@torch.inference_mode()
def test_stock_prediction_of_a_batch_equals_our_network(pocket_base):
    network = pocket_base.network
    images = normalize(sample_image(128, 128)).unsqueeze(0).repeat(2, 1, 1, 1)
    images[1] = images[1].flip(-1)
    points, labels = torch.tensor([[[40.0, 50.0]], [[70.0, 60.0]]]), torch.ones(2, 1).long()
    model = stock_model(pocket_base.spec, network)
    logits, iou = stock_prediction(model, stock_features(model, images), points, labels)
    ours = network(images, PromptBatch(points, labels))
    torch.testing.assert_close(logits, ours.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(iou, ours.iou, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_stock_predictor_works_at_other_sizes(pocket_base):
    predictor = stock_predictor(pocket_base.spec, pocket_base.network)
    predictor.set_image(sample_image(96, 64))
    mask = stock_mask(predictor, (48, 32))
    assert mask.shape == (64, 96)
    assert set(mask.ravel()) <= {0, 1}

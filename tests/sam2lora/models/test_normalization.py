import numpy as np
import pytest
import torch
from torchvision.transforms import Normalize, ToTensor

from sam2lora.errors import GeometryError
from sam2lora.models.normalization import MEAN, STD, denormalize, normalize


def test_normalize_equals_that_of_sam2():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = Normalize(MEAN, STD)(ToTensor()(pixels))
    torch.testing.assert_close(normalize(pixels), expected, atol=1e-6, rtol=0)
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1)
    torch.testing.assert_close(normalize(channels_first), expected, atol=1e-6, rtol=0)
    batch = np.stack([pixels, pixels[::-1]])
    assert normalize(batch).shape == (2, 3, 32, 32)
    assert normalize(batch).is_contiguous()
    assert pixels.dtype == np.uint8, "the caller's image stays as it was"


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), "uint8"),
        (np.zeros((8, 8), np.uint8), r"\(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\)"),
    ],
)
def test_normalize_refuses_other_images(pixels: np.ndarray, message: str):
    with pytest.raises(GeometryError, match=message):
        normalize(pixels)


def test_denormalizing_is_exact():
    every = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, 16, 16)
    assert torch.equal(denormalize(normalize(every)), every)

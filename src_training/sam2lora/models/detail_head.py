"""The detail head: a small convolutional network that draws a mask at the input's full resolution.

SAM 2's decoder predicts at a quarter of the resolution of its input, too coarse for thin vessels.
The head sees the input itself beside the decoder's output, and adds a residual to the enlarged
logits. The residual is zero until it is trained.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2lora.settings import DetailHeadSettings

_POOL = 8  # pixels: the resolution at which brightness and contrast are measured
_AREA = 9  # pooled pixels: side of the mean, taken twice
_LEAST_CONTRAST = 0.05  # in units of normalized images; noise below it is not amplified
_LARGEST_LOGIT = 8.0
_LOGIT_SCALE = 4.0


class DetailHead(nn.Module):
    """A U-shaped network at a half, a quarter and an eighth of the input's resolution.

    Parameters
    ----------
    settings
        Channels of each level, and the inputs.
    embedding_channels
        Channels of the decoder's embedding, `Sam2ImageModel.decoder_channels`.
    """

    def __init__(self, settings: DetailHeadSettings, *, embedding_channels: int) -> None:
        super().__init__()
        self.settings = settings
        self.embedding_channels = embedding_channels
        fine, middle, coarse = settings.channels
        planes = 3 + ("contrast" in settings.inputs)
        fused = embedding_channels * ("embedding" in settings.inputs) + (
            "logits" in settings.inputs
        )
        # The names are those in the file of an adapter.
        self.fine_in = nn.Sequential(ConvBlock(4 * planes, fine), ConvBlock(fine, fine))
        self.middle_in = ConvBlock(fine, middle)
        self.fuse = nn.Conv2d(fused, middle, 1) if fused else None
        self.middle = ConvBlock(middle, middle)
        self.coarse = nn.Sequential(ConvBlock(middle, coarse), ConvBlock(coarse, coarse))
        self.to_middle = nn.Conv2d(coarse, middle, 1)
        self.middle_out = ConvBlock(middle, middle)
        self.to_fine = nn.Conv2d(middle, fine, 1)
        self.fine_out = ConvBlock(fine, fine)
        self.last = nn.Conv2d(fine, 4, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, embedding: Tensor, logits: Tensor) -> Tensor:
        """Return the logits at full resolution.

        Parameters
        ----------
        images
            `(B, 3, S, S)` float32, normalized; S is a multiple of 8.
        embedding
            `(B, C/8, S/4, S/4)`: the decoder's embedding after its upscaling.
        logits
            `(B, 1, S/4, S/4)`: SAM 2's own logits.

        Returns
        -------
        `(B, 1, S, S)` float32: the logits enlarged bilinearly, plus the residual.
        """
        enlarged = enlarge(logits, images.shape[-1])
        return enlarged + self._residual(images, embedding, logits).float()

    def _residual(self, images: Tensor, embedding: Tensor, logits: Tensor) -> Tensor:
        inputs = self.settings.inputs
        planes = torch.cat([images, local_contrast(images)], 1) if "contrast" in inputs else images
        # Convolutions are faster with the channels last.
        half = F.pixel_unshuffle(planes, 2).contiguous(memory_format=torch.channels_last)
        of_decoder = None if self.fuse is None else self._of_decoder(embedding, logits)
        return F.pixel_shuffle(self.draw(half, of_decoder), 2)

    def draw(self, half: Tensor, of_decoder: Tensor | None) -> Tensor:
        """Run the convolutions.

        Parameters
        ----------
        half
            `(B, 4 C, S/2, S/2)`: each 2 × 2 pixels of the C input planes as channels.
        of_decoder
            `(B, …, S/4, S/4)`: the inputs that come from the decoder; None without any.

        Returns
        -------
        `(B, 4, S/2, S/2)`: the residual of each 2 × 2 pixels.
        """
        fine = self.fine_in(half)
        middle = self.middle_in(F.avg_pool2d(fine, 2))
        if self.fuse is not None and of_decoder is not None:
            middle = middle + self.fuse(of_decoder)
        middle = self.middle(middle)
        coarse = self.coarse(F.avg_pool2d(middle, 2))
        middle = self.middle_out(middle + _doubled(self.to_middle(coarse)))
        fine = self.fine_out(fine + _doubled(self.to_fine(middle)))
        residual: Tensor = self.last(fine)
        return residual

    def _of_decoder(self, embedding: Tensor, logits: Tensor) -> Tensor:
        """Return the inputs that come from the decoder, `(B, …, S/4, S/4)`."""
        found = []
        if "embedding" in self.settings.inputs:
            found.append(embedding.float())
        if "logits" in self.settings.inputs:
            limited = logits.float().clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
            found.append(limited / _LOGIT_SCALE)
        return torch.cat(found, 1).contiguous(memory_format=torch.channels_last)


class ConvBlock(nn.Sequential):
    """Convolution, batch normalization and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


def local_contrast(images: Tensor) -> Tensor:
    """Return the green channel without its local brightness, divided by its local contrast.

    Parameters
    ----------
    images
        `(B, 3, S, S)`, normalized; S is a multiple of 8.

    Returns
    -------
    `(B, 1, S, S)` float32, whatever the precision around it: a small difference of large numbers.
    """
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        green = images[:, 1:2].float()
        local = F.avg_pool2d(torch.cat([green, green.square()], 1), _POOL)
        for _ in range(2):
            local = F.avg_pool2d(
                local, _AREA, stride=1, padding=_AREA // 2, count_include_pad=False
            )
        mean, square = local.chunk(2, 1)
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        both = enlarge(torch.cat([mean, deviation], 1), images.shape[-1])
        return (green - both[:, :1]) / (both[:, 1:] + _LEAST_CONTRAST)


def enlarge(values: Tensor, size: int) -> Tensor:
    """Enlarge maps bilinearly to `(…, size, size)` float32; as they are where that is their size.

    Parameters
    ----------
    values
        `(B, C, n, n)`.
    size
        Side of the result.
    """
    if values.shape[-1] == size:
        return values.float()
    return F.interpolate(values.float(), size=(size, size), mode="bilinear")


def _doubled(values: Tensor) -> Tensor:
    return F.interpolate(values, scale_factor=2, mode="bilinear")

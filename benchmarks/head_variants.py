"""Shared by `head_ablation`: detail heads of other shapes than the one in use."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sam2lora.models.detail_head import DetailHead

HeadKind = Literal["u", "flat", "alone"]
"""U-shaped, without the levels below half the resolution, or without SAM 2."""


class Separable(nn.Sequential):
    """A depthwise convolution, then a pointwise one."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        )


class Flat(DetailHead):
    """Convolutions at half the resolution alone, without the levels below."""

    def __init__(self, like: DetailHead, *, dilations: Sequence[int] = (1, 2, 4, 2)) -> None:
        super().__init__(like.settings, embedding_channels=like.embedding_channels)
        fine = like.settings.channels[0]
        self.flat = nn.Sequential(
            *(
                part
                for dilation in dilations
                for part in (
                    nn.Conv2d(fine, fine, 3, padding=dilation, dilation=dilation, bias=False),
                    nn.BatchNorm2d(fine),
                    nn.ReLU(),
                )
            )
        )
        fused = self.fuse.weight.shape[1] if self.fuse else 0
        self.fuse = nn.Conv2d(fused, fine, 1)
        for unused in ("middle_in", "middle", "coarse", "to_middle", "middle_out", "to_fine"):
            delattr(self, unused)

    def draw(self, half: Tensor, of_decoder: Tensor | None) -> Tensor:
        fine = self.fine_in(half)
        if of_decoder is not None and self.fuse is not None:
            fused = self.fuse(of_decoder)
            fine = fine + nn.functional.interpolate(fused, scale_factor=2, mode="bilinear")
        drawn: Tensor = self.last(self.fine_out(self.flat(fine)))
        return drawn


class Alone(DetailHead):
    """The same network without SAM 2: its logits are not even what the residual is added to."""

    def forward(self, images: Tensor, embedding: Tensor, logits: Tensor) -> Tensor:
        return super().forward(images, embedding, torch.zeros_like(logits))


def make_separable(head: DetailHead) -> None:
    """Replace every 3 × 3 convolution of a head but the first and the last by a separable one."""
    for name, block in list(head.named_modules()):
        convolution = block[0] if isinstance(block, nn.Sequential) else None
        if isinstance(convolution, nn.Conv2d) and name != "fine_in.0":
            block[0] = Separable(convolution.in_channels, convolution.out_channels)


def variant_of(head: DetailHead, kind: HeadKind, *, separable: bool = False) -> DetailHead:
    """Return a head of another kind with the settings of a new one, which may be changed itself."""
    if kind == "flat":
        head = Flat(head)
    elif kind == "alone":
        alone = Alone(head.settings, embedding_channels=head.embedding_channels)
        alone.load_state_dict(head.state_dict())
        head = alone
    if separable:
        make_separable(head)
    return head

"""What the parts of the network return: the encoder, the decoder, and both with a detail head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from sam2lora.prompts.prompt_batch import batch_slice


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """The encoder's output for B images, from which any number of prompts are decoded.

    Attributes
    ----------
    image_embed
        `(B, C, s, s)`, s = input size / 16, with the "no memory" embedding already added.
    fine
        `(B, C/8, 4s, 4s)`, after `conv_s0`.
    middle
        `(B, C/4, 2s, 2s)`, after `conv_s1`.
    pixels
        `(B, 3, S, S)` uint8: the images, which a detail head sees; None without one.
    """

    image_embed: Tensor
    fine: Tensor
    middle: Tensor
    pixels: Tensor | None = None

    def __len__(self) -> int:
        return self.image_embed.shape[0]

    def __getitem__(self, index: int | slice) -> Self:
        """Return the embeddings of some of the images; a single index keeps the batch dimension."""
        part = batch_slice(index, len(self))
        return type(self)(**{name: tensor[part] for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by the names of the attributes, without those that are None."""
        return {name: tensor for name, tensor in vars(self).items() if tensor is not None}

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Concatenate embeddings into one batch; a single one is not copied."""
        if len(parts) == 1:
            return parts[0]
        tensors = [part.tensors() for part in parts]
        return cls(**{name: torch.cat([part[name] for part in tensors]) for name in tensors[0]})

    def to(
        self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Self:
        """Return the embedding on another device or in another precision; pixels stay uint8."""
        return type(self)(
            **{
                name: tensor.to(device=device, dtype=None if name == "pixels" else dtype)
                for name, tensor in self.tensors().items()
            }
        )

    def clone(self) -> Self:
        """Return a copy; the embedding of one image is a view that keeps its batch in memory."""
        return type(self)(**{name: tensor.clone() for name, tensor in self.tensors().items()})

    def nbytes(self) -> int:
        """Return the size of the tensors in bytes."""
        tensors = self.tensors().values()
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass(frozen=True, eq=False)
class DetailInputs:
    """What a detail head draws B masks from, and the decoder's other output for them.

    Attributes
    ----------
    pixels
        `(B, 3, S, S)` uint8.
    embedding
        `(B, C/8, S/4, S/4)`: the decoder's embedding after its upscaling.
    low_res_logits
        `(B, M, S/4, S/4)` float32: SAM 2's own logits; the head refines the first.
    iou
        `(B, M)` float32.
    object_score
        `(B, 1)` float32.
    """

    pixels: Tensor
    embedding: Tensor
    low_res_logits: Tensor
    iou: Tensor
    object_score: Tensor


@dataclass(frozen=True, eq=False)
class DecoderOutput:
    """The decoder's masks for B prompts.

    Attributes
    ----------
    logits
        `(B, M, n, n)` float32; M is 3 with `multimask`, else 1; n is the side S of the input with
        a detail head, else S / 4. Not gated by `object_score`.
    iou
        `(B, M)` float32: the predicted IoU of each mask, in 0…1.
    object_score
        `(B, 1)` float32: logit of "the object is in the image", used by SAM 2 on videos.
    low_res_logits
        `(B, M, S/4, S/4)` float32: SAM 2's own logits, which a further prompt takes as previous
        mask; `logits` themselves without a detail head.
    """

    logits: Tensor
    iou: Tensor
    object_score: Tensor
    low_res_logits: Tensor

    def best(self) -> Self:
        """Keep the mask with the highest predicted IoU for each prompt, so that M is 1."""
        rows = torch.arange(self.iou.shape[0], device=self.iou.device)
        best = self.iou.argmax(dim=1)
        return type(self)(
            self.logits[rows, best].unsqueeze(1),
            self.iou[rows, best].unsqueeze(1),
            self.object_score,
            self.low_res_logits[rows, best].unsqueeze(1),
        )

    def first(self) -> Self:
        """Keep the first mask for each prompt, so that M is 1."""
        return type(self)(
            self.logits[:, :1], self.iou[:, :1], self.object_score, self.low_res_logits[:, :1]
        )

"""The network as it is trained: a batch of samples, each with prompts of its own kind."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam2lora.compute.attention import quick_attention
from sam2lora.models.sam2_image_model import ImageEmbedding, Sam2ImageModel
from sam2lora.prompts.prompt_batch import PromptBatch


class PromptedNetwork(nn.Module):
    """What is wrapped for several processes: only its `forward` synchronises them.

    Parameters
    ----------
    network
        The network, with LoRA in it or with all its weights trained.
    multimask_token
        Answer with SAM 2's first multimask output instead of its single one.
    """

    def __init__(self, network: Sam2ImageModel, *, multimask_token: bool = False) -> None:
        super().__init__()
        self.network = network
        self._multimask = multimask_token

    def forward(
        self, images: Tensor | ImageEmbedding, prompts: Sequence[PromptBatch]
    ) -> tuple[Tensor, Tensor]:
        """Answer one prompt for each image.

        SAM 2 answers differently when a shorter prompt is padded, so prompts of one kind are
        decoded together and kinds after each other.

        Parameters
        ----------
        images
            `(B, 3, S, S)` as `network.normalize` gives them, or their features.
        prompts
            B batches of one, on the same device.

        Returns
        -------
        Logits `(B, 1, S, S)` and the IoU expected of each `(B, 1)`, both float32.
        """
        features = images if isinstance(images, ImageEmbedding) else self.network.encode(images)
        kinds: dict[tuple[int, bool, bool], list[int]] = {}
        for number, prompt in enumerate(prompts):
            kinds.setdefault(prompt.shape_key, []).append(number)
        logits, iou, order = [], [], []
        for numbers in kinds.values():
            decoded = self.network.decode(
                ImageEmbedding.cat([features[number] for number in numbers]),
                PromptBatch.cat([prompts[number] for number in numbers]),
                multimask=self._multimask,
            )
            logits.append(decoded.logits[:, :1])
            iou.append(decoded.iou[:, :1])
            order += numbers
        back = torch.tensor(order, device=iou[0].device).argsort()
        size = self.network.input_size
        full = F.interpolate(torch.cat(logits)[back], size=(size, size), mode="bilinear")
        return full, torch.cat(iou)[back]


def checkpoint_blocks(network: Sam2ImageModel) -> None:
    """Let every block of the encoder compute its activations twice instead of keeping them."""
    for block in network.image_encoder.trunk.blocks:
        block.forward = partial(
            checkpoint, block.forward, use_reentrant=False, context_fn=_contexts
        )


def _contexts() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    """Give the contexts of the first and the second time; torch brings back autocast alone."""
    return nullcontext(), quick_attention()

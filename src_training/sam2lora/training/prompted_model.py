"""The network in training: batches whose samples have prompts of different kinds."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam2lora.compute.attention import quick_attention
from sam2lora.models.detail_head import enlarge
from sam2lora.models.outputs import DetailInputs, ImageEmbedding
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.prompts.prompt_batch import PromptBatch


class PromptedNetwork(nn.Module):
    """The network as a module whose `forward` alone can be wrapped for several processes.

    Parameters
    ----------
    network
        The network, with LoRA layers or with all its weights trainable.
    multimask_token
        Use SAM 2's first multimask output instead of its single mask.
    only_head
        Keep everything but the detail head in evaluation mode, since only the head is trained.
    """

    def __init__(
        self, network: Sam2ImageModel, *, multimask_token: bool = False, only_head: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self._multimask = multimask_token
        self._only_head = only_head

    def train(self, mode: bool = True) -> Self:
        """Set the mode, training or evaluation; only the detail head's if only it is trained."""
        super().train(mode and not self._only_head)
        if self._only_head and self.network.detail_head is not None:
            self.network.detail_head.train(mode)
        self.training = mode
        return self

    def forward(
        self, images: Tensor | ImageEmbedding | DetailInputs, prompts: Sequence[PromptBatch]
    ) -> tuple[Tensor, Tensor]:
        """Predict a mask for each image and its prompts.

        Padding a prompt changes the output of SAM 2, so only prompts of the same kind are decoded
        together.

        Parameters
        ----------
        images
            `(B, 3, S, S)` float32, normalized; or their embedding; or what the decoder made of
            them and the prompts, for the detail head alone.
        prompts
            B prompt batches of size one, on the same device.

        Returns
        -------
        Logits `(B, 1, S, S)` and predicted IoU `(B, 1)`, both float32.
        """
        if isinstance(images, DetailInputs):
            refined = self.network.refine(images).first()
            return refined.logits, refined.iou
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
        restore = torch.tensor(order, device=iou[0].device).argsort()
        size = self.network.input_size
        return enlarge(torch.cat(logits)[restore], size), torch.cat(iou)[restore]


def checkpoint_blocks(network: Sam2ImageModel) -> None:
    """Enable activation checkpointing in every block of the encoder, to save memory."""
    for block in network.image_encoder.trunk.blocks:
        block.forward = partial(
            checkpoint, block.forward, use_reentrant=False, context_fn=_contexts
        )


def _contexts() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    """Return the contexts of forward and recomputation; torch restores only autocast."""
    return nullcontext(), quick_attention()

"""The network in training: prompts of different kinds in a batch, and rounds of corrections."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam2lora.compute.attention import quick_attention
from sam2lora.models.detail_head import enlarge
from sam2lora.models.sam2_image_model import (
    DecoderOutput,
    DetailInputs,
    ImageEmbedding,
    Sam2ImageModel,
)
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.training.correction_rounds import Correction, Round, neighborhood, with_click


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
        self,
        images: Tensor | ImageEmbedding | DetailInputs,
        prompts: Sequence[PromptBatch],
        corrections: Sequence[Correction] = (),
    ) -> tuple[Round, ...]:
        """Predict a mask for each image and its prompts, then correct some of them in rounds.

        Parameters
        ----------
        images
            `(B, 3, S, S)` float32, normalized; or their embedding; or what the decoder made of
            them and the prompts, for the detail head alone.
        prompts
            B prompt batches of size one, on the same device.
        corrections
            How each of the B predictions is corrected; without any, there is one round. A detail
            head alone is not trained on corrections.

        Returns
        -------
        The rounds, first that of all B samples, in their order.
        """
        if isinstance(images, DetailInputs):
            return (self._round(self.network.refine(images).first(), range(len(prompts))),)
        features = images if isinstance(images, ImageEmbedding) else self.network.encode(images)
        samples = list(range(len(prompts)))
        current = dict(enumerate(prompts))
        output = self._decode(features, [current[sample] for sample in samples], samples)
        rounds = [self._round(output, samples)]
        for number in range(1, max((each.rounds for each in corrections), default=0) + 1):
            clicks = {
                sample: click
                for row, sample in enumerate(samples)
                if corrections[sample].rounds >= number
                and (click := corrections[sample].click(rounds[-1].logits[row], number))
            }
            if not clicks:
                break
            rows = {sample: row for row, sample in enumerate(samples)}
            for sample, click in clicks.items():
                logits = output.low_res_logits[rows[sample]]
                current[sample] = with_click(current[sample], click, logits)
            samples = list(clicks)
            output = self._decode(features, [current[sample] for sample in samples], samples)
            near = [
                neighborhood(click, self.network.input_size, features.image_embed.device)
                for click in clicks.values()
            ]
            rounds.append(self._round(output, samples, torch.stack(near)))
        return tuple(rounds)

    def _decode(
        self, features: ImageEmbedding, prompts: Sequence[PromptBatch], samples: Sequence[int]
    ) -> DecoderOutput:
        """Decode the prompts of some samples; the first masks, in their order.

        Padding a prompt changes the output of SAM 2, so only prompts of the same kind are decoded
        together.
        """
        kinds: dict[tuple[int, bool, bool], list[int]] = {}
        for row, prompt in enumerate(prompts):
            kinds.setdefault(prompt.shape_key, []).append(row)
        outputs = [
            self.network.decode(
                ImageEmbedding.cat([features[samples[row]] for row in rows]),
                PromptBatch.cat([prompts[row] for row in rows]),
                multimask=self._multimask,
            ).first()
            for rows in kinds.values()
        ]
        decoded = [row for rows in kinds.values() for row in rows]
        order = torch.tensor(decoded, device=outputs[0].iou.device).argsort()
        return DecoderOutput(
            **{
                name: torch.cat([getattr(output, name) for output in outputs])[order]
                for name in vars(outputs[0])
            }
        )

    def _round(
        self, output: DecoderOutput, samples: Sequence[int], clicked: Tensor | None = None
    ) -> Round:
        logits = enlarge(output.logits, self.network.input_size)
        if clicked is None:
            clicked = torch.zeros_like(logits, dtype=torch.bool)
        return Round(logits, output.iou, torch.tensor(samples, device=logits.device), clicked)


def checkpoint_blocks(network: Sam2ImageModel) -> None:
    """Enable activation checkpointing in every block of the encoder, to save memory."""
    for block in network.image_encoder.trunk.blocks:
        block.forward = partial(
            checkpoint, block.forward, use_reentrant=False, context_fn=_contexts
        )


def _contexts() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    """Return the contexts of forward and recomputation; torch restores only autocast."""
    return nullcontext(), quick_attention()

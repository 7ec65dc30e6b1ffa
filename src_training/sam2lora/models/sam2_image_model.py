"""SAM 2 for images: encode once, then decode prompts; the same modules and results as SAM 2.

The attribute names are those of SAM 2's own `SAM2Base`, so that its checkpoints load and adapters
trained here also fit it. Weights stay float32; a lower precision comes from autocast
(`compute.device`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sam2lora.errors import GeometryError
from sam2lora.models.detail_head import DetailHead, enlarge
from sam2lora.models.normalization import denormalize, normalize
from sam2lora.models.outputs import DecoderOutput, DetailInputs, ImageEmbedding
from sam2lora.prompts.prompt_batch import PromptBatch


class Sam2ImageModel(nn.Module):
    """The parts of SAM 2 that images need, without its video memory.

    Parameters
    ----------
    image_encoder, sam_prompt_encoder, sam_mask_decoder
        SAM 2's own modules, as `loading.build_network` creates them.
    input_size
        Side S of the square input, in pixels.

    Attributes
    ----------
    detail_head
        The attached detail head, or None. It belongs to an adapter: neither `state_dict` nor the
        base model's hash include it.
    """

    def __init__(
        self,
        image_encoder: Any,
        sam_prompt_encoder: Any,
        sam_mask_decoder: Any,
        *,
        input_size: int,
    ) -> None:
        super().__init__()
        # Any, because SAM 2's classes have no type annotations.
        self.image_encoder: Any = image_encoder
        self.sam_prompt_encoder: Any = sam_prompt_encoder
        self.sam_mask_decoder: Any = sam_mask_decoder
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, sam_mask_decoder.transformer_dim))
        self.input_size = input_size
        self.detail_head: DetailHead | None = None
        self.register_state_dict_post_hook(_leave_detail_head_out)  # type: ignore[no-untyped-call]

    @property
    def mask_size(self) -> int:
        """Side of the decoder's logits and of a previous mask: a quarter of the input's."""
        return self.input_size // 4

    @property
    def embedding_bytes(self) -> int:
        """Size of the embedding of one image in float32, in bytes."""
        side = self.input_size // 16
        # C channels at side², C/8 at 16 side², C/4 at 4 side².
        return 4 * 4 * int(self.sam_mask_decoder.transformer_dim) * side**2

    @property
    def pixel_bytes(self) -> int:
        """Size of the pixels that an embedding keeps for a detail head, of one image, in bytes."""
        return 3 * self.input_size**2

    @property
    def decoder_channels(self) -> int:
        """Channels of the decoder's embedding after its upscaling."""
        return int(self.sam_mask_decoder.transformer_dim) // 8

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.no_mem_embed.device

    def attach_detail_head(self, head: DetailHead | None) -> None:
        """Attach a detail head, or detach it (None); it moves to the network's device.

        It takes on the network's mode, of training or evaluation.
        """
        self.detail_head = None if head is None else head.to(self.device).train(self.training)

    def encode(self, images: Tensor) -> ImageEmbedding:
        """Compute the embeddings of images.

        Parameters
        ----------
        images
            `(B, 3, S, S)` float, from `normalize`.

        Raises
        ------
        GeometryError
            If the images have another shape or are not normalized.
        """
        size = self.input_size
        if images.ndim != 4 or images.shape[1:] != (3, size, size):
            raise GeometryError(
                f"This network takes images of (B, 3, {size}, {size}), not {tuple(images.shape)}."
            )
        if not images.is_floating_point():
            raise GeometryError(f"Images must be normalized to float first, not {images.dtype}.")
        # Strides 4, 8 and 16.
        fine, middle, coarse = self.image_encoder(images)["backbone_fpn"]
        return ImageEmbedding(
            image_embed=coarse + self.no_mem_embed.view(1, -1, 1, 1),
            fine=self.sam_mask_decoder.conv_s0(fine),
            middle=self.sam_mask_decoder.conv_s1(middle),
            pixels=None if self.detail_head is None else denormalize(images),
        )

    def decode(
        self, embedding: ImageEmbedding, prompts: PromptBatch, *, multimask: bool = False
    ) -> DecoderOutput:
        """Decode prompts into masks.

        Parameters
        ----------
        embedding
            Embedding of one image, for all prompts, or of one image for each prompt.
        prompts
            Prompts on the device of the network.
        multimask
            Return SAM 2's three alternative masks instead of its single one.

        Raises
        ------
        GeometryError
            If the numbers of images and prompts differ, a previous mask has another size, or a
            detail head is attached and the embedding was computed without one.
        """
        if self.detail_head is not None:
            return self.refine(self.decode_coarse(embedding, prompts, multimask=multimask))
        logits, iou, object_score = self._decode(embedding, prompts, multimask=multimask)
        return DecoderOutput(logits, iou, object_score, logits)

    def decode_coarse(
        self, embedding: ImageEmbedding, prompts: PromptBatch, *, multimask: bool = False
    ) -> DetailInputs:
        """Decode prompts into what a detail head draws masks from (`refine`).

        Parameters
        ----------
        embedding, prompts, multimask
            As for `decode`.

        Raises
        ------
        GeometryError
            As for `decode`.
        """
        if embedding.pixels is None:
            raise GeometryError(
                "This embedding holds no pixels, which a detail head needs. Encode the image again "
                "with the head attached."
            )
        with _upscaled_embedding(self.sam_mask_decoder) as upscaled:
            logits, iou, object_score = self._decode(embedding, prompts, multimask=multimask)
        pixels = embedding.pixels.expand(len(prompts), -1, -1, -1)
        return DetailInputs(pixels, upscaled[0], logits, iou, object_score)

    def refine(self, inputs: DetailInputs) -> DecoderOutput:
        """Draw the first mask of each prompt with the attached detail head; enlarge the others.

        Raises
        ------
        GeometryError
            If no detail head is attached.
        """
        if self.detail_head is None:
            raise GeometryError("No detail head is attached to this network.")
        coarse = inputs.low_res_logits
        logits = self.detail_head(normalize(inputs.pixels), inputs.embedding, coarse[:, :1])
        if coarse.shape[1] > 1:
            logits = torch.cat([logits, enlarge(coarse[:, 1:], self.input_size)], 1)
        return DecoderOutput(logits, inputs.iou, inputs.object_score, coarse)

    def _decode(
        self, embedding: ImageEmbedding, prompts: PromptBatch, *, multimask: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run SAM 2's decoder: logits `(B, M, S/4, S/4)`, IoU `(B, M)`, object score `(B, 1)`."""
        batch = len(prompts)
        if len(embedding) not in (1, batch):
            raise GeometryError(
                f"There are {len(embedding)} images for {batch} prompts; "
                "pass one image, or one for each prompt."
            )
        sparse, dense, position = self._embed(prompts)
        # A batch of one image is broadcast: `expand` copies nothing, and the decoder only adds to
        # the two finer maps.
        logits, iou, _, object_score = self.sam_mask_decoder(
            image_embeddings=embedding.image_embed.expand(batch, -1, -1, -1),
            image_pe=position,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=False,
            high_res_features=[embedding.fine, embedding.middle],
        )
        return logits.float(), iou.float(), object_score.float()

    def forward(
        self, images: Tensor | ImageEmbedding, prompts: PromptBatch, *, multimask: bool = False
    ) -> DecoderOutput:
        """Encode images, unless they are embeddings already, and decode the prompts."""
        embedding = images if isinstance(images, ImageEmbedding) else self.encode(images)
        return self.decode(embedding, prompts, multimask=multimask)

    def _embed(self, prompts: PromptBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Embed prompts: tokens `(B, T, C)`, masks `(B, C, s, s)`, positions `(1, C, s, s)`."""
        masks = prompts.mask_logits
        side = self.mask_size
        if masks is not None and masks.shape[-2:] != (side, side):
            raise GeometryError(
                f"A previous mask must be {side} x {side} for this network, "
                f"not {masks.shape[-1]} x {masks.shape[-2]}; prompts.mask_to_logits resizes it."
            )
        # In bfloat16 coordinates would be rounded to whole pixels.
        with torch.autocast(self.device.type, enabled=False):
            sparse, dense = self.sam_prompt_encoder(
                points=_as_points(prompts),
                boxes=None,
                masks=None if masks is None else masks.float(),
            )
            return sparse, dense, self.sam_prompt_encoder.get_dense_pe()


@contextmanager
def _upscaled_embedding(decoder: Any) -> Iterator[list[Tensor]]:
    """Catch the decoder's embedding after its upscaling, `(B, C/8, S/4, S/4)`, while in here.

    SAM 2's decoder returns only the product of this embedding and its mask tokens.
    """
    caught: list[Tensor] = []
    hook = decoder.output_upscaling[-1].register_forward_hook(
        lambda module, inputs, output: caught.append(output)
    )
    try:
        yield caught
    finally:
        hook.remove()


def _leave_detail_head_out(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    """Remove the detail head from a state dict in place: it is no part of the base model."""
    for name in [name for name in state if name.startswith(f"{prefix}detail_head.")]:
        del state[name]


def _as_points(prompts: PromptBatch) -> tuple[Tensor, Tensor]:
    """Return all prompts as the points SAM 2's heads take: `(B, N, 2)` and labels `(B, N)`.

    A box becomes its two corners, labelled 2 and 3, before the points. Without points and box
    there is one padding point, labelled -1.
    """
    points, labels = prompts.points.float(), prompts.labels
    if prompts.boxes is not None:
        corners = prompts.boxes.float().view(-1, 2, 2)
        kinds = labels.new_tensor([2, 3]).expand(len(prompts), 2)
        return torch.cat([corners, points], dim=1), torch.cat([kinds, labels], dim=1)
    if points.shape[1] == 0:
        return points.new_zeros(len(prompts), 1, 2), labels.new_full((len(prompts), 1), -1)
    return points, labels

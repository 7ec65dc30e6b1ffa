"""What frozen parts of a network compute from windows that are used repeatedly, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil
import torch
from torch import Tensor

from sam2lora.compute.device import autocast
from sam2lora.inference.embedding_cache import ByteLru, EmbeddingCache
from sam2lora.models.outputs import DetailInputs, ImageEmbedding
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.settings import Precision
from sam2lora.training.data_loader import images_of, turned
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.settings import TrainSettings

_CPU = torch.device("cpu")
_MEMORY_SHARE = 0.25  # of the free memory, for the decoder's output


@dataclass(frozen=True, eq=False)
class _Decoded:
    """The decoder's output for a window without prompt, in float16 on the CPU."""

    embedding: Tensor
    low_res_logits: Tensor
    iou: Tensor
    object_score: Tensor

    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in vars(self).values())


class FrozenNetwork:
    """The frozen encoder of a training, and the frozen decoder where only the head is trained.

    Whether something is computed or found does not change it: windows are computed one by one, and
    all go through float16.

    Parameters
    ----------
    network
        The network, on `device`; what is used of it here must not change.
    settings
        Training settings.
    device, precision
        Those of the training.
    embeddings
        Cache for the encoder's output.
    """

    def __init__(
        self,
        network: Sam2ImageModel,
        settings: TrainSettings,
        *,
        device: torch.device,
        precision: Precision,
        embeddings: EmbeddingCache,
    ) -> None:
        self._network, self._device, self._precision = network, device, precision
        self._embeddings = embeddings
        self._multimask = settings.multimask_token
        # With prompts the decoder's output differs each time, so the encoder's is kept too.
        weights = settings.prompts.weights
        prompted = any(weight > 0 for kind, weight in weights.items() if kind != "none")
        self._keeps_embeddings = prompted or not settings.freeze_network
        limit = int(psutil.virtual_memory().available * _MEMORY_SHARE)
        self._decoded = ByteLru[_Decoded](limit if settings.freeze_network else 0)

    @torch.no_grad()
    def features(self, samples: Sequence[TrainingSample]) -> ImageEmbedding:
        """Return the encoder's output for windows, without their pixels."""
        found = []
        for sample in samples:
            features = self._embeddings.get(sample.key, device=_CPU)
            if features is None:
                with autocast(self._device, self._precision):
                    encoded = self._network.encode(images_of([sample], self._device))
                features = _as_stored(encoded)
                if self._keeps_embeddings:
                    self._embeddings.put(sample.key, features)
            found.append(features.to(device=self._device, dtype=torch.float32))
        return ImageEmbedding.cat(found)

    @torch.no_grad()
    def detail_inputs(self, samples: Sequence[TrainingSample]) -> DetailInputs:
        """Return the detail head's inputs for windows and their prompts, turned as the samples."""
        found = [self._detail_inputs(sample) for sample in samples]
        return DetailInputs(
            **{name: torch.cat([vars(inputs)[name] for inputs in found]) for name in vars(found[0])}
        )

    def _detail_inputs(self, sample: TrainingSample) -> DetailInputs:
        decoded = self._decoded.get(sample.key) if sample.prompts.is_empty else None
        pixels = torch.from_numpy(sample.pixels).permute(2, 0, 1)[None].to(self._device)
        if decoded is None:
            decoded = self._decode(sample, pixels)
            if sample.prompts.is_empty:
                self._decoded.put(sample.key, decoded)
        embedding, logits, iou, score = (
            tensor.to(device=self._device, dtype=torch.float32) for tensor in vars(decoded).values()
        )
        pixels, embedding, logits = (
            turned(tensor, sample.turn) for tensor in (pixels, embedding, logits)
        )
        return DetailInputs(pixels, embedding, logits, iou, score)

    def _decode(self, sample: TrainingSample, pixels: Tensor) -> _Decoded:
        features = replace(self.features([sample]), pixels=pixels)
        prompts = sample.prompts.to(self._device)
        with autocast(self._device, self._precision):
            coarse = self._network.decode_coarse(features, prompts, multimask=self._multimask)
        return _Decoded(
            *(
                tensor.to(device=_CPU, dtype=torch.float16).contiguous()
                for name, tensor in vars(coarse).items()
                if name != "pixels"
            )
        )


def _as_stored(features: ImageEmbedding) -> ImageEmbedding:
    """Return features with the precision and memory layout that they have when read from a file.

    A resumed run reads features that the first one computed, and must give the same result. The
    layout matters too: dropout draws its mask in the order of memory.
    """
    half = features.to(device=_CPU, dtype=torch.float16)
    return ImageEmbedding(
        half.image_embed.contiguous(), half.fine.contiguous(), half.middle.contiguous()
    )

"""From windows of an image to the decoder's outputs: one network, one adapter, cached.

Encoding takes most of the time, so embeddings are cached by everything they depend on, and further
prompts run the decoder only.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.switching import AdapterManager
from sam2lora.compute.device import (
    autocast,
    choose_device,
    choose_precision,
    explain_out_of_memory,
)
from sam2lora.inference.embedding_cache import ByteLru, EmbeddingCache
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.models.normalization import normalize
from sam2lora.models.outputs import ImageEmbedding
from sam2lora.prompts.prompt_batch import PromptBatch, in_window
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import PrecisionChoice
from sam2lora.transforms.windows import Values, Window
from sam2lora.utils.progress import Progress

_DecoderInput = tuple[int, PromptBatch, ImageEmbedding]  # with the number of the window

_UNPROMPTED_LIMIT = 64 << 20  # bytes of unprompted outputs cached: a thousand windows at 128²


@dataclass(frozen=True, eq=False)
class WindowOutput:
    """The decoder's output in one window: logits `(n, n)` float32, and the predicted IoU."""

    logits: Values
    iou: float

    def nbytes(self) -> int:
        """Return the size of the logits in bytes."""
        return self.logits.nbytes


@dataclass
class StepCounter:
    """The steps of one call, and the callback that reports them."""

    report: Progress
    total: int
    done: int = 0

    def add(self, count: int) -> None:
        """Count steps as done and report it; an exception of the callback stops the work."""
        self.done += count
        self.report(self.done, self.total)


class WindowPredictor:
    """One base model on one device, with one adapter at a time, that predicts in windows.

    Parameters
    ----------
    base
        The base model; its network is moved to the device.
    device, precision
        As for `choose_device` and `choose_precision` of `sam2lora.compute.device`.
    cache
        Cache of embeddings.
    batch
        Windows encoded or decoded in one batch.
    multimask_token
        As for `Predictor`.

    Raises
    ------
    DeviceError
        If the device does not exist or does not support the precision.
    """

    def __init__(
        self,
        base: LoadedModel,
        *,
        device: str,
        precision: PrecisionChoice,
        cache: EmbeddingCache,
        batch: int,
        multimask_token: bool | None,
    ) -> None:
        self.base = base
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._network = base.network.to(self.device).eval()
        self._cache = cache
        self._unprompted = ByteLru[WindowOutput](_UNPROMPTED_LIMIT)
        self._batch = batch
        self._multimask_token = multimask_token
        self._adapters = AdapterManager(base)

    @property
    def input_size(self) -> int:
        """Side of the network's input in pixels."""
        return self._network.input_size

    @property
    def adapter(self) -> Adapter | None:
        """The active adapter; None for the base model without adapter."""
        return self._adapters.adapter

    def set_adapter(self, adapter: Adapter | None) -> None:
        """Activate an adapter, as `Predictor.set_adapter`.

        Raises
        ------
        AdapterError
            If it is damaged or for another base model; the active adapter stays.
        """
        self._adapters.activate(adapter)

    def state_with(self, adapter: Adapter | None) -> str:
        """Return a hash of the base model, an adapter and the precision, without activating it.

        Raises
        ------
        AdapterError
            If the adapter's files cannot be read.
        """
        files = () if adapter is None else (adapter.digest(), adapter.card.to_json())
        token = repr(self._multimask_token)
        return _digest(self.base.weights_sha256, self.precision, token, *files)

    def decode(
        self,
        prepared: PreparedImage,
        windows: Sequence[Window],
        prompts: Prompts,
        steps: StepCounter,
    ) -> list[WindowOutput]:
        """Decode each window, or take its output from the cache where it has no prompt.

        Parameters
        ----------
        prepared
            The image.
        windows
            Windows of it, of the network's input size.
        prompts
            Prompts in native pixels; each window gets those that lie in it.
        steps
            Counts each window twice: encoded, and decoded.

        Raises
        ------
        DeviceError
            If there is not enough memory.
        """
        outputs: dict[int, WindowOutput] = {}
        missing: list[tuple[int, PromptBatch]] = []
        for number, window in enumerate(windows):
            local = prompts.within(window)
            cached = (
                self._unprompted.get(self._output_key(prepared, window)) if local.empty else None
            )
            if cached:
                outputs[number] = cached
            else:
                batch = in_window(local, window, mask_size=self._network.mask_size)
                missing.append((number, batch))
        steps.done += 2 * len(outputs)
        embeddings = self.embed(prepared, [windows[number] for number, _ in missing], steps)
        inputs = [(*entry, found) for entry, found in zip(missing, embeddings, strict=True)]
        for group in _batches(inputs, self._batch):
            decoded = self._decode_batch(
                [prompt for _, prompt, _ in group], [embedding for *_, embedding in group]
            )
            for (number, prompt, _), output in zip(group, decoded, strict=True):
                outputs[number] = output
                if prompt.is_empty:
                    self._unprompted.put(self._output_key(prepared, windows[number]), output)
            steps.add(len(group))
        return [outputs[number] for number in range(len(windows))]

    @torch.inference_mode()
    def _decode_batch(
        self, prompts: Sequence[PromptBatch], embeddings: Sequence[ImageEmbedding]
    ) -> list[WindowOutput]:
        """Run the decoder on prompts of one shape, each with the embedding of its window."""
        batch = PromptBatch.cat(prompts)
        with (
            explain_out_of_memory(self.device, "Decoding a prompt"),
            autocast(self.device, self.precision),
        ):
            first_of_three = self._learned_first_of_three()
            # Without adapter, one point is ambiguous: the best of SAM 2's three masks is taken.
            one_point = batch.shape_key == (1, False, False)
            ambiguous = first_of_three is None and one_point and not self.base.single_mask
            decoded = self._network.decode(
                ImageEmbedding.cat(embeddings),
                batch.to(self.device),
                multimask=bool(first_of_three) or ambiguous,
            )
            decoded = decoded.first() if first_of_three else decoded.best()
        return [
            # Copied, to be no view of the batch; the predicted IoU may lie outside 0…1.
            WindowOutput(logits[0].cpu().numpy().copy(), float(iou[0].clamp(0, 1)))
            for logits, iou in zip(decoded.logits, decoded.iou, strict=True)
        ]

    def embed(
        self, prepared: PreparedImage, windows: Sequence[Window], steps: StepCounter
    ) -> list[ImageEmbedding]:
        """Return the embeddings of windows, encoding those that are not in the cache.

        Raises
        ------
        DeviceError
            If there is not enough memory.
        """
        keys = [self._embedding_key(prepared, window) for window in windows]
        found: dict[str, ImageEmbedding | None] = {
            key: self._cache.get(key, device=self.device) for key in keys
        }
        missing = [pair for pair in zip(keys, windows, strict=True) if found[pair[0]] is None]
        steps.add(len(windows) - len(missing))
        for start in range(0, len(missing), self._batch):
            group = missing[start : start + self._batch]
            encoded = self._encode_batch(prepared, [window for _, window in group])
            for (key, _), embedding in zip(group, encoded, strict=True):
                found[key] = embedding
                self._cache.put(key, embedding)
            steps.add(len(group))
        return [cached for key in keys if (cached := found[key]) is not None]

    @torch.inference_mode()
    def _encode_batch(
        self, prepared: PreparedImage, windows: Sequence[Window]
    ) -> list[ImageEmbedding]:
        """Run the encoder on windows of an image."""
        inputs = np.stack([window.cut(prepared.pixels) for window in windows])  # (N, n, n, 3)
        with (
            explain_out_of_memory(self.device, "Encoding an image"),
            autocast(self.device, self.precision),
        ):
            embedded = self._network.encode(normalize(torch.from_numpy(inputs).to(self.device)))
        return [embedded[number].clone() for number in range(len(windows))]

    def _learned_first_of_three(self) -> bool | None:
        """Return whether training was on the first of three masks; None without adapter."""
        if self.adapter is None:
            return self._multimask_token
        return self.adapter.card.multimask_token

    def _embedding_key(self, prepared: PreparedImage, window: Window) -> str:
        """Return the key of a window's embedding: a hash of everything it depends on."""
        state = self._adapters.encoder_state
        # Only with a detail head do embeddings hold pixels.
        pixels = () if self._network.detail_head is None else ("pixels",)
        parts = (prepared.key, repr(window), self.base.weights_sha256, self.precision, state)
        return _digest(*parts, *pixels)

    def _output_key(self, prepared: PreparedImage, window: Window) -> str:
        """Return the key of a window's unprompted output: a hash of everything it depends on."""
        first_of_three, state = self._learned_first_of_three(), self._adapters.decoder_state
        return _digest(self._embedding_key(prepared, window), state, repr(first_of_three))


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _batches(inputs: Sequence[_DecoderInput], size: int) -> Iterator[list[_DecoderInput]]:
    """Group inputs with prompts of the same shape, at most `size` in a batch."""
    by_shape: dict[tuple[int, bool, bool], list[_DecoderInput]] = {}
    for entry in inputs:
        by_shape.setdefault(entry[1].shape_key, []).append(entry)
    for group in by_shape.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]

"""From an image to probabilities: encode once, prompt many times; in full, tiled or cropped.

A `Predictor` is one network on one device. Encoding takes most of the time, so embeddings are
cached by everything they depend on, and further prompts run the decoder only.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

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
from sam2lora.inference.corrections import WINDOW_SIZES, ClickCorrector
from sam2lora.inference.embedding_cache import ByteLru, EmbeddingCache
from sam2lora.inference.postprocessing import convex_envelope
from sam2lora.inference.prepared_image import PreparedImage, extent_of, pixels_inside, windows_of
from sam2lora.models.click_refiner import load_refiner, refiner_path
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import ImageEmbedding, normalize
from sam2lora.prompts.prompt_batch import PromptBatch, in_window
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings, PrecisionChoice
from sam2lora.transforms.windows import Blend, Values, Window
from sam2lora.transforms.zoom import BoundingBox, crop_around, needs_another_look
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

_DecoderInput = tuple[int, PromptBatch, ImageEmbedding]  # with the number of the window

NO_PROMPTS = Prompts()

_STEPS_LIMIT = 256 << 20  # bytes of corrected predictions cached: five of the largest cameras
_UNPROMPTED_LIMIT = 64 << 20  # bytes of unprompted outputs cached: a thousand windows at 128²


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one target in one image.

    Attributes
    ----------
    probabilities
        `(H, W)` float32 in 0…1; 0 outside the field of view.
    iou
        The predicted IoU of the mask, 0…1; the mean over the tiles where there are several.
    """

    probabilities: Values
    iou: float

    def mask(self, threshold: float) -> Mask:
        """Return `(H, W)` bool: where the probability is at least `threshold`."""
        return self.probabilities >= threshold

    def nbytes(self) -> int:
        """Return the size of the probabilities in bytes."""
        return self.probabilities.nbytes


@dataclass(frozen=True, eq=False)
class _WindowOutput:
    """The decoder's output in one window: logits `(n, n)` float32, and the predicted IoU."""

    logits: Values
    iou: float

    def nbytes(self) -> int:
        return self.logits.nbytes


@dataclass
class _StepCounter:
    """The steps of one call, and the callback that reports them."""

    report: Progress
    total: int
    done: int = 0

    def add(self, count: int) -> None:
        """Count steps as done and report it; an exception of the callback stops the work."""
        self.done += count
        self.report(self.done, self.total)


class Predictor:
    """One base model on one device, ready to predict.

    Parameters
    ----------
    base
        The base model; its network is moved to the device.
    device, precision
        As for `choose_device` and `choose_precision` of `sam2lora.compute.device`.
    cache
        Cache of embeddings; by default one of a gibibyte of memory for this predictor.
    batch
        Windows encoded or decoded in one batch.
    multimask_token
        For a network in training: True if it learns the first of SAM 2's three masks, False for
        the single one. None for a base model: the card of its adapter decides.

    Attributes
    ----------
    steps
        Cache of predictions that were corrected by clicks (`inference.clicks`).

    Raises
    ------
    DeviceError
        If the device does not exist or does not support the precision.
    """

    def __init__(
        self,
        base: LoadedModel,
        *,
        device: str = "auto",
        precision: PrecisionChoice = "auto",
        cache: EmbeddingCache | None = None,
        batch: int = 4,
        multimask_token: bool | None = None,
    ) -> None:
        self.base = base
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._network = base.network.to(self.device).eval()
        self._cache = cache or EmbeddingCache()
        self._unprompted = ByteLru[_WindowOutput](_UNPROMPTED_LIMIT)
        self._batch = batch
        self._multimask_token = multimask_token
        self._adapters = AdapterManager(base)
        self.steps = ByteLru[Prediction](_STEPS_LIMIT)

    @cached_property
    def corrector(self) -> ClickCorrector:
        """The corrector of clicks, loaded when it is used first."""
        refiners = {kind: load_refiner(refiner_path(kind)) for kind in WINDOW_SIZES}
        return ClickCorrector(refiners, device=self.device, precision=self.precision)

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

    @property
    def adapter(self) -> Adapter | None:
        """The active adapter; None for the base model without adapter."""
        return self._adapters.adapter

    def set_adapter(self, adapter: Adapter | None) -> None:
        """Set the adapter to predict with; None for the base model without adapter.

        Not to be called during a prediction. The cache stays valid, and adapters with the same
        encoder weights share embeddings.

        Raises
        ------
        AdapterError
            If it is damaged or for another base model; the active adapter stays.
        """
        self._adapters.activate(adapter)

    def encode(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        *,
        progress: Progress = no_progress,
    ) -> None:
        """Encode all windows that an unprompted prediction needs, so that prompts need no encoder.

        Parameters
        ----------
        prepared
            The image.
        geometry
            The input mode and its parameters.
        progress
            Called with (windows done, windows in total) before and between windows; cached ones
            count as done. An exception that it raises stops the work and reaches the caller; what
            was encoded stays in the cache.

        Raises
        ------
        DeviceError
            If there is not enough memory.
        """
        windows = windows_of(prepared, geometry, self._network.input_size)
        self._embed(prepared, windows, _StepCounter(progress, total=len(windows)))

    def predict(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        prompts: Prompts = NO_PROMPTS,
        *,
        inside: BoundingBox | None = None,
        progress: Progress = no_progress,
    ) -> Prediction:
        """Predict one target.

        Parameters
        ----------
        prepared
            The image.
        geometry
            The input mode and its parameters; those the adapter was trained with.
        prompts
            Points, box and previous mask. If the input mode is tiled, each window gets the prompts
            that lie in it, and windows without any keep their unprompted prediction. If it is
            cropped, the prompts also determine where the crop is.
        inside
            Box around the target that this one lies in, if that is known: the first look is then at
            the crop around it, if the input mode is cropped. None: at the whole field.
        progress
            As for `encode`, with (steps done, steps in total): each window, each crop included, is
            one step when it is encoded and another when it is decoded.

        Raises
        ------
        GeometryError
            If a prompt lies outside the image or its field of view.
        DeviceError
            If there is not enough memory.
        """
        prompts.check_inside(prepared.field.mask)
        if geometry.detail == "zoom":
            windows, outputs = self._look_closer(prepared, geometry, prompts, inside, progress)
        else:
            windows = windows_of(prepared, geometry, self._network.input_size)
            steps = _StepCounter(progress, total=2 * len(windows))
            outputs = self._decode_windows(prepared, windows, prompts, steps)
        if geometry.convex and geometry.detail != "tiles":
            logits = _make_convex(outputs[0].logits, windows[0], prepared, prompts)
            outputs = [replace(outputs[0], logits=logits)]
        probabilities = _blend(windows, outputs, prepared.shape)
        np.multiply(probabilities, prepared.field.mask, out=probabilities)
        return Prediction(probabilities, float(np.mean([output.iou for output in outputs])))

    def _look_closer(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        prompts: Prompts,
        inside: BoundingBox | None,
        progress: Progress,
    ) -> tuple[list[Window], list[_WindowOutput]]:
        """Look at the field, at the crop around what is found, and again if the crop was wrong."""
        size, field = self._network.input_size, prepared.field
        if geometry.zoom_extent is None:
            inside = None  # such an adapter has learned to find its target in the field
        looks = 1 if inside else 2 if geometry.zoom_extent is None else 3
        steps = _StepCounter(progress, total=2 * looks)
        if inside is None:
            (whole,) = windows_of(prepared, geometry, size)
            (output,) = self._decode_windows(prepared, [whole], prompts, steps)
            expected = extent_of(prepared, whole, output.logits, prompts)
        else:
            expected = inside.including((point.x, point.y) for point in prompts.by_label()[0])
        crop = crop_around(geometry, field, expected, size)
        (output,) = self._decode_windows(prepared, [crop], prompts, steps)
        if geometry.zoom_extent is None or inside is not None:
            return [crop], [output]
        found = extent_of(prepared, crop, output.logits, prompts)
        if not prompts.box and needs_another_look(crop, expected, found):
            crop = crop_around(geometry, field, found, size)
            (output,) = self._decode_windows(prepared, [crop], prompts, steps)
        else:
            steps.add(2)
        return [crop], [output]

    def _decode_windows(
        self,
        prepared: PreparedImage,
        windows: Sequence[Window],
        prompts: Prompts,
        steps: _StepCounter,
    ) -> list[_WindowOutput]:
        """Decode each window, or take its output from the cache where it has no prompt."""
        outputs: dict[int, _WindowOutput] = {}
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
        embeddings = self._embed(prepared, [windows[number] for number, _ in missing], steps)
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
    ) -> list[_WindowOutput]:
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
            _WindowOutput(logits[0].cpu().numpy().copy(), float(iou[0].clamp(0, 1)))
            for logits, iou in zip(decoded.logits, decoded.iou, strict=True)
        ]

    def _embed(
        self, prepared: PreparedImage, windows: Sequence[Window], steps: _StepCounter
    ) -> list[ImageEmbedding]:
        """Return the embeddings of windows, encoding those that are not in the cache."""
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


def _blend(
    windows: Sequence[Window], outputs: Sequence[_WindowOutput], shape: tuple[int, int]
) -> Values:
    """Blend the outputs of windows: probabilities `(H, W)`, 0 where no window reaches."""
    if len(windows) == 1:  # blending would return the same values, and take longer than a decoding
        probabilities = np.zeros(shape, dtype=np.float32)
        pasted = windows[0].paste(outputs[0].logits, shape)
        probabilities[pasted.rows, pasted.columns] = _sigmoid(pasted.values)
        return probabilities
    blend = Blend(shape)
    for window, output in zip(windows, outputs, strict=True):
        pasted = window.paste(output.logits, shape)
        blend.add_pasted(window, replace(pasted, values=_sigmoid(pasted.values)))
    return blend.result()


def _make_convex(
    logits: Values, window: Window, prepared: PreparedImage, prompts: Prompts
) -> Values:
    """Make the prediction in a window convex, but for dents that negative points require."""
    coarse = replace(window, size=len(logits))
    positive, negative = (
        coarse.to_network(np.array([(point.x, point.y) for point in points]).reshape(-1, 2))
        for points in prompts.by_label()
    )
    within = None
    if prompts.box:
        (x0, y0), (x1, y1) = coarse.to_network(np.array(prompts.box).reshape(2, 2))
        rows, columns = np.ogrid[: len(logits), : len(logits)]
        within = (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)
    elif prompts.mask is not None:
        within = coarse.cut_mask(prompts.mask)
    valid = pixels_inside(prepared.field.mask, coarse)
    return convex_envelope(logits, positive, negative, valid=valid, within=within)


def _sigmoid(logits: Values) -> Values:
    """Turn logits into probabilities, in place."""
    torch.from_numpy(logits).sigmoid_()
    return logits

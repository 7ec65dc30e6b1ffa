"""From an image to a mask: encode once, prompt many times; whole image, tiles, or zoom.

A `Predictor` is one network on one device. Encoding is what costs, so its results are cached by
what they depend on, and every further prompt answers from there.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from sam2lora.inference.postprocessing import convex_envelope
from sam2lora.inference.prepared_image import PreparedImage, crop_of, pixels_inside, windows_of
from sam2lora.models.loading import LoadedModel
from sam2lora.models.sam2_image_model import ImageEmbedding, normalize
from sam2lora.prompts.prompt_batch import PromptBatch, in_window
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings, PrecisionChoice
from sam2lora.transforms.windows import Blend, Values, Window
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

NO_PROMPTS = Prompts()

_AUTOMATIC_LIMIT = 64 << 20  # bytes of automatic answers kept: a thousand windows at 128²


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about one target in one image.

    Attributes
    ----------
    probabilities
        `(H, W)` float32 in 0…1; 0 outside the field of view.
    iou
        The IoU the network expects of its mask, 0…1; for tiles the mean over the tiles.
    """

    probabilities: Values
    iou: float

    def mask(self, threshold: float) -> Mask:
        """Give `(H, W)` bool: where the probability is at least `threshold`."""
        return self.probabilities >= threshold


@dataclass(frozen=True, eq=False)
class _WindowOutput:
    """The network's answer in one window: logits `(n, n)` float32, and the IoU it expects."""

    logits: Values
    iou: float

    def nbytes(self) -> int:
        return self.logits.nbytes


@dataclass
class _Steps:
    """How far one call is, and whom to tell."""

    show: Progress
    total: int
    done: int = 0

    def add(self, count: int) -> None:
        """Say that more is done; what the listener raises stops the work."""
        self.done += count
        self.show(self.done, self.total)


class Predictor:
    """One base model on one device, ready to answer.

    Parameters
    ----------
    base
        The base model; its network is moved to the device.
    device, precision
        As `device.choose_device` and `device.choose_precision` take them.
    cache
        Where features are kept; by default a gibibyte of memory of its own.
    batch
        Windows encoded or decoded at once.
    multimask_token
        Of a network in training: whether it learns the first of SAM 2's three masks, or the single
        one. None for a base model, whose adapter says so.

    Raises
    ------
    DeviceError
        If there is no such device or precision.
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
        self._automatic = ByteLru[_WindowOutput](_AUTOMATIC_LIMIT)
        self._batch = batch
        self._multimask_token = multimask_token
        self._adapters = AdapterManager(base)

    @property
    def adapter(self) -> Adapter | None:
        """The adapter in use."""
        return self._adapters.adapter

    def set_adapter(self, adapter: Adapter | None) -> None:
        """Answer with an adapter from now on, or as the bare base; not while it is answering.

        Nothing that is cached gets lost, and adapters that agree in the encoder share features.

        Raises
        ------
        AdapterError
            If it is for another base or damaged; the one in use stays.
        """
        self._adapters.activate(adapter)

    def encode(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        *,
        progress: Progress = no_progress,
    ) -> None:
        """Encode all windows that an automatic answer needs, so that prompts answer at once.

        Parameters
        ----------
        prepared
            The image.
        geometry
            How it is looked at.
        progress
            Called with (windows done, windows in all) before and between windows; those in the
            cache count as done. An exception that it raises stops the work and reaches the caller;
            nothing that was encoded is lost.

        Raises
        ------
        DeviceError
            If the memory does not suffice.
        """
        windows = windows_of(prepared, geometry, self._network.input_size)
        self._features(prepared, windows, _Steps(progress, total=len(windows)))

    def predict(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        prompts: Prompts = NO_PROMPTS,
        *,
        progress: Progress = no_progress,
    ) -> Prediction:
        """Say where the target is.

        Parameters
        ----------
        prepared
            The image.
        geometry
            How it is looked at; what an adapter was trained with.
        prompts
            What the user says. With tiles, each window gets what lies in it, and windows that no
            prompt touches keep their automatic answer. With zoom, the prompts also decide where the
            crop is.
        progress
            As for `encode`, with (steps done, steps in all): each window, the crop of a zoom
            included, is a step when it is encoded and another when it is answered.

        Raises
        ------
        GeometryError
            If a prompt lies outside the image or its field of view.
        DeviceError
            If the memory does not suffice.
        """
        prompts.check_inside(prepared.field.mask)
        windows = windows_of(prepared, geometry, self._network.input_size)
        zoom = geometry.detail == "zoom"
        steps = _Steps(progress, total=2 * (len(windows) + zoom))
        decoded = self._decode(prepared, windows, prompts, steps)
        if zoom:
            crop = crop_of(prepared, geometry, windows[0], decoded[0].logits, prompts)
            windows, decoded = [crop], self._decode(prepared, [crop], prompts, steps)
        if geometry.convex and geometry.detail != "tiles":
            logits = _convex(decoded[0].logits, windows[0], prepared, prompts)
            decoded = [replace(decoded[0], logits=logits)]
        probabilities = _together(windows, decoded, prepared.shape)
        np.multiply(probabilities, prepared.field.mask, out=probabilities)
        return Prediction(probabilities, float(np.mean([one.iou for one in decoded])))

    def _decode(
        self, prepared: PreparedImage, windows: Sequence[Window], prompts: Prompts, steps: _Steps
    ) -> list[_WindowOutput]:
        """Answer in each window, from the cache where no prompt touches it."""
        answers: dict[int, _WindowOutput] = {}
        to_ask: list[tuple[int, PromptBatch]] = []
        for number, window in enumerate(windows):
            local = prompts.within(window)
            kept = self._automatic.get(self._answer_key(prepared, window)) if local.empty else None
            if kept:
                answers[number] = kept
            else:
                to_ask.append((number, in_window(local, window, mask_size=self._network.mask_size)))
        steps.done += 2 * len(answers)
        features = self._features(prepared, [windows[number] for number, _ in to_ask], steps)
        asked = [(*ask, found) for ask, found in zip(to_ask, features, strict=True)]
        for group in _batches(asked, self._batch):
            decoded = self._ask([prompt for _, prompt, _ in group], [seen for *_, seen in group])
            for (number, prompt, _), one in zip(group, decoded, strict=True):
                answers[number] = one
                if prompt.is_empty:
                    self._automatic.put(self._answer_key(prepared, windows[number]), one)
            steps.add(len(group))
        return [answers[number] for number in range(len(windows))]

    @torch.inference_mode()
    def _ask(
        self, prompts: Sequence[PromptBatch], features: Sequence[ImageEmbedding]
    ) -> list[_WindowOutput]:
        """Run the decoder on prompts of one kind, each with the features of its window."""
        together = PromptBatch.cat(prompts)
        with (
            explain_out_of_memory(self.device, "Answering a prompt"),
            autocast(self.device, self.precision),
        ):
            token = self._trained_token()
            # To a bare base one click can mean several things: of three answers the likeliest.
            one_click = together.shape_key == (1, False, False)
            unsure = token is None and one_click and not self.base.single_mask
            decoded = self._network.decode(
                ImageEmbedding.cat(features),
                together.to(self.device),
                multimask=bool(token) or unsure,
            )
            decoded = decoded.first() if token else decoded.best()
        return [
            # Copied, to be no view of the batch; what is expected is a guess that may leave 0…1.
            _WindowOutput(logits[0].cpu().numpy().copy(), float(iou[0].clamp(0, 1)))
            for logits, iou in zip(decoded.logits, decoded.iou, strict=True)
        ]

    def _features(
        self, prepared: PreparedImage, windows: Sequence[Window], steps: _Steps
    ) -> list[ImageEmbedding]:
        """Give the features of windows, encoding those that are not in the cache."""
        keys = [self._feature_key(prepared, window) for window in windows]
        found: dict[str, ImageEmbedding | None] = {
            key: self._cache.get(key, device=self.device) for key in keys
        }
        missing = [pair for pair in zip(keys, windows, strict=True) if found[pair[0]] is None]
        steps.add(len(windows) - len(missing))
        for start in range(0, len(missing), self._batch):
            part = missing[start : start + self._batch]
            for (key, _), encoded in zip(part, self._see(prepared, part), strict=True):
                found[key] = encoded
                self._cache.put(key, encoded)
            steps.add(len(part))
        return [features for key in keys if (features := found[key]) is not None]

    @torch.inference_mode()
    def _see(
        self, prepared: PreparedImage, windows: Sequence[tuple[str, Window]]
    ) -> list[ImageEmbedding]:
        """Run the encoder on windows of an image."""
        cuts = np.stack([window.cut(prepared.pixels) for _, window in windows])
        with (
            explain_out_of_memory(self.device, "Encoding an image"),
            autocast(self.device, self.precision),
        ):
            features = self._network.encode(normalize(torch.from_numpy(cuts).to(self.device)))
        return [features[number].clone() for number in range(len(windows))]

    def _trained_token(self) -> bool | None:
        """Tell whether the mask is the first of three (True) or the single one; None: undecided."""
        if self.adapter is None:
            return self._multimask_token
        return self.adapter.card.multimask_token

    def _feature_key(self, prepared: PreparedImage, window: Window) -> str:
        """Name the features of a window by everything they depend on."""
        state = self._adapters.encoder_state
        return _digest(prepared.key, repr(window), self.base.weights_sha256, self.precision, state)

    def _answer_key(self, prepared: PreparedImage, window: Window) -> str:
        """Name the automatic answer in a window by everything it depends on."""
        token, state = self._trained_token(), self._adapters.decoder_state
        return _digest(self._feature_key(prepared, window), state, repr(token))


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _batches(
    asked: Sequence[tuple[int, PromptBatch, ImageEmbedding]], size: int
) -> Iterator[list[tuple[int, PromptBatch, ImageEmbedding]]]:
    """Group what is asked by the kind of prompt, at most `size` together."""
    kinds: dict[tuple[int, bool, bool], list[tuple[int, PromptBatch, ImageEmbedding]]] = {}
    for one in asked:
        kinds.setdefault(one[1].shape_key, []).append(one)
    for group in kinds.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _together(
    windows: Sequence[Window], decoded: Sequence[_WindowOutput], shape: tuple[int, int]
) -> Values:
    """Put the answers of windows together: probabilities `(H, W)`, 0 where no window reached."""
    if len(windows) == 1:  # it keeps its values; weighing them costs more than a click's answer
        whole = np.zeros(shape, dtype=np.float32)
        pasted = windows[0].paste(decoded[0].logits, shape)
        whole[pasted.rows, pasted.columns] = _sigmoid(pasted.values)
        return whole
    blend = Blend(shape)
    for window, one in zip(windows, decoded, strict=True):
        pasted = window.paste(one.logits, shape)
        blend.add_pasted(window, replace(pasted, values=_sigmoid(pasted.values)))
    return blend.result()


def _convex(logits: Values, window: Window, prepared: PreparedImage, prompts: Prompts) -> Values:
    """Let the answer in a window have no dents, but those that clicks ask for."""
    coarse = replace(window, size=len(logits))
    on, off = (
        coarse.to_network(np.array([(one.x, one.y) for one in clicks]).reshape(-1, 2))
        for clicks in prompts.by_label()
    )
    within = None
    if prompts.box:
        (x0, y0), (x1, y1) = coarse.to_network(np.array(prompts.box).reshape(2, 2))
        rows, columns = np.ogrid[: len(logits), : len(logits)]
        within = (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)
    elif prompts.mask is not None:
        within = coarse.cut_mask(prompts.mask)
    valid = pixels_inside(prepared.field.mask, coarse)
    return convex_envelope(logits, on, off, valid=valid, within=within)


def _sigmoid(logits: Values) -> Values:
    """Make probabilities of logits, in their place."""
    torch.from_numpy(logits).sigmoid_()
    return logits

"""From an image to probabilities: encode once, prompt many times; in full, tiled or cropped.

A `Predictor` is one network on one device; which windows of an image it looks at depends on the
input mode, and what it finds there comes from a `WindowPredictor`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from sam2lora.adapters.folder import Adapter
from sam2lora.inference.confidence import (
    DETAIL_SIZE,
    ConfidenceModel,
    Signs,
    confidence_model,
    signs_of,
)
from sam2lora.inference.corrections import WINDOW_SIZES, ClickCorrector
from sam2lora.inference.embedding_cache import ByteLru, EmbeddingCache
from sam2lora.inference.postprocessing import convex_envelope
from sam2lora.inference.prepared_image import PreparedImage, extent_of, pixels_inside, windows_of
from sam2lora.inference.window_predictor import StepCounter, WindowOutput, WindowPredictor
from sam2lora.models.click_refiner import load_refiner, refiner_path
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings, PrecisionChoice
from sam2lora.transforms.windows import Blend, Values, Window
from sam2lora.transforms.zoom import BoundingBox, crop_around, needs_another_look
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

NO_PROMPTS = Prompts()

_CORRECTED_LIMIT = 256 << 20  # bytes of corrected predictions cached: five of the largest cameras


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction of one target in one image.

    Attributes
    ----------
    probabilities
        `(H, W)` float32 in 0…1; 0 outside the field of view.
    iou
        The predicted IoU of the mask, 0…1; the mean over the tiles where there are several.
    confidence
        Probability that the Dice coefficient of the mask is at least `confidence.GOOD_DICE`. None
        if it is not known: with prompts, and for an adapter that it was not fitted to.
    signs
        What the confidence was computed from.
    """

    probabilities: Values
    iou: float
    confidence: float | None = None
    signs: Signs | None = None

    def mask(self, threshold: float) -> Mask:
        """Return `(H, W)` bool: where the probability is at least `threshold`."""
        return self.probabilities >= threshold

    def nbytes(self) -> int:
        """Return the size of the probabilities in bytes."""
        return self.probabilities.nbytes


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
    corrected
        Cache of predictions that were corrected by clicks (`inference.clicks`).
    confidence_model
        The model of the active adapter's confidence; None if it has none.

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
        self._windows = WindowPredictor(
            base,
            device=device,
            precision=precision,
            cache=cache or EmbeddingCache(),
            batch=batch,
            multimask_token=multimask_token,
        )
        self.base, self.device = base, self._windows.device
        self.precision = self._windows.precision
        self.confidence_model: ConfidenceModel | None = None
        self.corrected = ByteLru[Prediction](_CORRECTED_LIMIT)

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
        return self._windows.state_with(adapter)

    @property
    def adapter(self) -> Adapter | None:
        """The active adapter; None for the base model without adapter."""
        return self._windows.adapter

    def set_adapter(self, adapter: Adapter | None) -> None:
        """Set the adapter to predict with; None for the base model without adapter.

        Not to be called during a prediction. The cache stays valid, and adapters with the same
        encoder weights share embeddings.

        Raises
        ------
        AdapterError
            If it is damaged or for another base model; the active adapter stays.
        """
        before = self.adapter
        try:
            self._windows.set_adapter(adapter)
        finally:
            if self.adapter is not before:
                self.confidence_model = confidence_model(self.adapter)

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
        windows = windows_of(prepared, geometry, self._windows.input_size)
        self._windows.embed(prepared, windows, StepCounter(progress, total=len(windows)))

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
            windows = windows_of(prepared, geometry, self._windows.input_size)
            steps = StepCounter(progress, total=2 * len(windows))
            outputs = self._windows.decode(prepared, windows, prompts, steps)
        found = outputs
        if geometry.convex and geometry.detail != "tiles":
            logits = _make_convex(found[0].logits, windows[0], prepared, prompts)
            outputs = [replace(found[0], logits=logits)]
        probabilities = _blend(windows, outputs, prepared.shape)
        np.multiply(probabilities, prepared.field.mask, out=probabilities)
        prediction = Prediction(probabilities, self._predicted_iou(outputs))
        model = self.confidence_model
        if model is None or geometry.detail != "zoom" or not prompts.empty:
            return prediction
        if not prediction.mask(model.threshold).any():
            return replace(prediction, confidence=0.0)
        (window,), (output,) = windows, found
        signs = signs_of(
            output.logits,
            outputs[0].logits,
            valid=pixels_inside(prepared.field.mask, replace(window, size=len(output.logits))),
            pixels=replace(window, size=DETAIL_SIZE).cut(prepared.pixels),
        )
        return replace(prediction, confidence=model.confidence(signs), signs=signs)

    def _look_closer(
        self,
        prepared: PreparedImage,
        geometry: GeometrySettings,
        prompts: Prompts,
        inside: BoundingBox | None,
        progress: Progress,
    ) -> tuple[list[Window], list[WindowOutput]]:
        """Look at the field, at the crop around what is found, and again if the crop was wrong."""
        size, field = self._windows.input_size, prepared.field
        if geometry.zoom_extent is None:
            inside = None  # such an adapter has learned to find its target in the field
        looks = 1 if inside else 2 if geometry.zoom_extent is None else 3
        steps = StepCounter(progress, total=2 * looks)
        if inside is None:
            (whole,) = windows_of(prepared, geometry, size)
            (output,) = self._windows.decode(prepared, [whole], prompts, steps)
            expected = extent_of(prepared, whole, output.logits, prompts)
        else:
            expected = inside.including((point.x, point.y) for point in prompts.by_label()[0])
        crop = crop_around(geometry, field, expected, size)
        (output,) = self._windows.decode(prepared, [crop], prompts, steps)
        if geometry.zoom_extent is None or inside is not None:
            return [crop], [output]
        found = extent_of(prepared, crop, output.logits, prompts)
        if not prompts.box and needs_another_look(crop, expected, found):
            crop = crop_around(geometry, field, found, size)
            (output,) = self._windows.decode(prepared, [crop], prompts, steps)
        else:
            steps.add(2)
        return [crop], [output]

    def _predicted_iou(self, outputs: Sequence[WindowOutput]) -> float:
        """Return the mean predicted IoU of windows, corrected as the adapter's card says."""
        offset = 0.0 if self.adapter is None else self.adapter.card.iou_offset
        return float(np.clip(np.mean([output.iou for output in outputs]) + offset, 0, 1))


def _blend(
    windows: Sequence[Window], outputs: Sequence[WindowOutput], shape: tuple[int, int]
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

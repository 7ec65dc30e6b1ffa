"""Correct a prediction by clicks: the clicked pixel becomes right, its surroundings follow.

The click refiner sees a window around the click. Of what it would change, only what is connected
to the click, and in its direction, is changed; everything else stays as it was, to the last bit.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, special

from sam2lora.compute.device import autocast, explain_out_of_memory
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.click_refiner import (
    CLICK_RADIUS,
    LARGEST_MARGIN,
    ClickRefiner,
    RefinerKind,
    click_maps,
)
from sam2lora.models.sam2_image_model import normalize
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import GeometrySettings, Precision
from sam2lora.targets import Target
from sam2lora.transforms.windows import Values, Window
from sam2lora.types import Mask

WINDOW_SIZES: Mapping[RefinerKind, int] = {"fine": 512, "compact": 192}
"""Sides of the windows in network pixels; at that of compact targets a click reaches them whole."""

_FINE_SHARE = WINDOW_SIZES["fine"] / 1240  # of the field: thin vessels are about two pixels wide
_ROOM = 1.6  # the window of a compact target is at least this many times its extent
_LEAST = 0.8  # and at least this many times the crop in which the target is predicted
_DEPTH = 1.7  # a click in the middle of an error is half as far from the outline as its far side
_FORCED = 2.0  # margin of a clicked pixel that the refiner leaves wrong: a probability of 0.88
_SMALLEST_MARGIN = np.float32(1e-6)
_BORDER = 8  # native pixels around a window that its resampling can reach, and more
_TOUCHING = np.ones((3, 3), dtype=np.bool_)  # 8-connectivity


class ClickCorrector:
    """Correct predictions with refiners on one device.

    Parameters
    ----------
    refiners
        The networks, by what they correct; they are moved to the device.
    device, precision
        As `Predictor` has them.
    """

    def __init__(
        self,
        refiners: Mapping[RefinerKind, ClickRefiner],
        *,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self._refiners = {kind: each.to(device).eval() for kind, each in refiners.items()}
        self._device, self._precision = device, precision

    def correct(
        self,
        prepared: PreparedImage,
        probabilities: Values,
        clicks: Sequence[PointPrompt],
        geometry: GeometrySettings,
        *,
        kind: RefinerKind,
        threshold: float,
        possible: Mask | None = None,
    ) -> Values:
        """Correct a prediction by the newest of several clicks.

        Parameters
        ----------
        prepared
            The image.
        probabilities
            `(H, W)` float32: the prediction, corrected by the clicks before.
        clicks
            All clicks in their order, inside the field of view; the last is the newest.
        geometry
            How the target was predicted; it sets how much of the image the refiner sees.
        kind
            What is corrected, from `refiner_kind`.
        threshold
            Probability from which a pixel belongs to the mask that the user saw.
        possible
            `(H, W)` bool: where the target can be, such as the disc for its cup. A click elsewhere
            is obeyed all the same. None: anywhere in the field of view.

        Returns
        -------
        `(H, W)` float32, at the clicked pixel on the side of the threshold that was asked for.
        Pixels that are not connected to the click keep their values.

        Raises
        ------
        DeviceError
            If there is not enough memory.
        """
        newest = clicks[-1]
        mask = probabilities >= threshold if kind == "compact" else None
        window = click_window(newest, prepared.field, geometry, mask)
        refined = self._refine(
            self._refiners[kind], prepared, probabilities, clicks, window, threshold
        )
        pasted = window.paste(refined, prepared.shape)
        part = pasted.rows, pasted.columns
        corrected = probabilities.copy()
        before = margins_of(probabilities[part], threshold)
        row, column = round(newest.y) - pasted.rows.start, round(newest.x) - pasted.columns.start
        radius = CLICK_RADIUS / window.scale[0]
        valid = prepared.field.mask[part]
        if possible is not None and possible[round(newest.y), round(newest.x)]:
            valid = valid & possible[part]
        merged = merge(
            before,
            pasted.values,
            (row, column),
            positive=newest.positive,
            radius=radius,
            valid=valid,
            depth=_DEPTH if kind == "compact" else None,
        )
        changed = merged != before
        corrected[part][changed] = _probabilities(merged[changed], threshold)
        return corrected

    @torch.inference_mode()
    def _refine(
        self,
        refiner: ClickRefiner,
        prepared: PreparedImage,
        probabilities: Values,
        clicks: Sequence[PointPrompt],
        window: Window,
        threshold: float,
    ) -> Values:
        """Run the refiner on a window; return `(S, S)` margins."""
        margins = decode_margins(window.cut(_encoded_around(window, probabilities, threshold)))
        points = window.to_network(np.array([(click.x, click.y) for click in clicks]))
        distance = np.abs(points - (window.size - 1) / 2).max(axis=1)
        near = distance < window.size / 2 + CLICK_RADIUS
        near[-1] = True
        labels = np.array([click.positive for click in clicks])
        maps = click_maps(
            torch.from_numpy(points[near]), torch.from_numpy(labels[near]), window.size
        )
        image = normalize(window.cut(prepared.pixels))
        with (
            explain_out_of_memory(self._device, "Correcting a prediction"),
            autocast(self._device, self._precision),
        ):
            refined = refiner(
                image[None].to(self._device),
                torch.from_numpy(margins)[None, None].to(self._device),
                maps[None].to(self._device),
            )
        values: Values = refined[0, 0].float().cpu().numpy()
        return values


def refiner_kind(target: Target) -> RefinerKind:
    """Return which refiner corrects a target, however it was predicted."""
    return "fine" if target.detail == "tiles" else "compact"


def click_window(
    click: PointPrompt, field: FieldOfView, geometry: GeometrySettings, mask: Mask | None
) -> Window:
    """Return the window of the image in which a click can change something.

    Parameters
    ----------
    click
        The click; that of a fine structure is in the middle of the window.
    field
        Field of view, which sets the scale.
    geometry
        How the target is predicted: its crop sets the least side of a compact target's window.
    mask
        `(H, W)` bool: the prediction; a compact target's window holds the part nearest to the
        click, unless that is too far away. None for a fine structure.
    """
    if mask is None:
        side = _FINE_SHARE * field.diameter
        return Window.around((click.x, click.y), side, WINDOW_SIZES["fine"])
    least = _LEAST * geometry.zoom_share * field.diameter
    x0 = x1 = click.x
    y0 = y1 = click.y
    box = _nearest_part(mask, click)
    if box is not None:
        rows, columns = box
        x0, x1 = min(x0, columns.start), max(x1, columns.stop - 1)
        y0, y1 = min(y0, rows.start), max(y1, rows.stop - 1)
    side = min(max(least, _ROOM * max(x1 - x0, y1 - y0)), field.extent + 2)
    center = (x0 + x1) / 2, (y0 + y1) / 2
    if max(abs(click.x - center[0]), abs(click.y - center[1])) > side / 2 - 1:
        center = click.x, click.y
    return Window.around(center, side, WINDOW_SIZES["compact"])


def _nearest_part(mask: Mask, click: PointPrompt) -> tuple[slice, slice] | None:
    """Return rows and columns around the connected part of a mask that is nearest to a click."""
    labels, count = ndimage.label(mask, _TOUCHING)
    if not count:
        return None
    rows, columns = np.nonzero(labels)
    nearest = int(np.hypot(rows - click.y, columns - click.x).argmin())
    number = labels[rows[nearest], columns[nearest]]
    found: tuple[slice, slice] = ndimage.find_objects(labels)[number - 1]
    return found


def merge(
    before: Values,
    refined: Values,
    click: tuple[int, int],
    *,
    positive: bool,
    radius: float,
    valid: Mask,
    depth: float | None = None,
) -> Values:
    """Take over what a refiner changes if it is connected to a click and in its direction.

    As the progressive merge of FocalClick (Chen et al., 2022), but in one direction. If the clicked
    pixel is wrong all the same, the disk around it becomes right.

    Parameters
    ----------
    before, refined
        `(h, w)` float32 margins; a pixel of at least 0 belongs to the mask.
    click
        Row and column of the clicked pixel.
    positive
        Whether the click is on the target.
    radius
        Radius in pixels of the disk that stands for a click.
    valid
        `(h, w)` bool: the pixels that can change, such as the field of view.
    depth
        How far from the outline something can change, in distances of the click from it. None:
        anywhere.
    """
    turned = (refined >= 0) & (before < 0) if positive else (refined < 0) & (before >= 0)
    turned &= valid
    if depth is not None:
        turned &= _near_outline(before >= 0, click, positive=positive, depth=depth, least=radius)
    merged = before.copy()
    rows, columns = np.ogrid[: before.shape[0], : before.shape[1]]
    distance = np.hypot(rows - click[0], columns - click[1])
    touched = turned & (distance <= max(radius, 1.0))
    if touched.any():
        labels, _ = ndimage.label(turned, _TOUCHING)
        nearest = int(np.where(touched, distance, np.inf).argmin())
        part = labels == labels.ravel()[nearest]
        merged[part] = refined[part]
    if (merged[click] >= 0) != positive:
        disk = (distance <= radius) & valid
        disk[click] = True
        wrong = disk & ((merged >= 0) != positive)
        merged[wrong] = _FORCED if positive else -_FORCED
    return merged


def _near_outline(
    mask: Mask, click: tuple[int, int], *, positive: bool, depth: float, least: float
) -> Mask:
    """Return the pixels that are not much farther from a mask's outline than a click is."""
    if mask.all() or not mask.any():
        return np.ones_like(mask)
    distance = ndimage.distance_transform_edt(~mask if positive else mask)
    near: Mask = distance <= max(depth * distance[click], least)
    return near


def margins_of(probabilities: Values, threshold: float) -> Values:
    """Return logits minus the logit of the threshold, limited to `LARGEST_MARGIN`."""
    margins = special.logit(probabilities) - np.float32(special.logit(threshold))
    limited: Values = np.clip(margins, -LARGEST_MARGIN, LARGEST_MARGIN).astype(np.float32)
    # Next to the threshold, rounding would put pixels on the wrong side.
    on = probabilities >= threshold
    sided: Values = np.where(on, np.maximum(limited, 0), np.minimum(limited, -_SMALLEST_MARGIN))
    return sided


def encode_margins(probabilities: Values, threshold: float) -> NDArray[np.uint8]:
    """Return margins as bytes, which `Window.cut` resamples; 0, as outside of images, is the least.

    Between steps of 1/16 a pixel on the threshold may change sides: the refiner need not see it.
    """
    scaled = (margins_of(probabilities, threshold) + LARGEST_MARGIN) * (255 / 2 / LARGEST_MARGIN)
    encoded: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return encoded


def _encoded_around(window: Window, probabilities: Values, threshold: float) -> NDArray[np.uint8]:
    """Return `encode_margins` of the pixels that a window shows, and 0 elsewhere."""
    part = tuple(
        slice(max(0, math.floor(start) - _BORDER), max(0, math.ceil(start + side) + _BORDER))
        for start, side in ((window.top, window.height), (window.left, window.width))
    )
    encoded = np.zeros(probabilities.shape, dtype=np.uint8)
    encoded[part] = encode_margins(probabilities[part], threshold)
    return encoded


def decode_margins(encoded: NDArray[np.uint8]) -> Values:
    """Return the margins of bytes from `encode_margins`."""
    return encoded.astype(np.float32) * np.float32(2 * LARGEST_MARGIN / 255) - LARGEST_MARGIN


def _probabilities(margins: Values, threshold: float) -> Values:
    """Return the probabilities of margins, on the same side of the threshold."""
    values = special.expit(margins + np.float32(special.logit(threshold))).astype(np.float32)
    least = np.float32(threshold)
    on = np.maximum(values, least)
    off = np.minimum(values, np.nextafter(least, np.float32(0)))
    sided: Values = np.where(margins >= 0, on, off)
    return sided

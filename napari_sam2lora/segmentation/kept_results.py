"""Results that were not accepted yet, of images that are not in the viewer."""

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2lora.layers.conversion import pixels_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.images import ImageSnapshot
from napari_sam2lora.layers.metadata import TargetKey
from napari_sam2lora.segmentation.requests import SegmentationResult

_NOTHING = np.zeros((0, 0), np.float32)
_NO_IMAGE: Any = None
_LIMIT = 2**30  # bytes; beyond it the oldest are dropped


@dataclass(frozen=True, eq=False)
class _Kept:
    """A result without its image, its probabilities in half precision."""

    result: SegmentationResult
    probabilities: NDArray[np.float16]
    pixels: int  # checksum
    seen: bool  # whether it was shown before it was kept


class KeptResults:
    """Keep results until their image is shown again, in an image of the same pixels."""

    def __init__(self) -> None:
        self._kept: OrderedDict[TargetKey, _Kept] = OrderedDict()

    def keep(self, result: SegmentationResult, *, seen: bool = False) -> None:
        """Keep a result in place of an earlier one of its target.

        Parameters
        ----------
        result
            The result.
        seen
            Whether it was shown: one that was predicted ahead was not.
        """
        request, prediction = result.request, result.prediction
        key = (request.image.key, request.target.name)
        probabilities = prediction.probabilities.astype(np.float16)
        # Neither pixels nor probabilities in full: a folder may have hundreds of images.
        bare = replace(
            result,
            request=replace(
                request, image=ImageSnapshot(key[0], (None, {}, "image")), outer_mask=None
            ),
            prepared=_NO_IMAGE,
            prediction=replace(prediction, probabilities=_NOTHING, mask=_NOTHING > 0),
        )
        self._kept.pop(key, None)
        self._kept[key] = _Kept(bare, probabilities, _checksum(request.image.source), seen)
        while sum(one.probabilities.nbytes for one in self._kept.values()) > _LIMIT:
            self._kept.popitem(last=False)

    def targets(self, image_id: str) -> list[str]:
        """Return the names of the targets of an image of which results are kept."""
        return [target for image, target in self._kept if image == image_id]

    def seen(self) -> list[TargetKey]:
        """Return the images and targets whose results were shown before."""
        return [key for key, one in self._kept.items() if one.seen]

    def discard(self, key: TargetKey) -> None:
        """Forget a result, if it is kept."""
        self._kept.pop(key, None)

    def take(self, image: ImageSnapshot) -> Iterator[SegmentationResult]:
        """Yield the results of an image that is shown now, and keep them no longer.

        Those of another image under the same id are dropped.

        Raises
        ------
        ImageError
            If the layer is not a single image.
        """
        targets = self.targets(image.key)
        if not targets:
            return
        from sam2lora.inference.prepared_image import PreparedImage

        prepared = PreparedImage(pixels_of(image.layer), field_of_view(image.layer), key="")
        pixels = _checksum(image.source)
        for target in targets:
            kept = self._kept.pop((image.key, target))
            if kept.pixels != pixels:
                continue
            values = kept.probabilities.astype(np.float32)
            result = kept.result
            yield replace(
                result,
                request=replace(result.request, image=image),
                prepared=prepared,
                prediction=replace(
                    result.prediction, probabilities=values, mask=values >= result.task.threshold
                ),
            )


def _checksum(pixels: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).tobytes())

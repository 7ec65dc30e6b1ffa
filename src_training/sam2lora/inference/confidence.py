"""How sure a prediction of a compact target is: the probability that its Dice is at least 0.8.

The network expects an IoU, but in an image unlike all that it learned from it expects too much.
Other signs tell more: whether what it found is round, whether its probabilities are near 0 and 1
and fit a smooth outline, and whether there are vessels in it. They cost no further look. A
logistic model joins them. It is fitted to one adapter, by `scripts/fit_confidence.py` on
validation patients and degraded copies of their images; about any other adapter it would say
something untrue.
"""

from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from pydantic import Field
from scipy import ndimage, special

from sam2lora.adapters.folder import Adapter
from sam2lora.errors import ModelError
from sam2lora.settings import Settings
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask, Pixels
from sam2lora.utils.json_files import read_json_object

GOOD_DICE = 0.8
"""Dice coefficient that a confidence is the probability of."""

DETAIL_SIZE = 192
"""Side of a crop in pixels, at which its detail is measured."""

_FINE = 3.0  # pixels at that size: standard deviation of the blur that takes the detail away
_DARK, _NOISE = 5.0, 0.5  # grey levels that keep black areas apart from a division by zero


@dataclass(frozen=True)
class Signs:
    """What speaks for or against a prediction.

    Attributes
    ----------
    certainty
        The Dice coefficient that the network's probabilities make likely for the smooth outline,
        0…1: low where they are neither 0 nor 1, and with stray parts and dents.
    roundness
        Ratio of the axes of the outline, 0…1.
    detail
        Logarithm of the contrast of fine structures inside the outline: vessels cross a disc, but
        neither glare nor a dark spot, and no blurred image shows them.
    """

    certainty: float
    roundness: float
    detail: float


class SignWeight(Settings):
    """What one sign contributes to the logit: `weight * (sign - mean) / scale`."""

    mean: float = Field(description="of the sign, over the images of the fit")
    scale: float = Field(gt=0, description="standard deviation of the sign over them")
    weight: float = Field(description="of the standardized sign")


class ConfidenceModel(Settings):
    """The logistic model of one adapter."""

    adapter: str = Field(description="name of the adapter")
    base: str = Field(description="SHA-256 of the base model's weights")
    digest: str = Field(description="SHA-256 of the adapter's tensors")
    threshold: float = Field(
        gt=0, lt=1, description="probability from which a pixel belongs to the mask it is about"
    )
    fitted_on: str = Field(description="images of the fit")
    intercept: float = Field(description="logit where every sign has its mean")
    signs: dict[str, SignWeight] = Field(description="by the name of the sign")

    def confidence(self, signs: Signs) -> float:
        """Return the probability that the Dice coefficient is at least `GOOD_DICE`."""
        values = asdict(signs)
        logit = self.intercept + sum(
            one.weight * (values[name] - one.mean) / one.scale for name, one in self.signs.items()
        )
        return float(special.expit(logit))


class ConfidenceTable(Settings):
    """The content of `assets/confidence.json`."""

    about: str = Field(description="what the file is, and how it was made")
    models: tuple[ConfidenceModel, ...] = Field(description="one for each adapter that has one")


def confidence_path() -> Path:
    """Return the path of the package's table."""
    return Path(str(resources.files("sam2lora"))) / "assets" / "confidence.json"


@cache
def read_confidence() -> ConfidenceTable:
    """Read the package's table."""
    content = read_json_object(confidence_path(), error=ModelError)
    return ConfidenceTable.model_validate(content)


def confidence_model(adapter: Adapter | None) -> ConfidenceModel | None:
    """Return the model that was fitted to an adapter; None if there is none.

    Raises
    ------
    AdapterError
        If the adapter's files can no longer be read.
    """
    if adapter is None:
        return None
    identity = adapter.card.base.identity
    of_base = [model for model in read_confidence().models if model.base == identity]
    digest = adapter.digest() if of_base else ""
    return next((model for model in of_base if model.digest == digest), None)


def signs_of(found: Values, outlined: Values, *, valid: Mask, pixels: Pixels) -> Signs:
    """Return the signs of a prediction in its crop.

    Parameters
    ----------
    found, outlined
        `(n, n)` float32: the network's logits, and the same with the smooth outline.
    valid
        `(n, n)` bool: the field of view.
    pixels
        `(DETAIL_SIZE, DETAIL_SIZE, 3)` uint8: the crop.
    """
    mask, likely = (outlined >= 0) & valid, special.expit(found) * valid
    total = np.count_nonzero(mask) + float(likely.sum())
    return Signs(
        certainty=float(2 * likely[mask].sum() / total) if total else 0.0,
        roundness=_roundness(mask),
        detail=_detail(pixels, mask),
    )


def _roundness(mask: Mask) -> float:
    """Return the ratio of the axes of the ellipse that has the mask's second moments."""
    rows, columns = np.nonzero(mask)
    if len(rows) < 3:
        return 0.0
    short, long = np.linalg.eigvalsh(np.cov(rows, columns))
    return float(np.sqrt(max(short, 0) / long)) if long > 0 else 0.0


def _detail(pixels: Pixels, mask: Mask) -> float:
    """Return the contrast of fine structures inside a mask of the crop, as a logarithm."""
    nearest = np.arange(len(pixels)) * len(mask) // len(pixels)
    inside = mask[np.ix_(nearest, nearest)]
    green = pixels[..., 1].astype(np.float32)
    if not inside.any():
        return float(np.log(_NOISE / _DARK))
    fine = (green - ndimage.gaussian_filter(green, _FINE))[inside]
    return float(np.log((fine.std() + _NOISE) / (green[inside].mean() + _DARK)))

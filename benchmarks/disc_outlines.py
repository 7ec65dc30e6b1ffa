"""Compare forms of compact targets on the validation images of a training.

    python benchmarks/disc_outlines.py RUN

RUN is the folder of a training of the disc or the cup. Its best adapter segments all validation
patients, and the largest part of each prediction is scored as it is, with its holes filled; as its
convex hull; and with the smooth outline that `convex` stands for. Each form is scored at the
threshold that is best for it.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from sam2lora.adapters import find_adapter
from sam2lora.inference.pipeline import load_predictor
from sam2lora.metrics.segmentation import dice
from sam2lora.training.data_split import plan_data
from sam2lora.training.settings import TrainSettings
from sam2lora.training.validation import read_validation_images
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
MOST = 1000  # validation images: all of them


def main() -> None:
    """Print a row for each form: mean Dice, share below 0.7, and the threshold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training")
    run = parser.parse_args().run
    settings = TrainSettings.model_validate_json((run / "settings.json").read_bytes())
    validation = settings.validation.model_copy(update={"images": MOST})
    plan = plan_data(settings.counted_from(run).model_copy(update={"validation": validation}))
    predictor, adapter = load_predictor(settings.model), find_adapter(run)
    predictor.set_adapter(adapter)
    smooth = adapter.card.geometry.model_copy(update={"convex": True})
    scores: dict[str, list[list[float]]] = {"largest part": [], "convex hull": [], "smooth": []}
    for item in plan.validation:
        (image,) = read_validation_images([item])
        plain, outlined = (
            predictor.predict(image.prepared, geometry, inside=image.outer).probabilities
            for geometry in (smooth.model_copy(update={"convex": False}), smooth)
        )
        for name, masks in forms(plain, outlined).items():
            row = [dice(mask, image.reference, valid=image.valid) for mask in masks.values()]
            scores[name].append(row)
    print(f"{len(plan.validation)} images: form, mean Dice, share below 0.7, threshold")
    for name, rows in scores.items():
        table = np.array(rows)
        best = int(table.mean(axis=0).argmax())
        below = float((table[:, best] < 0.7).mean())
        print(f"{name}\t{table[:, best].mean():.4f}\t{below:.3f}\t{THRESHOLDS[best]}")


def forms(plain: Values, outlined: Values) -> dict[str, Mapping[float, Mask]]:
    """Return the mask of each form at each threshold."""
    parts = {level: largest_part(plain >= level) for level in THRESHOLDS}
    return {
        "largest part": parts,
        "convex hull": {level: convex_hull_of(part) for level, part in parts.items()},
        "smooth": {level: outlined >= level for level in THRESHOLDS},
    }


def largest_part(mask: Mask) -> Mask:
    """Return the largest component of a mask, with its holes filled."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest: Mask = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    filled: Mask = ndimage.binary_fill_holes(largest)
    return filled


def convex_hull_of(mask: Mask) -> Mask:
    """Return the convex hull of a mask; of an empty one, itself."""
    if not mask.any():
        return mask
    hull = mask.copy()
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    hull[box] = convex_hull_image(mask[box])
    return hull


if __name__ == "__main__":
    main()

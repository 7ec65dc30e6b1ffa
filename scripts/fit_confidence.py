"""Fit how sure the package's adapters for disc and cup are, and check it on the test parts.

    python scripts/fit_confidence.py collect DATA PREDICTIONS
    python scripts/fit_confidence.py fit PREDICTIONS
    python scripts/fit_confidence.py copies PREDICTIONS

`collect` segments the validation patients' and the test images, and degraded copies of them, and
appends a line for each prediction to the file PREDICTIONS: its signs, and its Dice coefficient. It
goes on where it was stopped. `fit` fits a logistic model to the lines of the validation patients
(`assets/confidence.json`), prints how well confidence and expected IoU tell a Dice coefficient
below 0.8, and draws the reliability curve (`docs/images/confidence.svg`). `copies` prints the Dice
coefficients by how the images were degraded.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sam2lora.adapters import Adapter, find_adapter
from sam2lora.datasets import Record, filter_by_stem, official_split, read_dataset
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.inference.confidence import ConfidenceModel
from sam2lora.inference.pipeline import load_predictor
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.metrics.segmentation import dice
from sam2lora.training.data_split import DataPlan, plan_data
from sam2lora.training.settings import TrainSettings
from sam2lora.transforms.zoom import BoundingBox
from sam2lora.types import Mask
from scripts.confidence_fit import copies_table, fit_all
from scripts.degraded_copies import KINDS, Labelled, degraded
from scripts.nano_parts import DISCS, DRISHTI, ELLIPSES, TEST_IMAGES, source

CUPS = (ELLIPSES, "REFUGE-crops", DRISHTI)
SHARE = 0.12
"""Of the patients that validate a training, as in `nano_parts`."""


def main() -> None:
    """Collect predictions, fit to them, or print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    commands = [parts.add_parser(name) for name in ("collect", "fit", "copies")]
    commands[0].add_argument("data", type=Path, help="folder of the datasets")
    for one in commands:
        one.add_argument("predictions", type=Path, help="file with a line for each prediction")
    options = parser.parse_args()
    if options.part == "collect":
        collect(options.data, options.predictions)
    elif options.part == "copies":
        print(copies_table(options.predictions))
    else:
        fit_all(options.predictions)


def collect(data: Path, file: Path) -> None:
    """Append the predictions that are missing in the file."""
    done = {_key(json.loads(line)) for line in _lines(file)}
    predictor = load_predictor("nano", device="cpu", precision="float32")
    adapters = {target: find_adapter(f"nano-{target}") for target in ("disc", "cup")}
    for part, records in (("validation", validation(data)), ("test", test(data))):
        for number, record in enumerate(records):
            for kind in ("none", *kinds_for(record, number)):
                about = {"part": part, "dataset": record.dataset, "image": record.stem}
                about |= {"patient": record.patient, "copy": kind}
                if _key(about) in done:
                    continue
                with file.open("a", encoding="utf-8") as stream:
                    for found in predictions(predictor, adapters, record, kind):
                        stream.write(json.dumps(about | found) + "\n")


def kinds_for(record: Record, number: int) -> Sequence[str]:
    """Return how an image is degraded: in every way; a crop, of which there are many, in one."""
    kinds = tuple(KINDS)
    return kinds if record.dataset != "REFUGE-crops" else (kinds[(number + 1) % len(kinds)],)


def validation(data: Path) -> list[Record]:
    """Return the validation patients' images of the disc's training.

    They have their cups, unless the cup's training learned from that patient.
    """
    learned = {item.record.image for group in plan(data, "cup", CUPS).groups for item in group}
    with_cups = {
        record.image: record
        for name in CUPS
        for record in read_dataset(data / name, grades=("A", "B")).records
        if record.image not in learned
    }
    records = [item.record for item in plan(data, "disc", DISCS).validation]
    return [with_cups.get(record.image, record) for record in records]


def plan(data: Path, target: str, names: Sequence[str]) -> DataPlan:
    """Return how the data of an adapter's training was split."""
    sources = [source(data, name) for name in names]
    chosen = {"share": SHARE, "images": 10_000}
    return plan_data(TrainSettings(target=target, data=sources, validation=chosen))


def test(data: Path) -> list[Record]:
    """Return the images kept for testing that have a disc."""
    found = list(read_dataset(data / "ellipses" / "test.csv", grades=("A", "B")).records)
    for name in (DRISHTI, "DRIONS-DB"):
        records: Sequence[Record] = read_dataset(data / name).records
        records = official_split(records, "train") if name == DRISHTI else records
        found += filter_by_stem(records, data / name, include=TEST_IMAGES[name])
    return [record for record in found if "disc" in record.masks]


def predictions(
    predictor: Predictor, adapters: dict[str, Adapter], record: Record, kind: str
) -> Iterator[dict[str, Any]]:
    """Yield what is predicted of the disc, and of the cup in it, in a copy of an image."""
    pixels = record.read_image().pixels
    cup = record.read_mask("cup") if "cup" in record.masks else None
    image: Labelled | None = Labelled(
        pixels, find_field_of_view(pixels), record.read_mask("disc"), cup
    )
    if kind != "none":
        name = f"{record.dataset}__{record.stem}__{kind}"
        seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        image = degraded(image, kind, np.random.default_rng(seed))
    if image is None:
        return
    prepared = PreparedImage.of(image.pixels, field=image.field)
    disc, found = predict(predictor, adapters["disc"], prepared, image.disc)
    yield found
    if image.cup is not None and (image.cup & image.field.mask).any() and disc.any():
        inside = BoundingBox.of(disc)
        yield predict(predictor, adapters["cup"], prepared, image.cup, inside=inside, disc=disc)[1]


def predict(
    predictor: Predictor,
    adapter: Adapter,
    prepared: PreparedImage,
    reference: Mask,
    *,
    inside: BoundingBox | None = None,
    disc: Mask | None = None,
) -> tuple[Mask, dict[str, Any]]:
    """Return the mask of a target, and what is written about it."""
    predictor.set_adapter(adapter)
    predictor.confidence_model = unfitted(adapter)
    found = predictor.predict(prepared, adapter.card.geometry, inside=inside)
    mask = found.mask(adapter.card.threshold)
    mask = mask if disc is None else mask & disc
    return mask, {
        "target": adapter.card.target.name,
        "dice": round(float(dice(mask, reference, valid=prepared.field.mask)), 4),
        "iou": round(found.iou, 4),
        "signs": None if found.signs is None else asdict(found.signs),
    }


def unfitted(adapter: Adapter) -> ConfidenceModel:
    """Return a model without a sign, so that the signs are computed."""
    return ConfidenceModel(
        adapter=adapter.name,
        base=adapter.card.base.identity,
        digest=adapter.digest(),
        threshold=adapter.card.threshold,
        fitted_on="nothing",
        intercept=0.0,
        signs={},
    )


def _key(about: dict[str, Any]) -> tuple[str, ...]:
    return tuple(about[name] for name in ("part", "dataset", "image", "copy"))


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


if __name__ == "__main__":
    main()

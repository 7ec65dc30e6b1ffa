"""Train the click refiners, which correct predictions where a user clicks.

    python scripts/train_clicks.py DATA OUT fine train --steps 1500
    python scripts/train_clicks.py DATA OUT compact ship

DATA holds the public datasets in their official layouts: DRIVE, CHASEDB1, HRF, Drishti-GS1_files,
DRIONS-DB, IDRiD, PALM and REFUGE-crops; those that are missing are left out, with a line that says
so. OUT gets the predictions that are to be corrected, those of the package's models, and the state
of the training, which resumes when the command is run again. `ship` writes the weights into the
package.

The test images of `nano_parts` are excluded, and so are the validation patients, on which the
effect is printed every 200 steps: with the network alone, without the merge of `corrections`.
"""

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from nano_parts import COLORS, TEST_IMAGES

from sam2lora.adapters import find_adapter
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.compute.device import autocast, choose_device, choose_precision
from sam2lora.datasets import Record, filter_by_stem, official_split, read_dataset
from sam2lora.inference.corrections import click_window, encode_margins, refiner_kind
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.click_refiner import (
    ClickRefiner,
    RefinerKind,
    load_refiner,
    refiner_path,
    save_refiner,
)
from sam2lora.models.loading import load_base
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import AugmentSettings
from sam2lora.targets import get_target
from sam2lora.training.click_rounds import ClickRounds
from sam2lora.training.click_samples import ClickSamples, PredictedImage
from sam2lora.utils.files import atomic_path, make_folder

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "vessel": ("DRIVE", "CHASEDB1", "HRF"),
    "disc": ("Drishti-GS1_files", "DRIONS-DB", "IDRiD", "PALM", "REFUGE-crops"),
    "cup": ("Drishti-GS1_files", "REFUGE-crops"),
}
"""Folders of the datasets, by the target whose predictions are corrected."""

MOST_IMAGES = 60
"""Images of one dataset and target; more would take long to predict, and add little."""

RATE = 3e-3
ROUNDS = 2

WARMUP = 50
VALIDATION_SHARE = 0.12
VALIDATION_SAMPLES = 24
EVERY = 200

Reader = Callable[[], PredictedImage]


@dataclass(frozen=True)
class Plan:
    """What one kind of refiner learns from.

    Attributes
    ----------
    kind
        What it corrects.
    targets
        The targets whose predictions it learns to correct.
    batch
        Windows of a step.
    places
        Clicks of one round in one window: far from each other, they are learned from at once.
    """

    kind: RefinerKind
    targets: tuple[str, ...]
    batch: int
    places: int

    def out(self, folder: Path) -> Path:
        """Return the folder of the training's state."""
        return make_folder(folder / self.kind)


PLANS: Mapping[str, Plan] = {
    "fine": Plan("fine", ("vessel",), batch=4, places=3),
    "compact": Plan("compact", ("disc", "cup"), batch=12, places=1),
}


def main() -> None:
    """Train or resume, or ship the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for predictions and the state")
    parser.add_argument("kind", choices=list(PLANS), help="what is to be corrected")
    parser.add_argument("part", choices=["train", "ship"])
    parser.add_argument("--steps", type=int, default=3000, help="optimizer steps in all")
    parser.add_argument(
        "--from-package", action="store_true", help="begin with the weights of the package"
    )
    options = parser.parse_args()
    plan = PLANS[options.kind]
    if options.part == "ship":
        ship(plan, options.out)
        return
    keep_freed_memory()
    torch.manual_seed(0)
    training, validation = predicted_images(plan, options.data, options.out)
    begun = load_refiner(refiner_path(plan.kind)) if options.from_package else ClickRefiner()
    train(plan, begun, training, validation, options.out, steps=options.steps)


def predicted_images(
    plan: Plan, data: Path, out: Path
) -> tuple[list[list[Reader]], list[list[Reader]]]:
    """Predict all images once; return the training and the validation images of each target."""
    training: list[list[Reader]] = []
    validation: list[list[Reader]] = []
    predictor = Predictor(load_base("nano"))
    for target in plan.targets:
        groups: tuple[list[Reader], list[Reader]] = ([], [])
        for folder in FOLDERS[target]:
            if not (data / folder).is_dir():
                print(f"{folder}: is missing, left out.", flush=True)
                continue
            for record in records_of(data / folder, target):
                path = _predict(predictor, record, target, out / "predictions")
                held_out = _share_of(record) < VALIDATION_SHARE
                groups[held_out].append(partial(_read, record, target, path))
        training.append(groups[False])
        validation.append(groups[True])
        print(f"{target}: {len(groups[0])} images, {len(groups[1])} to validate", flush=True)
    return training, validation


def records_of(root: Path, target: str) -> list[Record]:
    """Return the images to learn from, spread over the dataset."""
    records = read_dataset(root, target=target).records
    if any(record.split for record in records):
        records = official_split(records, "train")
    pattern = TEST_IMAGES.get(root.name)
    if pattern:
        records = filter_by_stem(records, root, exclude=pattern)
    records = [record for record in records if target in record.masks]
    return records[:: max(1, math.ceil(len(records) / MOST_IMAGES))]


def train(
    plan: Plan,
    refiner: ClickRefiner,
    training: list[list[Reader]],
    validation: list[list[Reader]],
    out: Path,
    *,
    steps: int,
) -> None:
    """Train the refiner, resuming from the state in OUT."""
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    refiner.to(device)
    for module in refiner.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.02  # batches are small
    optimizer = torch.optim.AdamW(refiner.parameters(), lr=RATE, weight_decay=3e-4)
    first = _resume(plan.out(out), refiner, optimizer)
    augment = AugmentSettings(**COLORS)
    samples = ClickSamples(training, augment)
    unchanged = AugmentSettings.off()
    checked = {
        target: ClickSamples([group], unchanged, seed=1)
        for target, group in zip(plan.targets, validation, strict=True)
        if group
    }
    begun = time.monotonic()
    for step in range(first, steps):
        refiner.train()
        rng = np.random.default_rng((2, step))
        batch = ClickRounds([samples[step * plan.batch + k] for k in range(plan.batch)], rng)
        optimizer.param_groups[0]["lr"] = _rate(step, steps)
        shown = []
        for _ in range(ROUNDS if len(batch) else 0):
            with autocast(device, precision):
                result = batch.correct(refiner, device=device, places=plan.places)
            optimizer.zero_grad()
            result.loss.backward()
            torch.nn.utils.clip_grad_norm_(refiner.parameters(), 1.0)
            optimizer.step()
            shown.append(result)
        if step % 25 == 0 and shown:
            row = {
                "step": step,
                "seconds": round(time.monotonic() - begun),
                "loss": round(float(np.mean([float(r.loss.detach()) for r in shown])), 3),
                "honoured": round(float(np.mean([r.honoured for r in shown])), 3),
                "mended": round(float(np.mean([r.mended for r in shown])), 3),
                "harm": round(float(np.mean([r.harm for r in shown])), 4),
            }
            print(json.dumps(row), flush=True)
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            _save(plan.out(out), refiner, optimizer, step + 1)
            for target, group in checked.items():
                row = {"step": step + 1, "validation": target, **check(refiner, group, plan.batch)}
                print(json.dumps(row), flush=True)


@torch.inference_mode()
def check(refiner: ClickRefiner, samples: ClickSamples, batch_size: int) -> dict[str, float]:
    """Return the effect of two clicks in each of the validation windows."""
    refiner.eval()
    device = next(refiner.parameters()).device
    precision = choose_precision("auto", device)
    results = []
    for start in range(0, VALIDATION_SAMPLES, batch_size):
        batch = ClickRounds(
            [samples[start + k] for k in range(batch_size)], np.random.default_rng((3, start))
        )
        for _ in range(ROUNDS if len(batch) else 0):
            with autocast(device, precision):
                results.append(batch.correct(refiner, device=device))
    return {
        name: round(float(np.mean([getattr(result, name) for result in results])), 4)
        for name in ("honoured", "mended", "harm")
    }


def ship(plan: Plan, out: Path) -> None:
    """Write the weights into the package, in float16."""
    refiner = ClickRefiner()
    state = torch.load(plan.out(out) / "state.pt", map_location="cpu", weights_only=True)
    refiner.load_state_dict(state["refiner"])
    with atomic_path(refiner_path(plan.kind)) as temporary:
        save_refiner(refiner, temporary, notes={"step": str(state["step"])})


def _predict(predictor: Predictor, record: Record, target: str, folder: Path) -> Path:
    """Predict one image unless that was done; return the file of its margins."""
    adapter = find_adapter(f"nano-{target}")
    path = folder / adapter.digest()[:12] / f"{record.dataset}_{record.stem}.npy"
    if path.exists():
        return path
    make_folder(path.parent)
    predictor.set_adapter(adapter)
    image = PreparedImage.of(record.read_image().pixels, field=record.read_field_of_view())
    found = predictor.predict(image, adapter.card.geometry)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, encode_margins(found.probabilities, adapter.card.threshold))
    return path


def _read(record: Record, target: str, path: Path) -> PredictedImage:
    key = f"{record.image}|{target}"
    if key not in _IMAGES:
        field = record.read_field_of_view()
        geometry = find_adapter(f"nano-{target}").card.geometry
        mask = record.read_mask(target)
        rows, columns = np.nonzero(mask) if mask.any() else np.nonzero(field.mask)
        middle = PointPrompt(float(np.median(columns)), float(np.median(rows)))
        fine = refiner_kind(get_target(target)) == "fine"
        window = click_window(middle, field, geometry, None if fine else mask)
        _IMAGES[key] = PredictedImage(
            record.read_image().pixels,
            field,
            mask,
            np.load(path, allow_pickle=False),
            side=window.width,
            fine=fine,
        )
    return _IMAGES[key]


_IMAGES: dict[str, PredictedImage] = {}  # decoded: some gigabytes


def _share_of(record: Record) -> float:
    """Return a number in 0…1 that depends on the patient alone."""
    digest = hashlib.sha256(f"{record.dataset}|{record.patient}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / WARMUP)
    return RATE * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _resume(out: Path, refiner: ClickRefiner, optimizer: torch.optim.Optimizer) -> int:
    path = out / "state.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    refiner.load_state_dict(state["refiner"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _save(out: Path, refiner: ClickRefiner, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        "refiner": refiner.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    with atomic_path(out / "state.pt") as temporary:
        torch.save(state, temporary)


if __name__ == "__main__":
    main()

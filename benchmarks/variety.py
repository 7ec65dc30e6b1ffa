"""Measure what the colors of other datasets do for a camera that was left out of the training.

Trains nano from random weights on all datasets but one, a short run for each share of images that
get the colors of another one (`augment.style_share`), and scores it without a prompt on images of
the dataset that was left out; the images kept for testing are not among them. Prints Dice by
left-out dataset and share.

    python benchmarks/variety.py DATA OUT --target vessel
    python benchmarks/variety.py DATA OUT --target disc

DATA holds the public datasets in their official layouts. Runs and reports in OUT are continued.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sam2lora.runs import RunFolder, best_adapter
from sam2lora.training.settings import make_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from nano_parts import COLORS, DISCS, VESSELS, source

SCORED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "vessel": {
        "DRIVE": ("--split", "train", "--include", r"^(2[1-9]|30)_"),
        "CHASEDB1": ("--include", r"^Image_(0[1-9]|10)"),
        "HRF": ("--include", r"^0[1-3]_"),
    },
    "disc": {
        "DRIONS-DB": ("--include", r"_0[01]"),
        "IDRiD": ("--include", r"_[01]"),
        "PALM": ("--include", r"00[0-9]5"),
    },
}
"""Datasets to leave out, and which of their images are scored, by target."""


def main() -> None:
    """Train and score what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for runs and reports")
    parser.add_argument("--target", choices=tuple(SCORED), required=True)
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.5])
    parser.add_argument("--steps", type=int, default=300, help="steps of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a run for each")
    options = parser.parse_args()
    data, out = options.data.resolve(), options.out.resolve()
    print(f"{'left out':12}" + "".join(f"{share:12}" for share in options.shares))
    for name in SCORED[options.target]:
        scores = []
        for share in options.shares:
            found = []
            for seed in options.seeds:
                folder = out / f"{options.target}-{name}-{share}-{options.steps}-{seed}"
                report = folder / "report"
                if not (report / "per_image.csv").exists():
                    run = train_without(name, options, share, seed, data, folder / "run")
                    score(data / name, options.target, run, report)
                found.append(dice_of(report))
            scores.append(np.mean(found))
        print(f"{name:12}" + "".join(f"{score:12.4f}" for score in scores), flush=True)


def train_without(
    name: str, options: argparse.Namespace, share: float, seed: int, data: Path, folder: Path
) -> Path:
    """Train on all datasets but one, or resume that; return the run's folder."""
    sets = VESSELS if options.target == "vessel" else DISCS
    settings = {
        "train": "base",
        "from_scratch": True,
        "target": options.target,
        "data": [source(data, other) for other in sets if other != name],
        "augment": COLORS | {"scale": (0.8, 1.4), "rotation": 45} | {"style_share": share},
        "prompts": {
            "none": 1,
            "points": 0,
            "box": 0,
            "box_and_points": 0,
            "previous": 0,
            "corrected": 0,
        },
        "optimizer": {"warmup": 50},
        "validation": {"share": 0.05, "every": options.steps, "images": 2},
        "batch": 2,
        "steps": options.steps,
        "seed": seed,
    }
    if not (folder / "settings.json").exists():
        RunFolder.create(folder, make_settings("standard", settings).model_dump_json(indent=2))
    subprocess.run([sys.executable, "-m", "sam2lora", "train", str(folder)], check=True)
    return folder


def score(root: Path, target: str, run: Path, report: Path) -> None:
    """Score the result of a run on the dataset that it did not see."""
    best = best_adapter(run)
    if best is None:
        raise SystemExit(f"{run}: has no result.")
    weights = best.folder / "nano.safetensors"
    arguments = [str(root), "--target", target, "--model", str(weights), "--bare"]
    arguments += [*SCORED[target][root.name], "--out", str(report)]
    subprocess.run([sys.executable, "-m", "sam2lora", "evaluate", *arguments], check=True)


def dice_of(report: Path) -> float:
    """Return the mean Dice over the images of a report."""
    with (report / "per_image.csv").open(encoding="utf-8", newline="") as file:
        return float(np.mean([float(row["dice"]) for row in csv.DictReader(file)]))


if __name__ == "__main__":
    main()

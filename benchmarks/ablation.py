"""Ablation study: short, equal trainings of vessel adapters on nano.

Each row changes one thing; data, seed and steps are the same. Validation is on separate patients of
each dataset, never on the test images. Runs are ordinary ones, so the script can be stopped and
started again; `--only` does one row.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py DATA OUT

DATA holds DRIVE, CHASEDB1 and HRF. A row takes a quarter of an hour on one CPU core.
"""

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vessel_runs import finish, step_seconds, validations, vessel_sources

from sam2lora.runs import StartedEvent
from sam2lora.training.settings import make_settings

NO_PROMPTS = {"none": 1, "points": 0, "box": 0, "box_and_points": 0, "previous": 0}

ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "default": {},
        "without BCE": {"loss": {"weights": {"bce": 0}}},
        "without SoftDice": {"loss": {"weights": {"soft_dice": 0}}},
        "without FocalTversky": {"loss": {"weights": {"focal_tversky": 0}}},
        "with soft-clDice": {"loss": {"weights": {"cldice": 1}}},
        "LoRA in the decoder only": {"lora": {"placement": "decoder"}},
        "rank 4": {"lora": {"rank": 4}},
        "mask heads frozen": {"lora": {"train_heads": False}},
        "no prompts in training": {"prompts": NO_PROMPTS},
    }
)
"""Changed settings of each row."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", choices=ROWS, help="one row")
    options = parser.parse_args()
    shared = {
        "target": "vessel",
        "data": vessel_sources(options.data),
        "lora": {"rank": 14, "train_heads": True},
        "validation": {"share": 0.12, "every": options.steps // 4, "images": 6},
        "batch": 2,
        "steps": options.steps,
    }
    print("| row | trained | seconds a step | Dice at the end | best |\n|---|---|---|---|---|")
    for row in [options.only] if options.only else ROWS:
        settings = make_settings("standard", shared, ROWS[row])
        events = finish(options.out / row.replace(" ", "-"), settings)
        share = next(event.share for event in events if isinstance(event, StartedEvent))
        seconds = statistics.median(step_seconds(events))
        dice = [event.mean for event in validations(events) if event.mean is not None]
        print(f"| {row} | {share:.1f} % | {seconds:.2f} | {dice[-1]:.4f} | {max(dice):.4f} |")


if __name__ == "__main__":
    main()

"""Compare small architectures for nano: each is trained on vessels from random weights.

Data, steps, seed and settings are the same for all; validation is on separate patients of each
dataset. Prints the number of weights, the seconds of one step on one thread, and the Dice at the
end. Runs are ordinary ones, so the script can be stopped and started again; `--only` does one row,
so that rows can run in parallel.

    OMP_NUM_THREADS=1 python benchmarks/nano_architectures.py DATA OUT

DATA holds DRIVE, CHASEDB1 and HRF. A row takes five to seven minutes on one CPU core.
"""

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vessel_runs import finish, step_seconds, validations, vessel_sources

from sam2lora.models import loading
from sam2lora.runs import StartedEvent
from sam2lora.training.settings import make_settings

_PLAIN = {"stages": [1, 2, 3, 1], "global_att_blocks": [4, 5]}
_FINER = {"stages": [2, 3, 3, 1], "global_att_blocks": [6, 7]}
_ALL_LEVELS = "2-3-3-1, top-down to the finest"

TRUNK: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "1-2-3-1": _PLAIN,
        "2-3-3-1": _FINER,
        "3-3-2-1": {"stages": [3, 3, 2, 1], "global_att_blocks": [7]},
        _ALL_LEVELS: _FINER,
    }
)
"""Changed settings of the encoder's trunk, by row."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", choices=TRUNK, help="one row")
    options = parser.parse_args()
    settings = make_settings(
        "standard",
        {
            "train": "base",
            "from_scratch": True,
            "target": "vessel",
            "data": vessel_sources(options.data),
            "prompts": {"none": 1, "points": 0, "box": 0, "box_and_points": 0, "previous": 0},
            "optimizer": {"warmup": 30},
            "validation": {"share": 0.12, "every": options.steps, "images": 6},
            "batch": 2,
            "steps": options.steps,
        },
    )
    default = loading.NANO
    print("| architecture | weights | seconds a step | Dice |\n|---|---|---|---|")
    for row in [options.only] if options.only else TRUNK:
        encoder = default["image_encoder"]
        levels = [0, 1, 2, 3] if row == _ALL_LEVELS else [2, 3]
        loading.NANO = {
            **default,
            "image_encoder": {
                **encoder,
                "trunk": {**encoder["trunk"], **TRUNK[row]},
                "neck": encoder["neck"] | {"fpn_top_down_levels": levels},
            },
        }
        folder = options.out / row.replace(", ", "-").replace(" ", "-")
        events = finish(folder, settings)
        weights = next(event.trainable for event in events if isinstance(event, StartedEvent))
        seconds = statistics.median(step_seconds(events))
        dice = validations(events)[-1].mean
        print(f"| {row} | {weights / 1e6:.2f} M | {seconds:.2f} | {dice:.4f} |", flush=True)


if __name__ == "__main__":
    main()

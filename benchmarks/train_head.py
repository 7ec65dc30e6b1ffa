"""Train a detail head on nano-vessel, both frozen, on DRIVE, CHASE_DB1 and HRF; resumable.

The images kept for testing are left out, and validation is on the patients of the other studies.
Afterwards OUT is an adapter: `sam2lora predict --adapter OUT`.

    OMP_NUM_THREADS=1 python benchmarks/train_head.py DATA OUT [--steps 2500]

DATA holds DRIVE, CHASEDB1 and HRF. 2500 steps take about 20 minutes of one CPU core.
"""

import argparse
from pathlib import Path

from vessel_runs import finish, validations, vessel_sources

from sam2lora.training.settings import make_settings

AUGMENTATION = {
    "rotation": 45,
    **dict.fromkeys(("brightness", "contrast", "gamma", "saturation", "illumination"), 0.4),
    "white_balance": 0.25,
}
"""That of nano-vessel itself, but for the scale."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the public datasets")
    parser.add_argument("out", type=Path, help="run folder")
    parser.add_argument("--steps", type=int, default=2500)
    options = parser.parse_args()
    changes = {
        "target": "vessel",
        "data": vessel_sources(options.data),
        "start_from": "nano-vessel",
        "augment": AUGMENTATION,
        "validation": {"share": 0.12, "every": max(1, options.steps // 5), "images": 6},
        "checkpoint_every": 100,
        "variants": 12,
        "steps": options.steps,
        "device": "cpu",
    }
    for event in validations(finish(options.out, make_settings("detail", changes))):
        print(f"step {event.step}: Dice {event.mean:.4f}")


if __name__ == "__main__":
    main()

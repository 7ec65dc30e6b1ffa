"""Train nano from random weights on DRIVE's training half, then an adapter on top of it.

Shows that the method learns: on three validation images the base must exceed Dice 0.70 after 300
steps with a lower loss than at its first validation, and the adapter must be better than the base.
Both are ordinary runs, so the script can be stopped and started again.

    python benchmarks/learn_from_scratch.py path/to/DRIVE out

Takes a quarter of an hour on two CPU cores.
"""

import argparse
import sys
from pathlib import Path

from sam2lora.runs import RunFolder, ValidationEvent, best_adapter, read_events
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings, make_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("drive", type=Path, help="folder of DRIVE")
    parser.add_argument("out", type=Path, help="folder for the two runs")
    parser.add_argument("--steps", type=int, default=300, help="steps of each run")
    options = parser.parse_args()

    shared = {
        "data": [{"root": str(options.drive.resolve())}],
        "target": "vessel",
        "steps": options.steps,
        "validation": {"share": 0.15, "images": 3, "every": 50},
    }
    scratch = make_settings("standard", shared, {"train": "base", "from_scratch": True})
    base = run_and_show(options.out / "base", scratch)
    (weights,) = best_adapter_folder(options.out / "base").glob("*.safetensors")
    on_top = make_settings("standard", shared, {"model": str(weights)})
    adapter = run_and_show(options.out / "adapter", on_top)

    checks = {
        "the validation loss of the base falls": min(losses(base)) < losses(base)[0],
        "the base exceeds Dice 0.70": best_dice(base) > 0.70,
        "the adapter is better than the base": best_dice(adapter) > best_dice(base),
    }
    for claim, holds in checks.items():
        print(f"{'yes' if holds else 'NO '}  {claim}")
    sys.exit(0 if all(checks.values()) else 1)


def run_and_show(path: Path, settings: TrainSettings) -> list[ValidationEvent]:
    """Train to the end, print the validations and return them."""
    run = RunFolder.create(path, settings.model_dump_json(indent=2))
    for event in train(run):
        if event.step % 10 == 0 and event.kind == "step":
            print(f"\r{path.name} step {event.step}", end="", file=sys.stderr, flush=True)
    events, _ = read_events(run.events)
    validations = [event for event in events if isinstance(event, ValidationEvent)]
    print(f"\n{path.name}: step, Dice and loss on validation images")
    for event in validations:
        print(f"{event.step:6} {event.mean:.4f} {event.loss:.4f}")
    return validations


def best_adapter_folder(path: Path) -> Path:
    best = best_adapter(path)
    if best is None:
        raise SystemExit(f"{path} has no result yet.")
    return best.folder


def best_dice(validations: list[ValidationEvent]) -> float:
    return max(event.mean or 0.0 for event in validations)


def losses(validations: list[ValidationEvent]) -> list[float]:
    return [event.loss or 0.0 for event in validations]


if __name__ == "__main__":
    main()

"""Kill a training at random times, resume it each time, and compare it with an undisturbed run.

Both runs have the same settings and synthetic images. At the end the killed run must have the same
loss at each step and the same weights as the other one. No kill may lose more steps than there are
between checkpoints. Kills come at random times: one in three counted from the start of Python, the
others from the training's first event, so that they hit the training on slow machines too.

    python benchmarks/kill_and_resume.py OUT --kills 20

Takes a few minutes on two CPU cores; most of it is starting Python.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

from sam2lora.images.visualization import save_image
from sam2lora.runs import CheckpointEvent, RunFolder, StepEvent, read_events
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.training.settings import make_settings
from sam2lora.utils.files import make_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for images and runs")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument(
        "--longest", type=float, default=14.0, help="longest time before a kill, in seconds"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the times")
    options = parser.parse_args()

    settings = make_settings(
        "standard",
        {
            "target": "disc",
            "data": [{"root": str(draw_images(options.out / "images"))}],
            "steps": options.steps,
            "batch": 1,
            "workers": 0,
            "validation": {"images": 1, "every": 10},
            "checkpoint_every": 5,
        },
    )
    text = settings.model_dump_json(indent=2)
    killed = RunFolder.create(options.out / "killed", text)
    undisturbed = RunFolder.create(options.out / "alone", text)

    draw = random.Random(options.seed)
    kills = most_lost = 0
    while kills < options.kills and start(
        killed, kill_after=draw.uniform(0, options.longest), after_event=kills % 3 > 0
    ):
        kills += 1
        most_lost = max(most_lost, progress(killed)[1])
    start(killed)
    start(undisturbed)
    print(f"kills                        {kills} of {options.kills} (more --steps, more kills)")
    print(f"steps lost by a kill         at most {most_lost}")
    few_lost = kills > 0 and most_lost <= settings.checkpoint_every
    sys.exit(0 if compare(killed, undisturbed) and few_lost else 1)


def draw_images(folder: Path) -> Path:
    """Write a dataset of the plain layout: six synthetic eyes with their discs."""
    images, masks = make_folder(folder / "images"), make_folder(folder / "masks" / "disc")
    for seed in range(6):
        drawn = draw_fundus(seed, SyntheticSettings(size=160))
        save_image(images / f"eye{seed}.png", drawn.image)
        save_image(masks / f"eye{seed}.png", drawn.masks["disc"])
    return folder.resolve()


def start(run: RunFolder, *, kill_after: float | None = None, after_event: bool = False) -> bool:
    """Train in another process; return whether it was killed, `kill_after` seconds after its start.

    With `after_event`, the time counts from the first event of the process.
    """
    before = count_starts(run)
    with (run.path / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sam2lora", "train", str(run.path)], stdout=log, stderr=log
        )
        if kill_after is not None:
            while after_event and count_starts(run) == before and child.poll() is None:
                time.sleep(0.02)
            time.sleep(kill_after)
        if kill_after is None or child.poll() is not None:
            if child.wait() != 0:
                sys.exit(f"A training failed: see {log.name}.")
            return False
        child.kill()
        child.wait()
    done, lost = progress(run)
    since = "its first event" if after_event else "the start"
    print(f"killed {kill_after:4.1f} s after {since}: {done} steps done, {lost} lost", flush=True)
    return True


def count_starts(run: RunFolder, *kinds: str) -> int:
    """Count how often a training was started or resumed."""
    lines = run.events.read_bytes().splitlines() if run.events.exists() else []
    patterns = [f'"kind":"{kind}"'.encode() for kind in kinds or ("started", "resumed")]
    return sum(any(pattern in line for pattern in patterns) for line in lines)


def progress(run: RunFolder) -> tuple[int, int]:
    """Return the number of steps done, and how many of them were after the last checkpoint."""
    events, _ = read_events(run.events)
    done = max((event.step for event in events), default=0)
    saved = max((event.step for event in events if isinstance(event, CheckpointEvent)), default=0)
    return done, done - saved


def compare(killed: RunFolder, undisturbed: RunFolder) -> bool:
    """Print how the two runs differ; return whether they are the same."""
    curves = [losses(run) for run in (killed, undisturbed)]
    differences = [abs(curves[0][step] - curves[1][step]) for step in curves[1]]
    weights = [digest(run) for run in (killed, undisturbed)]
    print(f"resumed                      {count_starts(killed, 'resumed')} times")
    print(f"steps of the curves          {len(curves[0])} and {len(curves[1])}")
    print(f"largest difference of a loss {max(differences)}")
    print(f"same last weights            {weights[0] == weights[1]}")
    return max(differences) == 0 and weights[0] == weights[1]


def losses(run: RunFolder) -> dict[int, float]:
    events, _ = read_events(run.events)
    return {event.step: event.loss for event in events if isinstance(event, StepEvent)}


def digest(run: RunFolder) -> str:
    last = max(run.adapters.glob("[0-9]*"), key=lambda folder: int(folder.name))
    return hashlib.sha256((last / "adapter_model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

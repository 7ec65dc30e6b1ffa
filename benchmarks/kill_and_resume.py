"""Kill a training at random instants, resume it each time, and compare it with one left alone.

Both runs have the same settings and learn from the same synthetic images. What a killed run
reports at the end has to be what the other one reports: each step's loss, and the same weights. No
kill may cost more steps than there are between checkpoints. A kill comes at any instant: one in
three counted from the start of Python, the others from the training's first event, so that they
fall into the training on slow machines too.

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
    parser.add_argument("--longest", type=float, default=14.0, help="most seconds before a kill")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
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
    alone = RunFolder.create(options.out / "alone", text)

    draw = random.Random(options.seed)
    kills = most_lost = 0
    while kills < options.kills and start(
        killed, kill_after=draw.uniform(0, options.longest), once_begun=kills % 3 > 0
    ):
        kills += 1
        most_lost = max(most_lost, progress(killed)[1])
    start(killed)
    start(alone)
    print(f"kills                        {kills} of {options.kills} (more --steps, more kills)")
    print(f"steps lost by a kill         at most {most_lost}")
    as_promised = kills > 0 and most_lost <= settings.checkpoint_every
    sys.exit(0 if compare(killed, alone) and as_promised else 1)


def draw_images(folder: Path) -> Path:
    """Draw six eyes with their discs, as a data set of the plain layout."""
    images, masks = make_folder(folder / "images"), make_folder(folder / "masks" / "disc")
    for seed in range(6):
        drawn = draw_fundus(seed, SyntheticSettings(size=160))
        save_image(images / f"eye{seed}.png", drawn.image)
        save_image(masks / f"eye{seed}.png", drawn.masks["disc"])
    return folder.resolve()


def start(run: RunFolder, *, kill_after: float | None = None, once_begun: bool = False) -> bool:
    """Train in another process; tell whether it was killed, so many seconds after it began."""
    before = beginnings(run)
    with (run.path / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "sam2lora", "train", str(run.path)], stdout=log, stderr=log
        )
        if kill_after is not None:
            while once_begun and beginnings(run) == before and child.poll() is None:
                time.sleep(0.02)
            time.sleep(kill_after)
        if kill_after is None or child.poll() is not None:
            if child.wait() != 0:
                sys.exit(f"A training failed: see {log.name}.")
            return False
        child.kill()
        child.wait()
    done, lost = progress(run)
    since = "its first event" if once_begun else "the start"
    print(f"killed {kill_after:4.1f} s after {since}: {done} steps done, {lost} lost", flush=True)
    return True


def beginnings(run: RunFolder, *kinds: str) -> int:
    """Count how often a training began or was resumed."""
    lines = run.events.read_bytes().splitlines() if run.events.exists() else []
    signs = [f'"kind":"{kind}"'.encode() for kind in kinds or ("started", "resumed")]
    return sum(any(sign in line for sign in signs) for line in lines)


def progress(run: RunFolder) -> tuple[int, int]:
    """Give how many steps were done, and how many of them after the last checkpoint."""
    events, _ = read_events(run.events)
    done = max((event.step for event in events), default=0)
    kept = max((event.step for event in events if isinstance(event, CheckpointEvent)), default=0)
    return done, done - kept


def compare(killed: RunFolder, alone: RunFolder) -> bool:
    """Print how the two runs differ; tell whether they are the same."""
    curves = [losses(run) for run in (killed, alone)]
    differences = [abs(curves[0][step] - curves[1][step]) for step in curves[1]]
    weights = [digest(run) for run in (killed, alone)]
    print(f"resumed                      {beginnings(killed, 'resumed')} times")
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

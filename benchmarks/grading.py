"""Measure a grading session of many small drawn images: opening, a step of the log, recovery.

Draws the images (a few, each repeated with a byte more, so that no two are the same file), creates
a session, lets a grader be done with all of them, and times, in this process:

- opening: the session, the grader with a log of several entries an image, and what is missing;
- a step: the state of an image written to the log and synced to disk (median and 95th percentile);
- a mask saved in the grader's store of that many images;
- what is not saved yet: four masks of 2000 × 2000 pixels written and read.

    python benchmarks/grading.py [--images 1000]

Fails if opening takes longer than 1 s or a step (95th percentile) longer than 10 ms. If other
programs are running, use processor time: --by processor.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from sam2lora.grading import GradingSession, SessionGrader, WorkEntry, list_sources
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings

OPENING, STEP = 1.0, 0.010  # seconds
DRAWN = 4  # different eyes
SIDE = 64  # pixels
STEPS, MASKS, WRITES = 200, 20, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="images of the session")
    parser.add_argument("--by", choices=("clock", "processor"), default="clock")
    options = parser.parse_args()
    clock = time.perf_counter if options.by == "clock" else time.process_time

    with tempfile.TemporaryDirectory() as place:
        session, masks = make_session(Path(place), options.images)
        grade_all(session)
        opening = min(timed(clock, lambda: open_grader(session.folder)) for _ in range(5))
        with SessionGrader(session, "anna") as grader:
            stems = [image.stem for image in session.images]
            steps = [
                timed(clock, lambda stem=stem: grader.set_state(stem, "done"))
                for stem in (stems * STEPS)[:STEPS]
            ]
            saves = [
                timed(
                    clock,
                    lambda s=stem: grader.corrections.save(s, session.path(s), masks),
                )
                for stem in stems[:MASKS]
            ]
            painted = {f"mask{number}": np.tri(2000, dtype=bool) for number in range(4)}
            writes = [
                timed(clock, lambda: grader.recovery.write("a", notes={"undo": []}, arrays=painted))
                for _ in range(WRITES)
            ]
            reads = [timed(clock, grader.recovery.read) for _ in range(WRITES)]

    step = statistics.quantiles(steps, n=20)[-1]
    print(f"{options.images} images of {SIDE} pixels, by {options.by}")
    print(f"  opening      {opening:.3f} s (best of 5; limit {OPENING:.0f} s)")
    print(
        f"  a step       {1000 * statistics.median(steps):.2f} ms, 95th percentile "
        f"{1000 * step:.2f} ms (limit {1000 * STEP:.0f} ms)"
    )
    print(f"  a mask saved {1000 * statistics.median(saves):.1f} ms")
    print(
        f"  recovery     written in {1000 * statistics.median(writes):.0f} ms, read in "
        f"{1000 * statistics.median(reads):.0f} ms (4 masks of 2000 x 2000)"
    )
    sys.exit(1 if opening > OPENING or step > STEP else 0)


def make_session(place: Path, count: int) -> tuple[GradingSession, dict[str, np.ndarray]]:
    """Create a session of `count` images, and return it with masks of their size."""
    photos = place / "photos"
    photos.mkdir()
    drawn = [draw_fundus(number, SyntheticSettings(size=SIDE)) for number in range(DRAWN)]
    for number in range(count):
        path = photos / f"p{number:04}_left.png"
        Image.fromarray(drawn[number % DRAWN].image).save(path)
        with path.open("ab") as stream:
            stream.write(number.to_bytes(4, "little"))
    session = GradingSession.create(place / "session", list_sources([photos]))
    return session, {"disc": drawn[0].masks["disc"]}


def grade_all(session: GradingSession) -> None:
    """Write a log as a grader leaves it: several entries an image."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with SessionGrader(session, "anna") as grader:
        for image in session.images:
            grader.set_state(image.stem, "started")
            for piece in range(4):
                begun = start + timedelta(seconds=30 * piece)
                end = begun + timedelta(seconds=30)
                grader.write(WorkEntry(image=image.stem, start=begun, end=end))
            grader.set_quality(image.stem, "gradable")
            grader.set_state(image.stem, "done")


def open_grader(folder: Path) -> None:
    """Do what a window does when it opens a session."""
    session = GradingSession.open(folder)
    session.missing()
    with SessionGrader(session, "anna") as grader:
        for image in session.images:
            grader.grade(image.stem)


def timed(clock: Callable[[], float], action: Callable[[], object]) -> float:
    start = clock()
    action()
    return clock() - start


if __name__ == "__main__":
    main()

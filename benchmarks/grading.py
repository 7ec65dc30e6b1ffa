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

With --window it measures the Grade dock in napari instead: opening the list of that many images
with the first one, and a step, in which an image of 2000 pixels with a painted disc is set to done,
saved, and the next one is shown and drawn, without the time that reading the next one takes:

    xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/grading.py --window

Fails if opening takes longer than 1 s or a step (median) longer than 300 ms.
"""

import argparse
import os
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

OPENING, STEP, STEP_IN_WINDOW = 1.0, 0.010, 0.300  # seconds
DRAWN = 4  # different eyes
SIDE = 64  # pixels
LARGE, LARGE_SIDE = 20, 2000  # images that are shown in a window, and their size in pixels
STEPS, MASKS, WRITES = 200, 20, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="images of the session")
    parser.add_argument("--by", choices=("clock", "processor"), default="clock")
    parser.add_argument("--window", action="store_true", help="measure the dock in napari")
    options = parser.parse_args()
    clock = time.perf_counter if options.by == "clock" else time.process_time

    if options.window:
        with tempfile.TemporaryDirectory() as place:
            measure_window(Path(place), options.images, clock)
        return
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


def make_session(
    place: Path, count: int, *, large: int = 0
) -> tuple[GradingSession, dict[str, np.ndarray]]:
    """Create a session of `count` images, the first ones large, and return masks for the others."""
    photos = place / "photos"
    photos.mkdir()
    drawn = [draw_fundus(number, SyntheticSettings(size=SIDE)) for number in range(DRAWN)]
    big = draw_fundus(0, SyntheticSettings(size=LARGE_SIDE)).image if large else drawn[0].image
    for number in range(count):
        path = photos / f"p{number:04}_left.png"
        Image.fromarray(big if number < large else drawn[number % DRAWN].image).save(path)
        with path.open("ab") as stream:
            stream.write(number.to_bytes(4, "little"))
    session = GradingSession.create(place / "session", list_sources([photos]))
    return session, {"disc": drawn[0].masks["disc"]}


def measure_window(place: Path, count: int, clock: Callable[[], float]) -> None:
    """Measure the Grade dock in napari, and exit."""
    os.environ["NAPARI_CONFIG"] = str(place / "settings.yaml")
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_sam2lora.grading.session_images import image_file
    from napari_sam2lora.layers.images import ImageLayers
    from napari_sam2lora.layers.loading import read_image_layers
    from napari_sam2lora.layers.masks import add_mask
    from sam2lora.targets import TARGETS

    session, _ = make_session(place, count, large=LARGE)
    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Grade")
    QApplication.processEvents()

    def open_list() -> None:
        dock.opener.open(session.folder)
        dock.start("anna")
        QApplication.processEvents()

    def step() -> None:
        dock.panel.finish()
        QApplication.processEvents()

    opening = timed(clock, open_list)
    steps = []
    for number in range(LARGE - 1):
        image = ImageLayers(viewer).find(dock.work.shown.path)
        layer = dock.work.shown.mask_layers() or [add_mask(viewer, image, TARGETS["disc"])]
        with layer[0].block_history():
            layer[0].data_setitem((np.arange(500, 900), np.arange(500, 900)), 1)
        QApplication.processEvents()
        following = image_file(session, session.images[number + 1].stem)
        reading = timed(
            clock,
            lambda file=following: read_image_layers(file, corrections=dock.work.shown.corrections),
        )
        steps.append(timed(clock, step) - reading)
    middle, slow = statistics.median(steps), statistics.quantiles(steps, n=20)[-1]
    print(f"{count} images in a window")
    print(f"  opening the list with the first image {opening:.3f} s (limit {OPENING:.0f} s)")
    print(
        f"  a step, without reading {1000 * middle:.0f} ms, 95th percentile {1000 * slow:.0f} ms "
        f"(limit {1000 * STEP_IN_WINDOW:.0f} ms)"
    )
    dock.grading.end()
    viewer.close()
    sys.exit(1 if opening > OPENING or middle > STEP_IN_WINDOW else 0)


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

"""Measure how long the viewer's event loop stalls, idle and while a training runs.

A timer of the window's thread is to fire every 10 ms; how much later it does is a stall. The window
shows a photograph, which a script zooms and pans all the while, and the Train dock with its curves.
Prints the longest stall, the 99th percentile and how many there were above the limit, idle and in
training; fails if one in training was above the limit, and none when idle was.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewer_stalls.py [--seconds 60]

Trains nano on drawn images. Where other programs do not rest meanwhile, they stall the window too:
so the idle figures are the measure.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

LIMIT = 0.100  # seconds
_EVERY = 10  # milliseconds between ticks
_IMAGES = 5


class Stalls(NamedTuple):
    """How much later than meant the ticks of one stretch of time came, in seconds."""

    late: list[float]

    @property
    def longest(self) -> float:
        return max(self.late, default=0.0)

    @property
    def above(self) -> int:
        return sum(one > LIMIT for one in self.late)

    def in_words(self, what: str) -> str:
        usual = statistics.quantiles(self.late, n=100)[98] if len(self.late) > 1 else self.longest
        return (
            f"{what:>9}: longest {1000 * self.longest:.0f} ms, 99 % below {1000 * usual:.0f} ms, "
            f"{self.above} above {1000 * LIMIT:.0f} ms, of {len(self.late)} ticks"
        )


def late(times: list[float]) -> Stalls:
    """Give how late each tick came after the one before."""
    gaps = (after - before for before, after in pairwise(times))
    return Stalls([max(0.0, gap - _EVERY / 1000) for gap in gaps])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two stretches")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        for name in ("RUNS", "ADAPTERS", "CORRECTIONS"):
            os.environ[f"SAM2LORA_{name}"] = str(Path(folder) / name.lower())
        idle, training = measure(Path(folder), options.seconds)
    print(idle.in_words("idle"))
    print(training.in_words("training"))
    sys.exit(1 if training.above and not idle.above else 0)


def measure(folder: Path, seconds: float) -> tuple[Stalls, Stalls]:
    """Look at a window for that long idle, and for that long while nano is trained."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    viewer.open(draw_images(folder / "photographs"), plugin="napari-sam2lora")
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Train")
    dock.setup_tab.options.choose(target="disc", preset="standard")
    for path, value in ((("steps",), 10_000), (("validation", "every"), 20)):
        dock.settings_tab.edit(path, value)
    watch(viewer, 2)  # what is done once is done before
    idle = watch(viewer, seconds)
    dock.train(dock.setup_tab.plan())
    wait_for_steps(dock)
    training = watch(viewer, seconds)
    if not dock.session.alive:
        raise SystemExit(f"The training ended early: {dock.session.watcher.status}")
    dock.session.stop()
    wait_until(lambda: not dock.session.alive)
    viewer.close()
    return idle, training


def watch(viewer: object, seconds: float) -> Stalls:
    """Let the window live for a while, moving the camera, and note when ticks come."""
    from qtpy.QtCore import QEventLoop, Qt, QTimer

    times: list[float] = []

    def tick() -> None:
        times.append(time.perf_counter())
        if len(times) % 10 == 0:
            viewer.prepared.camera.zoom *= 1.02 if len(times) % 200 < 100 else 1 / 1.02

    timer, loop = QTimer(), QEventLoop()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(_EVERY)
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()
    timer.stop()
    return late(times)


def wait_for_steps(dock: object) -> None:
    """Wait until a few steps are done, so that the process computes and no longer loads."""
    wait_until(lambda: (step := dock.session.watcher.history.step) is not None and step.step >= 3)


def wait_until(holds: object, seconds: float = 600) -> None:
    from qtpy.QtTest import QTest

    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("The training does not get on.")
        QTest.qWait(100)


def draw_images(folder: Path) -> Path:
    """Draw photographs with the masks of their discs."""
    import numpy as np
    from PIL import Image

    from sam2lora.synthetic import SyntheticSettings, draw_fundus

    for number in range(_IMAGES):
        drawn = draw_fundus(number, SyntheticSettings(size=1024))
        mask = drawn.masks["disc"].astype(np.uint8) * np.uint8(255)
        for place, pixels in {"images": drawn.image, "masks/disc": mask}.items():
            (folder / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / place / f"eye{number}.png")
    return folder


if __name__ == "__main__":
    main()

"""Measure how long the viewer's event loop stalls, idle and during a training.

A timer of the main thread fires every 10 ms; its delay is a stall. The viewer shows an image, which
is zoomed all the time, and the Train dock with its curves. Prints the longest stall, the 99th
percentile and the number of stalls above the limit, idle and during training; fails if there is one
above the limit during training and none when idle.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewer_stalls.py [--seconds 60]

Trains nano on synthetic images. Other running programs stall the viewer too: compare with the idle
figures.
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
    """Delays of the timer events of one period, in seconds."""

    late: list[float]

    @property
    def longest(self) -> float:
        return max(self.late, default=0.0)

    @property
    def above(self) -> int:
        return sum(delay > LIMIT for delay in self.late)

    def describe(self, period: str) -> str:
        p99 = statistics.quantiles(self.late, n=100)[98] if len(self.late) > 1 else self.longest
        return (
            f"{period:>9}: longest {1000 * self.longest:.0f} ms, 99 % below {1000 * p99:.0f} ms, "
            f"{self.above} above {1000 * LIMIT:.0f} ms, of {len(self.late)} ticks"
        )


def find_stalls(times: list[float]) -> Stalls:
    """Return the delay of each timer event after the previous one."""
    gaps = (after - before for before, after in pairwise(times))
    return Stalls([max(0.0, gap - _EVERY / 1000) for gap in gaps])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=60, help="duration of each of the two periods"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        for name in ("RUNS", "ADAPTERS", "CORRECTIONS"):
            os.environ[f"SAM2LORA_{name}"] = str(Path(folder) / name.lower())
        idle, training = measure(Path(folder), options.seconds)
    print(idle.describe("idle"))
    print(training.describe("training"))
    sys.exit(1 if training.above and not idle.above else 0)


def measure(folder: Path, seconds: float) -> tuple[Stalls, Stalls]:
    """Measure a viewer for `seconds` when idle, and for `seconds` while nano is trained."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    viewer.open(draw_images(folder / "images"), plugin="napari-sam2lora")
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Train")
    dock.setup_tab.options.choose(target="disc", preset="standard")
    for path, value in ((("steps",), 10_000), (("validation", "every"), 20)):
        dock.settings_tab.edit(path, value)
    watch(viewer, 2)  # one-time work is done before
    idle = watch(viewer, seconds)
    dock.train(dock.setup_tab.plan())
    wait_for_steps(dock)
    training = watch(viewer, seconds)
    if not dock.session.alive:
        raise SystemExit(f"The training ended early: {dock.session.watcher.status}")
    dock.session.stop()
    wait_until(lambda: not dock.session.alive)
    viewer.window.remove_dock_widget("all")  # they ask before the window closes
    viewer.close()
    return idle, training


def watch(viewer: object, seconds: float) -> Stalls:
    """Process events for a while, moving the camera, and record the timer events."""
    from qtpy.QtCore import QEventLoop, Qt, QTimer

    times: list[float] = []

    def tick() -> None:
        times.append(time.perf_counter())
        if len(times) % 10 == 0:
            viewer.scene.camera.zoom *= 1.02 if len(times) % 200 < 100 else 1 / 1.02

    timer, loop = QTimer(), QEventLoop()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(_EVERY)
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()
    timer.stop()
    return find_stalls(times)


def wait_for_steps(dock: object) -> None:
    """Wait until a few steps are done, so that the process is training and no longer loading."""
    wait_until(lambda: (step := dock.session.watcher.history.step) is not None and step.step >= 3)


def wait_until(condition: object, seconds: float = 600) -> None:
    from qtpy.QtTest import QTest

    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("The training makes no progress.")
        QTest.qWait(100)


def draw_images(folder: Path) -> Path:
    """Write synthetic images with the masks of their discs."""
    import numpy as np
    from PIL import Image

    from sam2lora.synthetic import SyntheticSettings, draw_fundus

    for number in range(_IMAGES):
        drawn = draw_fundus(number, SyntheticSettings(size=1024))
        mask = drawn.masks["disc"].astype(np.uint8) * np.uint8(255)
        for kind, pixels in {"images": drawn.image, "masks/disc": mask}.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"eye{number}.png")
    return folder


if __name__ == "__main__":
    main()

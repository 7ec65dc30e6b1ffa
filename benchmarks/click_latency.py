"""Measure how long it takes from a click in napari's window to the repainted preview.

A real window with the Segment dock opens an image, presses Segment, and is clicked with the mouse
many times, at a person's pace; each click is measured until the canvas has been drawn with the new
answer. Prints the median and the 95th percentile, what the parts of it take, and the longest
standstill of the window while torch and the model are loaded, while the image is encoded, while it
is clicked, while all targets are looked for, and while an answer is accepted into a new mask.

The peer is napari itself in the same window, before there is a dock: a click adds a point, and a
mask that is there already is shown at once. Nothing that answers clicks in napari can be quicker
than that. Where OpenGL is computed by the processor, as under Xvfb, drawing is most of it.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/click_latency.py [IMAGE]

Without an image a synthetic fundus is drawn. Models whose weights are not here are measured with
random ones, which take as long. Fails where a percentile or a standstill is above both its limit
and the peer's. Where other programs do not rest meanwhile, --by processor counts the time of the
processor instead.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
os.environ["SAM2LORA_CORRECTIONS"] = tempfile.mkdtemp()

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.segmentation.requests import ModelChoice

LIMITS = {"nano": 0.100, "tiny": 0.150}  # seconds, 95th percentile
STANDSTILL = 0.100
TICK = 5  # milliseconds between two looks at the clock
PAUSE = 150  # milliseconds between two clicks
ROUND = 10  # clicks, after which all points are taken away

Clock = Callable[[], float]


class Clicks:
    """What clicks took, in seconds, until they were answered and until that was seen."""

    def __init__(self) -> None:
        self.answered: list[float] = []
        self.painted: list[float] = []

    def most(self) -> float:
        """Give the 95th percentile until it was seen."""
        return float(np.percentile(self.painted, 95))

    def tell(self) -> None:
        """Print it."""
        for what, seconds in (("answer", self.answered), ("repainted preview", self.painted)):
            half, most = np.percentile(seconds, [50, 95]) * 1000
            print(f"  click to {what:<18} median {half:4.0f} ms, p95 {most:4.0f} ms")


class Pulse:
    """Notes the longest time in which the window did not look at its events."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._last = clock, clock()
        self.longest = 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(TICK)

    def restart(self) -> None:
        self._last, self.longest = self._clock(), 0.0

    def _beat(self) -> None:
        now = self._clock()
        self.longest = max(self.longest, now - self._last - TICK / 1000)
        self._last = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("--clicks", type=int, default=100)
    parser.add_argument("--models", nargs="+", default=["nano", "tiny"], choices=list(LIMITS))
    parser.add_argument("--by", choices=("clock", "processor"), default="clock")
    options = parser.parse_args()
    clock = time.perf_counter if options.by == "clock" else time.process_time
    failed = False
    for name in options.models:
        viewer = napari.Viewer(show_welcome_screen=False)
        viewer.window.resize(1600, 1000)
        if options.image:
            viewer.open(options.image, plugin="napari-sam2lora")
        else:
            viewer.open_sample("napari-sam2lora", "healthy")
        failed |= measure(viewer, name, options.clicks, clock)
        viewer.close()
    sys.exit(int(failed))


def measure(viewer: napari.Viewer, name: str, clicks: int, clock: Clock) -> bool:
    """Click in a window, and print what it took; tell whether a limit was passed."""
    QTest.qWait(500)
    pulse = Pulse(clock)
    peer, waits = measure_napari(viewer, clicks, pulse, clock)
    print("napari alone: a point is added, and a mask that is there is shown")
    peer.tell()
    print(f"  longest standstill: {in_words(waits)}")
    own, own_waits = measure_dock(viewer, name, clicks, pulse, clock)
    height, width = viewer.layers[0].data.shape[:2]
    print(f"{name}, {width} × {height} pixels, whole image")
    own.tell()
    print(f"  longest standstill: {in_words(own_waits)}")
    slow = own.most() > max(LIMITS[name], peer.most())
    return bool(slow or max(own_waits.values()) > max(STANDSTILL, *waits.values()))


def measure_napari(
    viewer: napari.Viewer, clicks: int, pulse: Pulse, clock: Clock
) -> tuple[Clicks, dict[str, float]]:
    """Click where napari alone answers; give what it took, and standstills of its own layers."""
    shape = viewer.layers[0].data.shape[:2]
    pulse.restart()
    labels = viewer.add_labels(np.zeros(shape, np.uint8))
    QTest.qWait(500)
    standstills = {"a Labels layer": pulse.longest}
    pulse.restart()
    points = viewer.add_points(np.empty((0, 2)), size=max(shape) / 60)
    QTest.qWait(500)
    standstills["a Points layer"] = pulse.longest
    points.mode = "add"
    found, random, canvas = Clicks(), np.random.default_rng(0), drawn_on(viewer)
    pulse.restart()
    for number in range(clicks):
        if number % ROUND == 0:
            points.data = np.empty((0, 2))
        QTest.qWait(PAUSE)
        mask = np.zeros(shape, np.uint8)
        mask[number : shape[0] // 2, number : shape[1] // 2] = 1
        start = clock()
        click(canvas, random)
        labels.data = mask
        found.answered.append(clock() - start)
        QApplication.processEvents()
        found.painted.append(clock() - start)
    standstills["clicking"] = pulse.longest
    viewer.layers.remove(points)
    viewer.layers.remove(labels)
    QTest.qWait(500)
    return found, standstills


def measure_dock(
    viewer: napari.Viewer, name: str, clicks: int, pulse: Pulse, clock: Clock
) -> tuple[Clicks, dict[str, float]]:
    """Click where the Segment dock answers; give what it took, and the standstills."""
    pulse.restart()
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment", area="right")
    session = dock.session
    until(lambda: not session.queue.worker.busy)
    standstills = {"loading": pulse.longest}
    use_random_weights_where_there_are_none()
    session.choices.set_choice(session.target, ModelChoice(no_adapter=True, detail="whole"))
    session.choices.set_compute(name, "cpu", "auto")
    if session.image is None:
        raise SystemExit("There is no image in the window.")
    pulse.restart()
    # A bare big base wants a point before it answers.
    session.prompts.points(session.image, session.target).add(center(viewer))
    until(lambda: session.result is not None and not session.queue.worker.busy)
    dock.segment()
    until(lambda: not session.queue.worker.busy)
    standstills["encoding"] = pulse.longest

    found, random, canvas = Clicks(), np.random.default_rng(0), drawn_on(viewer)
    answered: list[float] = []
    session.queue.result_ready.connect(lambda _: answered.append(clock()))
    pulse.restart()
    for number in range(clicks):
        if number % ROUND == 0:
            dock.clear()
            until(lambda: not session.queue.worker.busy)
        QTest.qWait(PAUSE)
        answered.clear()
        start = clock()
        click(canvas, random)
        until(lambda: bool(answered))
        found.answered.append(answered[0] - start)
        QApplication.processEvents()  # the canvas is drawn
        found.painted.append(clock() - start)
    standstills["clicking"] = pulse.longest
    pulse.restart()
    dock.segment_all()
    until(lambda: not session.queue.worker.busy)
    standstills["segmenting all"] = pulse.longest
    pulse.restart()
    dock.accept()
    QTest.qWait(500)
    standstills["accepting"] = pulse.longest
    session.close()
    return found, standstills


def click(canvas: QWidget, random: np.random.Generator) -> None:
    """Click with the mouse somewhere near the middle."""
    x, y = (random.uniform(-0.15, 0.15, 2) * canvas.height()).astype(int)
    place = QPoint(canvas.width() // 2 + int(x), canvas.height() // 2 + int(y))
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)


def in_words(standstills: dict[str, float]) -> str:
    """Write standstills down."""
    return ", ".join(f"{what} {1000 * one:.0f} ms" for what, one in standstills.items())


def until(happened: Callable[[], bool]) -> None:
    """Let the window go on until something has happened."""
    while not happened():
        QTest.qWait(1)


def drawn_on(viewer: napari.Viewer) -> QWidget:
    """Give the widget of the window's canvas: the largest that draws by OpenGL."""
    window = QApplication.activeWindow() or max(
        QApplication.topLevelWidgets(), key=lambda one: one.width() * one.height()
    )
    found = [one for one in window.findChildren(QWidget) if "Canvas" in type(one).__name__]
    return max(found, key=lambda one: one.width() * one.height())


def center(viewer: napari.Viewer) -> tuple[float, float]:
    """Give the middle of the image (row, column)."""
    height, width = viewer.layers[0].data.shape[:2]
    return height / 2, width / 2


def use_random_weights_where_there_are_none() -> None:
    """Let models that would have to be downloaded be built with random weights."""
    from sam2lora.models import loading as base_models
    from sam2lora.models.registry import BASE_MODELS

    real = base_models.load_base

    def load(model: str, **how: object) -> base_models.LoadedBase:
        there = BASE_MODELS[model].path.exists()
        return real(model, **how) if there else base_models.random_base(model)

    base_models.load_base = load


if __name__ == "__main__":
    main()

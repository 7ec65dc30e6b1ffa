"""Measure how much longer napari takes to start with the plugin than without.

Both are started alternately, each in a new process with its own settings; without means that the
plugin is hidden from napari. The time is from the start of Python until the window exists. Prints
the medians and their difference, and whether torch was loaded; fails if it was, or if the
difference is above the limit.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/napari_start.py [--rounds 15]

Takes a few seconds for each start. If other programs are running, use processor time: --by
processor.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

PLUGIN = "napari-sam2lora"
LIMIT = 0.050  # seconds

START = """
    import importlib.metadata
    import os
    import sys
    import time

    hidden, installed = sys.argv[1], importlib.metadata.distributions
    importlib.metadata.distributions = lambda **options: (
        package for package in installed(**options) if package.metadata["Name"] != hidden
    )

    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    QApplication.processEvents()
    started = time.time()
    known = sys.argv[2] in __import__("npe2").PluginManager.instance()
    print(started, time.process_time(), "torch" in sys.modules, known, flush=True)
    os._exit(0)
"""


class Started(NamedTuple):
    """One start of napari."""

    clock: float
    processor: float
    torch: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="starts of each kind")
    parser.add_argument("--by", choices=("clock", "processor"), default="clock")
    options = parser.parse_args()

    starts: dict[bool, list[Started]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for plugin in (True, False):  # fills the file system's caches; not counted
            start(Path(folder), plugin=plugin)
        for number in range(options.rounds):
            for plugin in (True, False) if number % 2 else (False, True):
                starts[plugin].append(start(Path(folder), plugin=plugin))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    difference = {}
    for by in ("clock", "processor"):
        seconds = {
            plugin: [getattr(started, by) for started in starts[plugin]] for plugin in starts
        }
        pairs = zip(seconds[True], seconds[False], strict=True)
        difference[by] = statistics.median(plugin - without for plugin, without in pairs)
        print(
            f"{by:>9}: {statistics.median(seconds[True]):.3f} s with the plugin, "
            f"{statistics.median(seconds[False]):.3f} s without (medians of {options.rounds}); "
            f"{1000 * difference[by]:+.0f} ms (median of the rounds' differences)"
        )
    torch = any(started.torch for started in starts[True])
    print(f"    torch: {'loaded' if torch else 'not loaded'}")
    sys.exit(1 if torch or difference[options.by] > LIMIT else 0)


def start(folder: Path, *, plugin: bool) -> Started:
    """Start napari once, with the plugin or as if it were not installed."""
    settings = folder / ("with" if plugin else "without") / "settings.yaml"
    before = time.time()
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(START), "" if plugin else PLUGIN, PLUGIN],
        env={**os.environ, "NAPARI_CONFIG": str(settings)},
        capture_output=True,
        text=True,
        check=True,
    )
    end, processor, torch, known = result.stdout.split()[-4:]
    if (known == "True") != plugin:
        raise SystemExit(f"napari did not start {'with' if plugin else 'without'} the plugin.")
    return Started(float(end) - before, float(processor), torch == "True")


if __name__ == "__main__":
    main()

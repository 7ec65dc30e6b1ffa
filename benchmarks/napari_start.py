"""Measure how much longer napari takes to start with the plugin than without.

Both are started alternately, each in a fresh process with settings of its own; those without are
not told that the plugin is installed. What counts is the time from starting Python until the window
is there. Prints the medians and their difference, and whether anything loaded torch; fails if
anything did, or if the difference is above the limit.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/napari_start.py [--rounds 15]

Takes a few seconds a start. Where other programs do not rest meanwhile, the processor's time tells
more than the clock's: --by processor.
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
    importlib.metadata.distributions = lambda **how: (
        one for one in installed(**how) if one.metadata["Name"] != hidden
    )

    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    QApplication.processEvents()
    there = time.time()
    known = sys.argv[2] in __import__("npe2").PluginManager.instance()
    print(there, time.process_time(), "torch" in sys.modules, known, flush=True)
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
        for plugin in (True, False):  # fills the file system's caches; does not count
            start(Path(folder), plugin=plugin)
        for number in range(options.rounds):
            for plugin in (True, False) if number % 2 else (False, True):
                starts[plugin].append(start(Path(folder), plugin=plugin))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    difference = {}
    for by in ("clock", "processor"):
        seconds = {plugin: [getattr(one, by) for one in starts[plugin]] for plugin in starts}
        pairs = zip(seconds[True], seconds[False], strict=True)
        difference[by] = statistics.median(with_it - without for with_it, without in pairs)
        print(
            f"{by:>9}: {statistics.median(seconds[True]):.3f} s with the plugin, "
            f"{statistics.median(seconds[False]):.3f} s without (medians of {options.rounds}); "
            f"{1000 * difference[by]:+.0f} ms (median of the rounds' differences)"
        )
    torch = any(one.torch for one in starts[True])
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
    there, processor, torch, known = result.stdout.split()[-4:]
    if (known == "True") != plugin:
        raise SystemExit(f"napari was to start {'with' if plugin else 'without'} the plugin.")
    return Started(float(there) - before, float(processor), torch == "True")


if __name__ == "__main__":
    main()

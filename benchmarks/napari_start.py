"""Measure how much longer napari takes to start with the plugin than without.

Both are started alternately, each in a fresh process with settings of its own; in those without,
the plugin is disabled as a user disables it. What counts is the time from starting Python until the
window is there. Prints the medians and their difference, and whether anything loaded torch; fails
if anything did, or if the difference is above the limit.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/napari_start.py [--rounds 15]

Takes a quarter of a minute a round. Other programs should rest meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGIN = "napari-sam2lora"
LIMIT = 0.050  # seconds

START = """
    import sys, time
    import napari
    from qtpy.QtWidgets import QApplication
    viewer = napari.Viewer()
    QApplication.processEvents()
    print(time.time(), "torch" in sys.modules, "napari_sam2lora" in sys.modules)
    sys.stdout.flush()
    import os
    os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="starts of each kind")
    options = parser.parse_args()

    seconds: dict[bool, list[float]] = {True: [], False: []}
    loaded = set()
    with tempfile.TemporaryDirectory() as folder:
        settings = {on: write_settings(Path(folder), enabled=on) for on in (True, False)}
        for on in (True, False):  # fills the file system's caches; does not count
            start(settings[on])
        for number in range(options.rounds):
            for on in (True, False) if number % 2 else (False, True):
                taken, modules = start(settings[on])
                seconds[on].append(taken)
                loaded |= modules
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    with_plugin, without = (statistics.median(seconds[on]) for on in (True, False))
    differences = [a - b for a, b in zip(seconds[True], seconds[False], strict=True)]
    print(f"with the plugin     {with_plugin:.3f} s, median of {options.rounds}")
    print(f"without             {without:.3f} s")
    print(f"difference          {1000 * (with_plugin - without):+.0f} ms of the medians")
    print(f"                    {1000 * statistics.median(differences):+.0f} ms, median by rounds")
    print(f"loaded at the start {', '.join(sorted(loaded)) or 'neither torch nor the plugin'}")
    slow = statistics.median(differences) > LIMIT
    sys.exit(1 if slow or "torch" in loaded else 0)


def write_settings(folder: Path, *, enabled: bool) -> Path:
    """Write napari's settings, with the plugin disabled or not."""
    path = folder / ("with" if enabled else "without") / "settings.yaml"
    path.parent.mkdir()
    disabled = [] if enabled else [PLUGIN]
    path.write_text(json.dumps({"plugins": {"disabled_plugins": disabled}}))  # JSON is YAML
    return path


def start(settings: Path) -> tuple[float, set[str]]:
    """Start napari once; give the seconds it took, and which of torch and the plugin it loaded."""
    lines = "\n".join(line.strip() for line in START.splitlines())
    before = time.time()
    result = subprocess.run(
        [sys.executable, "-c", lines],
        env={**os.environ, "NAPARI_CONFIG": str(settings)},
        capture_output=True,
        text=True,
        check=True,
    )
    there, torch, plugin = result.stdout.split()[-3:]
    loaded = {"torch": torch == "True", PLUGIN: plugin == "True"}
    return float(there) - before, {name for name, is_there in loaded.items() if is_there}


if __name__ == "__main__":
    main()

"""What a cluster of processes brings for many images, what it costs, and whether memory stays flat.

    python benchmarks/cohort.py rates IMAGES OUT            # one process, two, local:1, local:2
    python benchmarks/cohort.py memory OUT --images 10000   # of two workers, on tiny images

`rates` runs `sam2lora predict --measure` on all images below a folder, such as DRIVE's 40, with one
thread a process. It prints the time of the whole command, its processor time, and the rate from
the first results to the last, which leaves the start out; the tables of all but "two commands" must
be the same. These are two processes at once on half of the images each, without a cluster: what
the machine's cores allow. `memory` measures hard links to a few tiny images, and prints the memory
of both workers while it goes on.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sam2lora.synthetic import SyntheticSettings
from sam2lora.synthetic.folder import write_synthetic_dataset

SIDES = {"one process": 0, "two commands": 0, "local:1": 1, "local:2": 2}
"""Workers of a cluster by the name of the side."""

SPLIT = "two commands"
TARGETS = ("vessel", "disc", "cup")
TINY, DRAWN = 96, 20  # pixels, images


@dataclass(frozen=True)
class Side:
    """What one side took: seconds, seconds of processors, and images in a second."""

    wall: float
    processors: float
    rate: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    rates = commands.add_parser("rates")
    rates.add_argument("images", type=Path)
    rates.add_argument("out", type=Path)
    memory = commands.add_parser("memory")
    memory.add_argument("out", type=Path)
    memory.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    if options.command == "memory":
        sys.exit(measure_memory(options.out, options.images))
    sys.exit(compare(options.images, options.out))


def compare(images: Path, out: Path) -> int:
    """Run all sides and print them; return the exit code."""
    files = sorted(path for path in images.rglob("*") if path.parent.name == "images")
    sides = {name: run_side(files, out / name.replace(" ", "_"), name) for name in SIDES}
    first = sides["one process"]
    print(f"{'side':<12} {'seconds':>8} {'processor':>9} {'images/s':>8} {'times':>6} {'rate':>6}")
    for name, side in sides.items():
        print(
            f"{name:<12} {side.wall:8.1f} {side.processors:9.1f} {side.rate:8.3f} "
            f"{first.wall / side.wall:6.2f} {side.rate / first.rate:6.2f}"
        )
    whole = [out / name.replace(" ", "_") / "0" for name in SIDES if name != SPLIT]
    tables = {(folder / "table.csv").read_bytes() for folder in whole}
    print("the tables are the same" if len(tables) == 1 else "THE TABLES DIFFER")
    return len(tables) - 1


def run_side(files: Sequence[Path], out: Path, name: str) -> Side:
    """Segment and measure the images in one or two processes of their own."""
    parts = [files[::2], files[1::2]] if name == SPLIT else [files]
    start = time.monotonic()
    cluster = ["--cluster", name] if SIDES[name] else []
    running = [start_command(part, out / str(n), cluster) for n, part in enumerate(parts)]
    processors = 0.0
    for process in running:
        _, status, used = os.wait4(process.pid, 0)
        processors += used.ru_utime + used.ru_stime
        if status:
            sys.exit(f"{name} failed")
    wall = time.monotonic() - start
    ends = sorted(path.stat().st_mtime for path in out.glob(f"*/masks/*_{TARGETS[-1]}.png"))
    first = max(len(parts), SIDES[name])
    return Side(wall, processors, (len(ends) - first) / (ends[-1] - ends[first - 1]))


def start_command(
    files: Sequence[Path], out: Path, cluster: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start to segment and measure images."""
    out.mkdir(parents=True)
    command = [sys.executable, "-m", "sam2lora", "predict", *map(str, files)]
    command += ["--out", str(out / "masks"), "--measure", str(out / "table.csv")]
    command += [*(f"--target={target}" for target in TARGETS), *cluster]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def measure_memory(out: Path, images: int) -> int:
    """Measure many tiny images, and print the memory of the workers at each tenth."""
    data = link_images(out / "data", images)
    table = out / "table.csv"
    command = [sys.executable, "-m", "sam2lora", "measure", str(data), "--out", str(table)]
    process = subprocess.Popen([*command, "--cluster", "local:2"])
    print(f"{'seconds':>8} {'rows':>7}  MB of the workers")
    start, shown = time.monotonic(), 0
    while process.poll() is None:
        time.sleep(2)
        rows = table.read_bytes().count(b"\n") - 1 if table.exists() else 0
        sizes = worker_memory(process.pid)
        if sizes and rows >= shown:
            shown = rows + images // 10
            print(f"{time.monotonic() - start:8.0f} {rows:7}  {sizes}", flush=True)
    return process.returncode


def worker_memory(parent: int) -> list[float]:
    """Return the resident memory in MB of the processes that compute."""
    sizes = []
    for child in psutil.Process(parent).children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                sizes.append(round(child.memory_info().rss / 1e6, 1))
        except psutil.Error:
            continue
    return sizes


def link_images(root: Path, count: int) -> Path:
    """Write a dataset of a few tiny images, and link them under as many names as asked for."""
    drawn = root.with_name("drawn")
    write_synthetic_dataset(drawn, count=DRAWN, settings=SyntheticSettings(size=TINY), processes=1)
    for path in sorted(drawn.rglob("*.png")):
        folder = root / path.parent.relative_to(drawn)
        folder.mkdir(parents=True, exist_ok=True)
        number = int(path.stem.rsplit("_", 1)[1])
        for copy in range(number, count, DRAWN):
            link = folder / f"eye_{copy:06}.png"
            if not link.exists():
                os.link(path, link)
    return root


if __name__ == "__main__":
    main()

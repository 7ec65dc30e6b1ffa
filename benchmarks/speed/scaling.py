"""Plot how time and memory grow with image size, tiles, batch, rank and cached images.

    OMP_NUM_THREADS=2 python -m benchmarks.speed.scaling docs/images [--base nano] [--by processor]

Writes performance-scaling.png and performance-scaling.json there. Each point is one side of
`benchmarks.speed` in its own process; memory is the increase during its turns. Takes about ten
minutes for nano on a CPU.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl

from benchmarks.speed.definitions import BenchmarkName, BenchmarkSettings
from benchmarks.speed.rounds import run_benchmark

SIZES = (512, 1024, 2048, 3072, 4096)
BATCHES = (1, 2, 4, 8)
RANKS = (4, 16, 64, 256)
CACHED = (4, 8, 16, 32)
FIELDS = (512, 1024, 1536, 2048)  # network pixels: from one tile to more than thirty

TILES = """
import sys, json, time
from sam2lora.models.loading import load_base
from benchmarks.speed.material import sample_image
from benchmarks.speed.worker import current_bytes, peak_bytes
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage, windows_of
from sam2lora.settings import GeometrySettings
field, base, by = int(sys.argv[1]), sys.argv[2], sys.argv[3]
predictor, prepared = Predictor(load_base(base)), PreparedImage.of(sample_image(1444, 1444))
geometry = GeometrySettings(detail="tiles", field_size=field)
clock = time.perf_counter if by == "clock" else time.process_time
windows = len(windows_of(prepared, geometry, predictor.base.network.input_size))
before, started = current_bytes(), clock()
predictor.predict(prepared, geometry)
print(json.dumps([windows, clock() - started, max(0, peak_bytes() - before)]))
"""

Point = tuple[float, float, float]  # x, seconds, bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--by", choices=("clock", "processor"), default="clock")
    options = parser.parse_args()
    default = BenchmarkSettings(base=options.base, rounds=options.rounds)

    def points(
        benchmark: BenchmarkName, side: str, settings: Sequence[tuple[float, dict[str, int]]]
    ) -> Iterator[Point]:
        for value, changes in settings:
            changed = default.model_copy(update=changes)
            result = run_benchmark(benchmark, changed, only=[side]).sides[side]
            yield value, result.seconds(options.by), result.peak - result.before

    square = [(size, {"width": size, "height": size}) for size in SIZES]
    by_batch = [(batch, {"batch": batch}) for batch in BATCHES]
    curves = {
        "image side in pixels": {
            "encode": points("encode", "ours", square),
            "click": points("prompt", "ours", square),
        },
        "tiles of an image": {"segment": tiles(options.base, options.by)},
        "images in a training step": {
            "standard": points("train", "standard", by_batch),
            "low-memory": points("train", "low-memory", by_batch),
        },
        "rank of LoRA": {
            "training step": points("train", "standard", [(rank, {"rank": rank}) for rank in RANKS])
        },
        "images kept for quick adapt": {
            "epoch": points("quick-adapt", "kept", [(count, {"images": count}) for count in CACHED])
        },
    }
    points_of_curves = {
        label: {name: list(line) for name, line in lines.items()} for label, lines in curves.items()
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "performance-scaling.json"
    path.write_text(json.dumps(points_of_curves, indent=1) + "\n", encoding="utf-8")
    plot(points_of_curves, path.with_suffix(".png"), title=f"{options.base}, by the {options.by}")


def tiles(base: str, by: str) -> Iterator[Point]:
    for field in FIELDS:
        command = [sys.executable, "-c", TILES, str(field), base, by]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        windows, seconds, memory = json.loads(result.stdout)
        yield windows, seconds, memory


def plot(curves: dict[str, dict[str, list[Point]]], path: Path, *, title: str) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(curves), figsize=(3.2 * len(curves), 5.6), squeeze=False)
    for column, (label, lines) in enumerate(curves.items()):
        for row, (quantity, scale) in enumerate((("seconds", 1), ("MiB", 2**20))):
            axis = axes[row][column]
            for name, line in lines.items():
                axis.plot(
                    [point[0] for point in line],
                    [point[1 + row] / scale for point in line],
                    marker="o",
                    label=name,
                )
            axis.set(xlabel=label, ylabel=quantity, ylim=(0, None))
            axis.grid(alpha=0.3)
            axis.legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()

"""Run every benchmark of `benchmarks.speed` on nano and tiny, and print the table of the docs.

    OMP_NUM_THREADS=2 python -m benchmarks.speed.table OUT.json [--rounds 5] [--by processor]
    python -m benchmarks.speed.table OUT.json --table  # only print the results so far

On a CPU it takes about an hour, mostly for tiny. Results that are already in OUT.json are kept.
"""

import argparse
from pathlib import Path

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkSettings
from benchmarks.speed.result import BenchmarkResult, markdown, read_results, write_results
from benchmarks.speed.rounds import run_benchmark

LARGE = {"width": 3504, "height": 2336}  # of HRF


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="JSON of all turns")
    parser.add_argument("--bases", nargs="+", default=["nano", "tiny"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=20, help="images of quick adapt")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--by", choices=("clock", "processor"), default="clock")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    options = parser.parse_args()
    results: list[BenchmarkResult] = read_results(options.out) if options.out.exists() else []
    for base in [] if options.table else options.bases:
        default = BenchmarkSettings(
            base=base, rounds=options.rounds, device=options.device, images=options.images
        )
        measurements = [(name, default) for name in BENCHMARKS]
        measurements.append(("prompt", default.model_copy(update=LARGE)))
        for name, settings in measurements:
            if any((done.question, done.settings) == (name, settings) for done in results):
                continue
            results.append(run_benchmark(name, settings))
            write_results(options.out, results)
    print(markdown(results, options.by))


if __name__ == "__main__":
    main()

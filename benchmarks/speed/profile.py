"""Profile a side, and compare it with the peak performance of the machine.

Prints the time by operator, the memory after each phase, the floating point operations of one
forward pass, and the rate at which this machine multiplies matrices: operations over rate is the
shortest possible time of a pass.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.profile train standard --base tiny

Times are processor times; on a GPU use torch's own profiler.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.definitions import BenchmarkSettings
from benchmarks.speed.material import usable_base
from benchmarks.speed.worker import SIDES, current_bytes, peak_bytes
from sam2lora.models.loading import load_base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", choices=sorted({benchmark for benchmark, _ in SIDES}))
    parser.add_argument("side")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--rows", type=int, default=15)
    options = parser.parse_args()
    if (options.benchmark, options.side) not in SIDES:
        sides = [side for benchmark, side in SIDES if benchmark == options.benchmark]
        parser.error(f"the sides of {options.benchmark} are: {', '.join(sides)}")
    with tempfile.TemporaryDirectory() as folder:
        base = usable_base(options.base, Path(folder))
        settings = BenchmarkSettings(base=base, device="cpu", images=4)
        rate, operations = matmul_rate(), forward_operations(base)
        print(f"matrices: {rate / 1e9:.0f} GFLOP/s on {torch.get_num_threads()} threads")
        print(f"one forward pass: {operations / 1e9:.0f} GFLOP, at best {operations / rate:.2f} s")
        memory("libraries loaded")
        turn = SIDES[options.benchmark, options.side](settings)
        memory("side prepared")
        turn()
        memory("first turn")
        seconds = processor_seconds(turn)
        memory("second turn")
        print(f"a turn: {seconds:.2f} s of processor time")
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            turn()
    averages = profiled.key_averages()
    print(averages.table(sort_by="self_cpu_time_total", row_limit=options.rows))


def matmul_rate(size: int = 1536, turns: int = 5) -> float:
    """Return the operations per second of a float32 product of square matrices."""
    first, second = torch.randn(2, size, size)
    first @ second  # warms up
    return (
        2
        * size**3
        / statistics.median(processor_seconds(lambda: first @ second) for _ in range(turns))
    )


def forward_operations(base: str) -> int:
    """Count the operations of encoding one image; a multiplication and an addition are two."""
    network = load_base(base).network
    size = network.input_size
    # Attention is counted only if it is computed as products.
    backend = torch.nn.attention.SDPBackend.MATH
    with (
        torch.inference_mode(),
        torch.nn.attention.sdpa_kernel(backend),
        FlopCounterMode(display=False) as counter,
    ):
        network.encode(torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def processor_seconds(turn) -> float:
    started = time.process_time()
    turn()
    return time.process_time() - started


def memory(phase: str) -> None:
    print(f"{phase:>16}: {current_bytes() >> 20} MiB, peak {peak_bytes() >> 20} MiB")


if __name__ == "__main__":
    main()

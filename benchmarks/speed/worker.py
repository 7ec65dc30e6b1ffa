"""One side of a benchmark, in its own process: `python -m benchmarks.speed.worker`.

It prepares its side and then, for each line of its input, takes one turn and writes one JSON line
to the standard output; everything else that is printed goes to the standard error.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

import psutil
import torch

from benchmarks.speed import prediction, training
from benchmarks.speed.definitions import PEERS, BenchmarkSettings
from sam2lora.compute.allocator import keep_freed_memory
from sam2lora.compute.device import choose_device

SIDES: Mapping[tuple[str, str], Callable[[BenchmarkSettings], prediction.Turn]] = MappingProxyType(
    {
        ("encode", "ours"): prediction.encode_ours,
        ("encode", "stock"): prediction.encode_stock,
        ("prompt", "ours"): prediction.prompt_ours,
        ("prompt", "stock"): prediction.prompt_stock,
        ("lora-forward", "base"): prediction.forward_base,
        ("lora-forward", "merged"): prediction.forward_merged,
        ("lora-forward", "not merged"): prediction.forward_lora,
        ("train", "plain"): training.train_plain,
        ("train", "standard"): training.train_standard,
        ("train", "low-memory"): training.train_low_memory,
        ("quick-adapt", "kept"): training.quick_adapt_kept,
        ("quick-adapt", "encoding"): training.quick_adapt_encoding,
    }
)
"""Functions that prepare a side, by benchmark and side."""


def main() -> None:
    """Prepare a side and take turns until the input ends."""
    benchmark, side, content = sys.argv[1:]
    settings = BenchmarkSettings.model_validate_json(content)
    # Output of libraries must not get between the results.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if side not in (*PEERS, "low-memory"):
        keep_freed_memory()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    turn = SIDES[benchmark, side](settings)
    before = current_bytes()
    _write(results, {"threads": torch.get_num_threads(), "device": str(device)})
    for _ in sys.stdin:
        clock, processor = time.perf_counter(), time.process_time()
        turn()
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        _write(
            results,
            {
                "clock": clock,
                "processor": processor,
                "before": before,
                "peak": peak_bytes(),
                "device_peak": (
                    torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
                ),
            },
        )


def _write(stream: TextIO, content: Mapping[str, object]) -> None:
    print(json.dumps(content), file=stream, flush=True)


def peak_bytes() -> int:
    """Return the peak memory of this process.

    On Linux not from `getrusage`, which includes the memory of the parent before the start.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        if found:
            return int(found[1]) * 1024
    if sys.platform == "win32":
        peak: int = psutil.Process().memory_info().peak_wset
        return peak
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if _is_mac() else 1024)


def current_bytes() -> int:
    """Return the current memory of this process."""
    now: int = psutil.Process().memory_info().rss
    return now


def _is_mac() -> bool:
    return sys.platform == "darwin"


if __name__ == "__main__":
    main()

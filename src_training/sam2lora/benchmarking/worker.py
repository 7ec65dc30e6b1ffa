"""One side of a question, in a process of its own: `python -m sam2lora.benchmarking.worker`.

It makes its side ready and then, for each line it is sent, takes one turn and answers with one JSON
line on what was its standard output; all else that is printed goes to the standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TextIO

import torch

from sam2lora.allocator import keep_freed_memory
from sam2lora.benchmarking import prediction, training
from sam2lora.benchmarking.memory import current_bytes, peak_bytes
from sam2lora.benchmarking.questions import PEERS, BenchmarkSettings
from sam2lora.device import choose_device

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
"""Question and side to what makes it ready."""


def main() -> None:
    """Make a side ready and take turns until the input ends."""
    question, side, content = sys.argv[1:]
    settings = BenchmarkSettings.model_validate_json(content)
    # Whatever libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if side not in (*PEERS, "low-memory"):
        keep_freed_memory()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    turn = SIDES[question, side](settings)
    before = current_bytes()
    _answer(answers, {"threads": torch.get_num_threads(), "device": str(device)})
    for _ in sys.stdin:
        clock, processor = time.perf_counter(), time.process_time()
        turn()
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        _answer(
            answers,
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


def _answer(stream: TextIO, content: Mapping[str, object]) -> None:
    print(json.dumps(content), file=stream, flush=True)


if __name__ == "__main__":
    main()

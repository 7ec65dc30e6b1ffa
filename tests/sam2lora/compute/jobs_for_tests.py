"""Small jobs that workers of a cluster can import."""

import os
import time
from collections.abc import Iterable, Iterator

from sam2lora.compute.jobs import Job, JobWork
from sam2lora.errors import OutputError


class SquareJob(Job[int, str]):
    """Squares numbers, slowly enough to be killed; -1 is an error, and -2 kills its worker."""

    def open(self) -> JobWork[int, str]:
        process = os.getpid()

        def work(items: Iterable[int]) -> Iterator[str]:
            for item in items:
                if item == -1:
                    raise OutputError("the disk is full.")
                if item == -2:
                    time.sleep(0.5)  # the process that watches it would not see it start, else
                    os._exit(9)
                time.sleep(0.02)
                yield f"{item * item} by {process}"

        return work

    def failure(self, item: int, reason: str) -> str:
        return f"{item} failed: {reason}"


class UnevenJob(Job[float, str]):
    """Sleeps for each item; a result is the process, and how long its batch had taken by then."""

    def open(self) -> JobWork[float, str]:
        process = os.getpid()

        def work(items: Iterable[float]) -> Iterator[str]:
            start = time.monotonic()
            for item in items:
                time.sleep(item)
                yield f"{item} {process} {time.monotonic() - start}"

        return work

    def failure(self, item: float, reason: str) -> str:
        return reason

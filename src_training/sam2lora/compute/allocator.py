"""Save the time Linux spends on allocating the same memory again and again in small pages.

Encoding an image allocates and frees hundreds of megabytes, and on a CPU clearing fresh pages took
up to a fifth of the time. Nothing here imports torch, and other systems are not affected.
"""

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h
_KEPT = 1 << 30  # bytes

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""Environment variable torch reads: 1 for pages of 2 MB, 0 for none."""


def use_huge_pages() -> None:
    """Set torch to use pages of 2 MB, unless the user has set the variable.

    torch reads it once, at its first allocation; a later change has no effect.
    """
    if sys.platform == "linux":
        os.environ.setdefault(HUGE_PAGES, "1")


def keep_freed_memory() -> None:
    """Keep up to a gibibyte of freed memory in this process, so that it is reused at no cost.

    Meant for processes that only compute. With another C library than glibc, or if the user has set
    its variables, nothing changes.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)

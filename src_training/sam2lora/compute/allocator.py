"""Spare the time that Linux spends on handing out memory in small pages, again and again.

Encoding an image takes and gives back hundreds of megabytes, and on a CPU clearing them anew cost
up to a fifth of the time. Nothing here imports torch, and other systems are left as they are.
"""

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h
_KEPT = 1 << 30  # bytes

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""The variable torch asks: 1 for pages of 2 MB, 0 for none."""


def use_huge_pages() -> None:
    """Ask torch for pages of 2 MB, unless the user decided about it.

    torch looks once, when it first takes memory; what is set later does nothing.
    """
    if sys.platform == "linux":
        os.environ.setdefault(HUGE_PAGES, "1")


def keep_freed_memory() -> None:
    """Let this process keep what it frees, up to a gibibyte, to take it again at no cost.

    For processes that do nothing but compute. The C library has to be glibc; where it is another
    one, or the user has set its variables, nothing changes.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)

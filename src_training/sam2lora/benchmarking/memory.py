"""How much memory this process has had at most."""

import re
import sys
from pathlib import Path

import psutil


def peak_bytes() -> int:
    """Give the most memory this process has had since it began.

    On Linux not by `getrusage`, which counts what the parent had before this program was started.
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
    """Give the memory this process has now."""
    now: int = psutil.Process().memory_info().rss
    return now


def _is_mac() -> bool:
    return sys.platform == "darwin"

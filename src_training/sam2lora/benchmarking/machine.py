"""On what a number was measured: nothing that names the computer or who uses it."""

import os
import platform
import re
from pathlib import Path

import psutil
from pydantic import JsonValue

from sam2lora.adapters.card import library_versions


def describe_machine() -> dict[str, JsonValue]:
    """Describe processor, memory, load and versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": load if load is None else round(load, 1),
        "python": platform.python_version(),
        "versions": dict(library_versions()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()

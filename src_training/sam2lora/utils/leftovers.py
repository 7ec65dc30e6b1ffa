"""Name temporary files after the process that writes them, and delete those of killed processes."""

import hashlib
import os
import re
import secrets
import shutil
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

_NAME = re.compile(r"\.?sam2lora-(?P<place>[0-9a-f]{8})-(?P<process>\d{1,9})-[0-9a-f]{8}(\..*)?")


def temporary_name() -> str:
    """Return a new name for a temporary file or folder of this process, without a suffix."""
    return f"sam2lora-{_place()}-{os.getpid()}-{secrets.token_hex(4)}"


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files and folders in a folder whose process no longer exists.

    Those of other computers and containers, whose processes cannot be seen from here, stay; so do
    those that cannot be deleted.

    Raises
    ------
    OSError
        If the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        found = [(Path(entry.path), _NAME.fullmatch(entry.name)) for entry in entries]
    for path, name in found:
        if name is None or name["place"] != _place() or psutil.pid_exists(int(name["process"])):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)


@cache
def _place() -> str:
    """Return a hash of what process numbers are unique in: this computer, or a container on it."""
    namespace = ""
    with suppress(OSError):  # Linux only
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{socket.gethostname()}|{namespace}".encode()).hexdigest()[:8]

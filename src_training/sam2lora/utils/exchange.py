"""Exchange two folders in one step, which Python itself has no function for."""

import ctypes
import os
import sys
from pathlib import Path

_HERE = -100  # AT_FDCWD of Linux: paths are relative to the working directory
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def exchange(first: Path, second: Path) -> bool:
    """Exchange two files or folders of one file system; neither name is missing at any moment.

    Returns
    -------
    Whether they were exchanged. False where the system (Windows) or the file system (some network
    drives) cannot do it; then nothing has changed.
    """
    paths = os.fsencode(first), os.fsencode(second)
    if sys.platform == "linux":
        name, arguments = "renameat2", (_HERE, paths[0], _HERE, paths[1], ctypes.c_uint(_EXCHANGE))
    elif sys.platform == "darwin":
        name, arguments = "renamex_np", (*paths, ctypes.c_uint(_EXCHANGE))
    else:
        return False
    function = getattr(ctypes.CDLL(None), name, None)  # missing in old C libraries
    return function is not None and function(*arguments) == 0

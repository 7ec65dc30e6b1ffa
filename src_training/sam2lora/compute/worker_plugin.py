"""What a worker of a Dask cluster has of this program; needs the extra `cluster`.

Dask sends functions and arguments between one's own processes by pickling them. Nothing of that is
a file, and a worker does whatever its scheduler sends: both have to be one's own.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from sam2lora import __version__
from sam2lora.compute.jobs import Job, JobWork, timed
from sam2lora.errors import ClusterError
from sam2lora.utils.decoders import silence_decoders

_TRIM = "MALLOC_TRIM_THRESHOLD_"
_DASKS_OWN = "65536"  # what Dask sets it to


class JobPlugin(WorkerPlugin):  # type: ignore[misc]
    """A job in a worker's process: opened at its first batch, and kept until the job ends.

    A worker with several threads does one batch at a time, since a network is used by one thread.

    Parameters
    ----------
    name
        Name of the job, unique.
    job
        The job.
    """

    def __init__(self, name: str, job: Job[Any, Any]) -> None:
        self.name = name
        self._job = job
        self._folder = Path.cwd()
        self._version = __version__

    def setup(self, worker: Worker) -> None:
        """Prepare the plugin in the process of a worker; Dask calls it."""
        self._lock = threading.Lock()
        self._work: JobWork[Any, Any] | None = None
        self._host = worker.address

    def run(self, items: Sequence[Any], longest: float) -> tuple[list[Any], float]:
        """Return the results of a batch, and how many seconds it took; see `timed`.

        Raises
        ------
        ClusterError
            If this process has another version of this program, or other folders.
        Exception
            What the work of an item raises.
        """
        with self._lock:
            if self._work is None:
                self._work = self._open()
            return timed(self._work, items, longest)

    def _open(self) -> JobWork[Any, Any]:
        if __version__ != self._version:
            raise ClusterError(
                f"The worker {self._host} has version {__version__} of this program, and the "
                f"command version {self._version}. Install the same one for both."
            )
        try:
            os.chdir(self._folder)  # paths may be relative
        except OSError as error:
            raise ClusterError(
                f"The worker {self._host} has no folder {self._folder}. Workers need the files "
                "under the same paths as the command."
            ) from error
        if os.environ.get(_TRIM) == _DASKS_OWN:
            del os.environ[_TRIM]  # which would not be the user's choice
        silence_decoders()
        return self._job.open()


def run_batch(name: str, items: Sequence[Any], longest: float) -> tuple[list[Any], float]:
    """Run a batch of a job in the worker that Dask chose for it; see `JobPlugin.run`."""
    plugin: JobPlugin = get_worker().plugins[name]
    return plugin.run(items, longest)

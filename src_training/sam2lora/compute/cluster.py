"""Start or find workers: on this machine, of a running Dask scheduler, or in jobs of SLURM.

Dask is the extra `cluster`, and is imported only when workers are asked for.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sam2lora.errors import ClusterError, SettingsError

if TYPE_CHECKING:
    import distributed

    from sam2lora.compute.workers import Cluster

_CONNECT = 15.0  # seconds to wait for a scheduler
_SLURM_WORKERS = 8
_SLURM_GIB = 4  # of memory for one worker

_QUIET = {
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
}
"""Dask's configuration of what is started here; by default it watches itself at every turn."""

HELP = (
    "Work in several processes (the extra cluster): local[:N] on this machine, the address of a "
    "running Dask scheduler (tcp://host:port), or slurm[:N] for N workers as jobs."
)
"""What the option `--cluster` means."""


@dataclass(frozen=True)
class ClusterChoice:
    """What the option `--cluster` names.

    Attributes
    ----------
    kind
        Workers of this machine, jobs of SLURM, or those of a running scheduler.
    workers
        How many; None for the default number.
    address
        Address of the running scheduler.
    """

    kind: Literal["local", "slurm", "address"]
    workers: int | None = None
    address: str = ""


def parse_cluster(text: str) -> ClusterChoice:
    """Parse `local[:N]`, `slurm[:N]` or the address of a scheduler.

    Raises
    ------
    SettingsError
        If it is none of these.
    """
    if found := re.fullmatch(r"(local|slurm)(?::([1-9]\d{0,5}))?", text):
        kind: Literal["local", "slurm"] = "local" if found[1] == "local" else "slurm"
        return ClusterChoice(kind, int(found[2]) if found[2] else None)
    if re.fullmatch(r"[a-z]+://\S+", text):
        return ClusterChoice("address", address=text)
    raise SettingsError(
        f"{text!r} is no cluster: there are local, local:4, slurm, slurm:40, and the address of a "
        "running scheduler, such as tcp://host:8786."
    )


@contextmanager
def open_cluster(text: str | None, *, device: str | None = None) -> Iterator["Cluster | None"]:
    """Start or find the workers that are asked for, when they get their first work.

    Those that were started end with the block.

    Parameters
    ----------
    text
        As for `parse_cluster`; None for no cluster, but this process.
    device
        Device on which each worker computes, as for `choose_device`; several GPUs of this machine
        are shared among the workers that are started on it. None: no network is used.

    Raises
    ------
    SettingsError
        If the text is not valid, or Dask is not installed.

    The first work raises a `ClusterError` if the scheduler cannot be reached, or jobs cannot be
    submitted, and a `DeviceError` as `choose_device` does.
    """
    if text is None:
        yield None
        return
    choice = parse_cluster(text)
    _check_installed(choice)
    from sam2lora.compute.worker_count import LOCAL_PATIENCE
    from sam2lora.compute.workers import Cluster

    patience = LOCAL_PATIENCE if choice.kind == "local" else None
    with ExitStack() as stack:
        yield Cluster(
            partial(_connect, stack, text, choice, device), device or "cpu", patience=patience
        )


def _connect(
    stack: ExitStack, text: str, choice: ClusterChoice, device: str | None
) -> "distributed.Client":
    """Start or find the workers, which end with the stack."""
    import dask
    import distributed
    from distributed.utils import silence_logging_cmgr

    stack.enter_context(dask.config.set(_QUIET))
    stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
    try:
        if choice.kind == "address":
            target: Any = choice.address
        elif choice.kind == "local":
            target = stack.enter_context(_local_cluster(choice.workers, _count_gpus(device)))
        else:
            target = _slurm_cluster()
            stack.callback(_close, target)
            _submit(target, choice.workers or _SLURM_WORKERS)
        client = distributed.Client(target, timeout=_CONNECT, set_as_default=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(f"{text}: cannot be used as a cluster ({error}).") from error
    stack.callback(_close, client)
    return client


def _check_installed(choice: ClusterChoice) -> None:
    try:
        import cryptography  # noqa: F401  # for certificates, which are made for each run
        import distributed  # noqa: F401

        if choice.kind == "slurm":
            import dask_jobqueue  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"--cluster needs {error.name}: pip install 'napari-sam2lora[cluster]'"
        ) from error


def _close(opened: Any) -> None:
    with suppress(Exception):  # a lost scheduler cannot be told, nor a refused job be cancelled
        opened.close()


def _count_gpus(device: str | None) -> int:
    if device is None:
        return 0
    from sam2lora.compute.device import count_gpus  # which loads torch

    return count_gpus(device)


def _local_cluster(workers: int | None, gpus: int) -> Any:
    """Start workers on this machine: by default one for each GPU, or else for each core."""
    from dask.system import CPU_COUNT
    from distributed import Nanny, Scheduler, Security, SpecCluster

    count = workers or gpus or CPU_COUNT
    security = Security.temporary()  # others on this machine must not send it anything
    common = {
        "security": security,
        "protocol": "tls://",
        "host": "127.0.0.1",
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
    }
    worker = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL}
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": common | {"port": 0}},
        workers={
            number: {
                "cls": Nanny,
                "options": common | worker | {"env": gpu_environment(number, gpus)},
            }
            for number in range(count)
        },
        security=security,
        silence_logs=logging.CRITICAL,
    )


def gpu_environment(number: int, gpus: int) -> dict[str, str]:
    """Return the variables that show one of several GPUs to a worker; none without GPUs.

    Parameters
    ----------
    number
        Number of the worker.
    gpus
        Number of GPUs to share.
    """
    if not gpus:
        return {}
    name = "CUDA_VISIBLE_DEVICES"
    visible = os.environ.get(name)
    names = visible.split(",") if visible else [str(index) for index in range(gpus)]
    return {name: names[number % len(names)]}


def _slurm_cluster() -> Any:
    """Return a cluster of jobs as Dask's configuration describes them, else of one core each."""
    import dask
    from dask_jobqueue import SLURMCluster

    def configured(name: str, default: Any) -> Any:
        value = dask.config.get(f"jobqueue.slurm.{name}", None)
        return default if value is None else value

    cores = configured("cores", 1)
    processes = configured("processes", cores)
    return SLURMCluster(
        cores=cores,
        processes=processes,
        memory=configured("memory", f"{processes * _SLURM_GIB} GiB"),
        security=True,
        shared_temp_directory=configured("shared-temp-directory", str(Path.cwd())),
        silence_logs="critical",
    )


def _submit(cluster: Any, workers: int) -> None:
    """Submit jobs for as many workers; only an error of the first ones is raised.

    Raises
    ------
    RuntimeError
        If a job cannot be submitted.
    """
    from distributed import Status

    async def submit() -> None:
        cluster.scale(workers)
        await cluster

    try:
        cluster.sync(submit)
    except (OSError, RuntimeError, ValueError) as error:
        for job in cluster.workers.values():
            job.status = Status.failed  # with a job that is neither, a cluster does not close
        raise RuntimeError(" ".join(str(error).split())) from error
    cluster.adapt(minimum=workers, maximum=workers)  # jobs whose time is over get successors

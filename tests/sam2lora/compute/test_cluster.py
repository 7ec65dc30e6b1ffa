"""Which clusters can be named, and what is said where there is none."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sam2lora.compute.cluster import (
    ClusterChoice,
    gpu_environment,
    open_cluster,
    parse_cluster,
)
from sam2lora.compute.jobs import run_job
from sam2lora.errors import ClusterError, SettingsError

from .jobs_for_tests import SquareJob

needs_shell = pytest.mark.skipif(os.name == "nt", reason="stands in for SLURM by a shell script")


def test_names_are_parsed():
    assert parse_cluster("local") == ClusterChoice("local")
    assert parse_cluster("local:12") == ClusterChoice("local", 12)
    assert parse_cluster("slurm:40") == ClusterChoice("slurm", 40)
    assert parse_cluster("tls://node7:8786") == ClusterChoice("address", None, "tls://node7:8786")


@pytest.mark.parametrize("text", ["", "local:0", "local:-1", "local:x", "pbs", "node7:8786", "8"])
def test_other_names_are_refused(text: str):
    with pytest.raises(SettingsError, match="is no cluster: there are local, local:4, slurm"):
        parse_cluster(text)


def test_no_cluster_is_this_process():
    with open_cluster(None) as cluster:
        assert cluster is None


@pytest.mark.parametrize(
    ("text", "missing"),
    [("local:2", "distributed"), ("local:2", "cryptography"), ("slurm", "dask_jobqueue")],
)
def test_missing_extra_is_explained(text: str, missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with (
        pytest.raises(SettingsError, match=rf"{missing}.*napari-sam2lora\[cluster\]"),
        open_cluster(text),
    ):
        pass


def test_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sam2lora.compute.cluster._CONNECT", 0.5)
    with (
        pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:9: cannot be used as a cluster"),
        open_cluster("tcp://127.0.0.1:9") as cluster,
    ):
        list(run_job(SquareJob(), [1], total=1, cluster=cluster))


def test_gpus_are_shared_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_environment(3, 0) == {}
    shown = [gpu_environment(number, 2)["CUDA_VISIBLE_DEVICES"] for number in range(4)]
    assert shown == ["0", "1", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert gpu_environment(1, 2) == {"CUDA_VISIBLE_DEVICES": "7"}


def test_workers_are_started_when_they_are_needed(monkeypatch: pytest.MonkeyPatch):
    def started(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("sam2lora.compute.cluster._local_cluster", started)
    with open_cluster("local:2") as cluster:
        assert cluster is not None


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that stands in for sbatch, and is still to be written."""
    command = tmp_path / "bin" / "sbatch"
    command.parent.mkdir()
    command.touch(0o755)
    (tmp_path / "bin" / "scancel").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    monkeypatch.chdir(tmp_path)
    return command


@needs_shell
def test_jobs_of_slurm_have_one_thread_a_worker(tmp_path: Path, sbatch: Path):
    """A stand-in for sbatch keeps the scripts of the jobs."""
    keep = f'cp "$1" {tmp_path}/$$ && mv {tmp_path}/$$ {tmp_path}/job_$$'
    sbatch.write_text(f'#!/bin/sh\n{keep}\necho "Submitted batch job $$"\n')
    with open_cluster("slurm:3") as cluster:
        assert cluster is not None
        assert cluster._client is not None
        wait_for(lambda: len(list(tmp_path.glob("job_*"))) == 3)
        text = next(tmp_path.glob("job_*")).read_text()
    assert "#SBATCH --cpus-per-task=1" in text
    assert "#SBATCH --mem=4G" in text
    assert "--nthreads 1" in text
    assert "tls://" in text


@needs_shell
def test_refused_jobs_of_slurm_are_said(sbatch: Path):
    sbatch.write_text('#!/bin/sh\necho "Invalid account" >&2\nexit 1\n')
    with (
        pytest.raises(ClusterError, match=r"slurm:2: cannot be used as a cluster[^$]*Invalid acc"),
        open_cluster("slurm:2") as cluster,
    ):
        list(run_job(SquareJob(), [1], total=1, cluster=cluster))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)

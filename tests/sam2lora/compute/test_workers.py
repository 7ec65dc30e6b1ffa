"""Jobs on the workers of a cluster: the same results, whatever happens to the workers."""

import os
import signal

import dask
import pytest

from sam2lora.compute.cluster import open_cluster
from sam2lora.compute.jobs import run_job
from sam2lora.compute.workers import Cluster
from sam2lora.errors import ClusterError, OutputError

from .jobs_for_tests import SquareJob


def numbers(results) -> list[int]:
    return [int(text.split()[0]) for text in results]


def test_results_come_in_order_from_all_workers(cluster: Cluster):
    texts = list(run_job(SquareJob(), iter(range(100)), total=100, cluster=cluster))
    assert numbers(texts) == [item**2 for item in range(100)]
    processes = {int(text.split()[-1]) for text in texts}
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a process (POSIX)")
def test_batch_of_a_killed_worker_is_done_by_another(cluster: Cluster, worker_pids):
    results = run_job(SquareJob(), range(200), total=200, cluster=cluster)
    texts = [next(results) for _ in range(8)]
    os.kill(worker_pids()[0], signal.SIGKILL)
    texts += results
    assert numbers(texts) == [item**2 for item in range(200)]


def test_error_of_the_work_ends_the_job_and_the_next_one_runs(cluster: Cluster):
    with pytest.raises(OutputError, match="disk is full"):
        list(run_job(SquareJob(), [1, 2, -1, *range(50)], total=53, cluster=cluster))
    assert numbers(run_job(SquareJob(), [3], total=1, cluster=cluster)) == [9]


def test_job_that_is_closed_early_leaves_the_workers_free(cluster: Cluster):
    results = run_job(SquareJob(), range(1000), total=1000, cluster=cluster)
    assert next(results).startswith("0 ")
    results.close()
    assert numbers(run_job(SquareJob(), [4], total=1, cluster=cluster)) == [16]


def test_item_that_kills_its_workers_fails_alone():
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, open_cluster("local:1") as alone:
        texts = list(run_job(SquareJob(), [5, -2, 6], total=3, cluster=alone))
    assert (numbers([texts[0], texts[2]]), texts[1].split(":")[0]) == ([25, 36], "-2 failed")


def test_lost_scheduler_is_said():
    with open_cluster("local:1") as alone:
        running = run_job(SquareJob(), range(50), total=50, cluster=alone)
        next(running)
        alone._client.cluster.close()
        with pytest.raises(ClusterError, match="The scheduler of the cluster was lost"):
            list(running)


def test_workers_that_do_not_come_back_end_the_job(monkeypatch: pytest.MonkeyPatch):
    with open_cluster("local:1") as alone:
        alone._workers._patience = 0.5
        running = run_job(SquareJob(), range(5000), total=5000, cluster=alone)
        next(running)
        monkeypatch.setattr(alone._workers, "_ask", lambda: 0)
        with pytest.raises(ClusterError, match="none was there again after 0 seconds"):
            list(running)

"""Jobs on the workers of a cluster: the same results, whatever happens to the workers."""

import logging
import os
from types import SimpleNamespace

import dask
import distributed
import pytest

from sam2lora.compute.batch_queue import BatchQueue
from sam2lora.compute.cluster import open_cluster
from sam2lora.compute.jobs import run_job
from sam2lora.compute.workers import Cluster
from sam2lora.errors import ClusterError, OutputError

from .jobs_for_tests import SquareJob, UnevenJob

needs_kill = pytest.mark.skipif(os.name == "nt", reason="kills a process by a signal")


def numbers(results) -> list[int]:
    return [int(text.split()[0]) for text in results]


def test_results_come_in_order_from_all_workers(cluster: Cluster):
    texts = list(run_job(SquareJob(), iter(range(100)), total=100, cluster=cluster))
    assert numbers(texts) == [item**2 for item in range(100)]
    processes = {int(text.split()[-1]) for text in texts}
    assert len(processes) == 2
    assert os.getpid() not in processes


@needs_kill
def test_batch_of_a_killed_worker_is_done_by_another(own_cluster: Cluster, kill_worker):
    results = run_job(SquareJob(), range(200), total=200, cluster=own_cluster)
    texts = [next(results) for _ in range(8)]
    kill_worker()
    texts += results
    assert numbers(texts) == [item**2 for item in range(200)]


def test_slow_items_after_quick_ones_are_shared(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    """As where a table is continued: batches are large by then."""
    monkeypatch.setattr("sam2lora.compute.batch_queue.LONGEST", 0.2)
    items = [0.0] * 500 + [0.03] * 200
    texts = list(run_job(UnevenJob(), items, total=len(items), cluster=cluster))
    assert [float(text.split()[0]) for text in texts] == items
    assert max(float(text.split()[2]) for text in texts) < 1
    slow = [text.split()[1] for text in texts[500:]]
    assert min(slow.count(process) for process in set(slow)) > 40
    assert len(set(slow)) == 2


def test_error_of_the_work_ends_the_job_and_the_next_one_runs(cluster: Cluster):
    with pytest.raises(OutputError, match="disk is full"):
        list(run_job(SquareJob(), [1, 2, -1, *range(50)], total=53, cluster=cluster))
    assert numbers(run_job(SquareJob(), [3], total=1, cluster=cluster)) == [9]


def test_job_that_is_closed_early_leaves_the_workers_free(cluster: Cluster):
    results = run_job(SquareJob(), range(1000), total=1000, cluster=cluster)
    assert next(results).startswith("0 ")
    results.close()
    assert numbers(run_job(SquareJob(), [4], total=1, cluster=cluster)) == [16]


@pytest.mark.parametrize("failures", [0, 1])
def test_item_that_kills_its_workers_fails_alone(failures: int):
    allowed = dask.config.set({"distributed.scheduler.allowed-failures": failures})
    items = [5, 6, -2, 7, 8]
    with allowed, open_cluster("local:1") as alone:
        texts = list(run_job(SquareJob(), items, total=len(items), cluster=alone))
    assert texts.pop(2).startswith("-2 failed: the processes that worked on it died")
    assert numbers(texts) == [25, 36, 49, 64]


def queue_of(monkeypatch: pytest.MonkeyPatch, future: object) -> BatchQueue:
    """Return a queue whose only batch is at a stage that cannot be met at will."""
    monkeypatch.setattr(BatchQueue, "_poll", lambda self, batches: None)
    client = SimpleNamespace(submit=lambda *_, **__: future)
    workers = SimpleNamespace(count=lambda: 1)
    queue = BatchQueue(client, "job", SquareJob(), [3], 1, workers)
    queue.fill()
    return queue


@pytest.mark.parametrize("status", ["pending", "lost"])
def test_batch_that_was_lost_is_waited_for(status: str, monkeypatch: pytest.MonkeyPatch):
    queue = queue_of(monkeypatch, SimpleNamespace(status=status))
    assert queue.first() == ()
    assert not queue.empty


def test_results_lost_before_they_are_fetched_are_waited_for(monkeypatch: pytest.MonkeyPatch):
    def late(timeout: float) -> None:
        raise TimeoutError

    queue = queue_of(monkeypatch, SimpleNamespace(status="finished", result=late))
    assert queue.first() == ()
    assert not queue.empty


def test_killed_while_results_are_fetched_is_killed(monkeypatch: pytest.MonkeyPatch):
    def killed(timeout: float) -> None:
        raise distributed.KilledWorker("key", "tcp://node7:1", 3)

    future = SimpleNamespace(status="finished", result=killed, done=lambda: True)
    queue = queue_of(monkeypatch, future)
    assert queue.first() == [SquareJob().failure(3, queue_died())]


def queue_died() -> str:
    from sam2lora.compute import batch_queue

    return batch_queue._DIED


def test_job_is_given_again_where_a_worker_died_at_that_moment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    register, errors = cluster._client.register_plugin, [OSError(), OSError()]

    def failing(plugin: object) -> object:
        if errors:
            raise errors.pop()
        return register(plugin)

    monkeypatch.setattr("sam2lora.compute.workers.POLL", 0)
    monkeypatch.setattr(cluster._client, "register_plugin", failing)
    assert numbers(run_job(SquareJob(), [4], total=1, cluster=cluster)) == [16]
    errors += [OSError("no such file")] * 5
    with pytest.raises(ClusterError, match=r"cannot load the work \(no such file\)"):
        list(run_job(SquareJob(), [4], total=1, cluster=cluster))


def test_lost_scheduler_is_said():
    with open_cluster("local:1") as alone:
        running = run_job(SquareJob(), range(50), total=50, cluster=alone)
        next(running)
        alone._client.cluster.close()
        with pytest.raises(ClusterError, match=r"scheduler of the cluster was lost\. What is wr"):
            list(running)


def test_workers_that_do_not_come_back_end_the_job(monkeypatch: pytest.MonkeyPatch):
    with open_cluster("local:1") as alone:
        alone._workers._patience = 0.5
        running = run_job(SquareJob(), range(5000), total=5000, cluster=alone)
        next(running)
        monkeypatch.setattr(alone._workers, "ask", lambda: 0)
        with pytest.raises(ClusterError, match="none was there again after 0 seconds"):
            list(running)


def test_waiting_is_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("sam2lora.compute.worker_count._SAY_EVERY", 0.2)
    monkeypatch.setattr("sam2lora.compute.worker_count.POLL", 0.1)
    found = iter([0] * 5)
    monkeypatch.setattr(cluster._workers, "ask", lambda: next(found, 2))
    with caplog.at_level(logging.WARNING):
        assert numbers(run_job(SquareJob(), range(60), total=60, cluster=cluster))[-1] == 59**2
    assert "Waiting for workers: none for" in caplog.text

"""What a worker has of a job."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sam2lora.compute.worker_plugin import JobPlugin
from sam2lora.errors import ClusterError

from .jobs_for_tests import SquareJob


class CountedJob(SquareJob):
    opened = 0

    def open(self):
        type(self).opened += 1
        return super().open()


@pytest.fixture
def plugin() -> JobPlugin:
    made = JobPlugin("job", CountedJob())
    made.setup(SimpleNamespace(address="tcp://node7:1"))
    return made


def test_job_is_opened_once(plugin: JobPlugin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")  # Dask's own, which is not kept
    before = CountedJob.opened
    for items in ([2], [3, 4]):
        results, _ = plugin.run(items, 5)
        assert [text.split()[0] for text in results] == [str(item**2) for item in items]
    assert CountedJob.opened == before + 1
    assert "MALLOC_TRIM_THRESHOLD_" not in __import__("os").environ


def test_other_version_is_refused(plugin: JobPlugin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sam2lora.compute.worker_plugin.__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"tcp://node7:1 has version 0\.0\.1"):
        plugin.run([1], 5)


def test_missing_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    made = JobPlugin("job", SquareJob())
    made.setup(SimpleNamespace(address="tcp://node7:1"))
    gone.rmdir()
    with pytest.raises(ClusterError, match="has no folder"):
        made.run([1], 5)

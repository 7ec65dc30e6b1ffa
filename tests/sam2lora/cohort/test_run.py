"""Tables that are continued, interrupted, and of images that are broken."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sam2lora.cohort import find_records, measure_records, read_table
from sam2lora.cohort.run import TableWriter
from sam2lora.compute.workers import Cluster
from sam2lora.errors import OutputError

needs_kill = pytest.mark.skipif(os.name == "nt", reason="kills a process by a signal")


def has_ended(pid: int) -> bool:
    """Check whether a process has ended; in a container nobody may collect it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the images that are measured, as they are."""
    from sam2lora.cohort import record_row

    names: list[str] = []
    measured = record_row._measured

    def note(record):
        names.append(record.stem)
        return measured(record)

    monkeypatch.setattr(record_row, "_measured", note)
    return names


def test_same_input_gives_the_same_bytes(data: Path, tmp_path: Path):
    records = find_records([data])
    for name in ("a.csv", "b.csv"):
        result = measure_records(records, tmp_path / name)
        assert (result.rows, result.kept, dict(result.failed)) == (8, 0, {})
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert len(read_table(tmp_path / "a.csv")) == 8


def test_interrupted_table_is_continued_to_the_same_bytes(
    data: Path, tmp_path: Path, counted: list[str]
):
    records, table = find_records([data]), tmp_path / "out" / "table.csv"
    measure_records(records, tmp_path / "whole.csv")
    counted.clear()

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_records(records, table, progress=stop)
    assert len(read_table(table)) == 3
    result = measure_records(records, table)
    assert (result.rows, result.kept) == (8, 3)
    assert counted == [record.stem for record in records]
    assert table.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_rows_of_images_not_reached_again_stay(data: Path, tmp_path: Path):
    records, table = find_records([data]), tmp_path / "table.csv"
    measure_records(records, table)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_records(records, table, progress=stop)
    assert len(read_table(table)) == 8


def test_changed_and_failed_images_are_measured_again(
    data: Path, tmp_path: Path, counted: list[str]
):
    records, table = find_records([data]), tmp_path / "table.csv"
    whole = records[5].image.read_bytes()
    records[5].image.write_bytes(whole[:40])
    result = measure_records(records, table)
    assert list(result.failed) == [records[5].image.as_posix()]
    assert read_table(table)[5]["error"] == result.failed[records[5].image.as_posix()]
    records[5].image.write_bytes(whole)
    mask = records[2].masks["disc"][0].path
    mask.write_bytes(records[3].masks["disc"][0].path.read_bytes())
    counted.clear()
    assert measure_records(records, table).kept == 6
    assert counted == [records[2].stem, records[5].stem]


def test_rows_of_other_images_are_not_lost(data: Path, tmp_path: Path):
    records, table = find_records([data]), tmp_path / "table.csv"
    measure_records(records, table)
    before = table.read_bytes()
    with pytest.raises(OutputError, match="rows of 4 other images"):
        measure_records(records[4:], table)
    assert table.read_bytes() == before


def test_table_is_written_now_and_then(data: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("sam2lora.utils.pace._EVERY", 0)
    monkeypatch.setattr("sam2lora.utils.pace._SHARE", 0)
    writer = TableWriter(tmp_path / "table.csv", ["a", "b"])
    writer.add({"file": "b"})
    assert [row["file"] for row in read_table(tmp_path / "table.csv")] == ["b"]
    writer.add({"file": "a"})
    assert [row["file"] for row in read_table(tmp_path / "table.csv")] == ["a", "b"]


def test_cluster_gives_the_same_bytes(data: Path, tmp_path: Path, cluster: Cluster):
    records, one, two = find_records([data]), tmp_path / "one.csv", tmp_path / "two.csv"
    records[5].image.write_bytes(records[5].image.read_bytes()[:40])
    alone, shared = measure_records(records, one), measure_records(records, two, cluster=cluster)
    assert two.read_bytes() == one.read_bytes()
    assert shared == alone
    assert len(shared.failed) == 1
    assert measure_records(records, two, cluster=cluster).kept == 7


@needs_kill
def test_killed_worker_changes_nothing(
    data: Path, tmp_path: Path, own_cluster: Cluster, kill_worker: Callable[[], None]
):
    records, table = find_records([data]), tmp_path / "table.csv"
    measure_records(records, tmp_path / "whole.csv")

    def kill(done: int, total: int) -> None:
        if done == 2:
            kill_worker()

    measure_records(records, table, progress=kill, cluster=own_cluster)
    assert table.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@needs_kill
def test_table_is_continued_after_the_command_was_killed(data: Path, tmp_path: Path):
    """Its workers end with it, and what it wrote is kept."""
    records, table = find_records([data]), tmp_path / "table.csv"
    measure_records(records, tmp_path / "whole.csv")
    code = f"""
        import os, signal
        from pathlib import Path
        from sam2lora.cohort import find_records, measure_records
        from sam2lora.compute.cluster import open_cluster
        from sam2lora.utils import pace

        def kill(done, total):
            if done == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            pace._EVERY = pace._SHARE = 0
            with open_cluster("local:1") as cluster:
                print(*cluster._client.run(os.getpid).values(), flush=True)
                records = find_records([{str(data)!r}])
                measure_records(records, Path({str(table)!r}), progress=kill, cluster=cluster)
    """
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(code))
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert measure_records(records, table).kept == 3
    assert table.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    worker = int(ran.stdout)
    end = time.monotonic() + 120
    while not has_ended(worker):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_full_disk_is_said_and_the_next_call_goes_on(
    data: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    records, table = find_records([data]), tmp_path / "table.csv"
    measure_records(records[:2], table)
    before = table.read_bytes()
    with monkeypatch.context() as full:

        def no_space(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        full.setattr(os, "fsync", no_space)
        with pytest.raises(OutputError, match="No space left on device"):
            measure_records(records, table, cluster=cluster)
    assert table.read_bytes() == before
    assert measure_records(records, table, cluster=cluster).kept == 2

"""Anyone may request a run to pause or stop, by files alone."""

import shutil

import pytest

from sam2lora.errors import OutputError
from sam2lora.runs import Control, RunFolder


def test_requests_are_files_that_anyone_may_write(run: RunFolder):
    assert run.control.requested == frozenset()
    (run.path / "control" / "stop").touch()
    assert run.control.requested == {"stop"}
    run.control.request("pause")
    assert (run.path / "control" / "pause").exists()
    assert run.control.requested == {"pause", "stop"}


def test_requests_are_withdrawn_singly_or_all(run: RunFolder):
    for what in ("pause", "stop"):
        run.control.request(what)
        run.control.request(what)
    run.control.clear("pause")
    assert run.control.requested == {"stop"}
    run.control.clear()
    run.control.clear()
    assert not list(run.control.folder.iterdir())


def test_other_files_are_not_requests(run: RunFolder):
    (run.control.folder / "stop.txt").touch()
    assert run.control.requested == frozenset()


def test_request_does_not_recreate_a_deleted_run(run: RunFolder):
    shutil.rmtree(run.path)
    assert run.control.requested == frozenset()
    run.control.clear()
    with pytest.raises(OutputError, match="stop: cannot be written"):
        run.control.request("stop")
    assert not run.path.exists()


def test_a_folder_in_the_way_is_named(run: RunFolder):
    (run.control.folder / "stop" / "x").mkdir(parents=True)
    with pytest.raises(OutputError, match="stop: cannot be deleted"):
        Control(run.control.folder).clear()

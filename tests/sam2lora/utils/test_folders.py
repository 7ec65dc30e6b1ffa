import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sam2lora.errors import OutputError, SettingsError
from sam2lora.utils import folders
from sam2lora.utils.exchange import exchange
from sam2lora.utils.folders import new_folder, recover_folder, recover_folders, remove_folder


def write(path: Path, text: str, *, replace: bool = False) -> None:
    with new_folder(path, replace=replace) as partial:
        assert partial.parent == path.parent, "a rename must not cross file systems"
        (partial / "one.txt").write_text(text)
        (partial / "two.txt").write_text(text)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_new_folder_is_complete(tmp_path: Path):
    path = tmp_path / "deep" / "folder"
    write(path, "first")
    assert names(path.parent) == {"folder"}
    assert names(path) == {"one.txt", "two.txt"}


def test_existing_folder_is_replaced_only_on_request(tmp_path: Path):
    path = tmp_path / "folder"
    write(path, "first")
    with pytest.raises(OutputError, match="already exists"):
        write(path, "second")
    assert (path / "one.txt").read_text() == "first"
    write(path, "second", replace=True)
    assert (path / "two.txt").read_text() == "second"
    assert names(tmp_path) == {"folder"}


def fail_halfway(path: Path, *, replace: bool = False) -> None:
    with new_folder(path, replace=replace) as partial:
        (partial / "half.txt").write_text("half")
        raise ZeroDivisionError


def test_error_leaves_nothing_and_keeps_the_older_folder(tmp_path: Path):
    path = tmp_path / "folder"
    with pytest.raises(ZeroDivisionError):
        fail_halfway(path)
    assert names(tmp_path) == set()
    write(path, "first")
    with pytest.raises(ZeroDivisionError):
        fail_halfway(path, replace=True)
    assert (path / "one.txt").read_text() == "first"
    assert names(tmp_path) == {"folder"}


def test_failed_last_move_puts_the_older_folder_back(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(folders, "exchange", lambda *_: False)
    path = tmp_path / "folder"
    write(path, "first")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"folder: cannot be written \(Permission denied\)"):
        write(path, "second", replace=True)
    assert (path / "one.txt").read_text() == "first"
    assert names(tmp_path) == {"folder"}


WRITE = """
import sys
from pathlib import Path
from sam2lora.utils import folders
at, path = sys.argv[1], Path(sys.argv[2])
rename = Path.rename

def wait(where):
    if where == at:
        print("there", flush=True)
        sys.stdin.read()

def stop_there(self, target):
    if self.name.endswith(".partial"):
        wait("between the moves")
    done = rename(self, target)
    if self.name.endswith(".partial"):
        wait("after the moves")
    if self.name.endswith(".replaced"):
        wait("before the older one is deleted")
    return done

Path.rename = stop_there
folders.exchange = lambda *_: False
with folders.new_folder(path, replace=True) as partial:
    (partial / "one.txt").write_text("second")
    wait("in the block")
    (partial / "two.txt").write_text("second")
"""


def write_until(at: str, path: Path) -> "subprocess.Popen[bytes]":
    """Start a process that replaces a folder and waits in the middle of it."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", WRITE, at, str(path)]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
    assert process.stdout.readline().strip() == b"there"
    return process


def kill_while_writing(at: str, path: Path) -> None:
    with write_until(at, path) as process:
        process.kill()


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        ("in the block", "first"),
        ("between the moves", "first"),
        ("after the moves", "second"),
        ("before the older one is deleted", "second"),
    ],
)
def test_a_killed_process_leaves_one_whole_folder(tmp_path: Path, at: str, kept: str):
    path = tmp_path / "folder"
    write(path, "first")
    kill_while_writing(at, path)
    recover_folders(tmp_path)
    assert (path / "one.txt").read_text() == (path / "two.txt").read_text() == kept
    write(path, "third", replace=True)
    assert names(tmp_path) == {"folder"}


KILL = """
import os, signal, sys
from pathlib import Path
from sam2lora.utils import folders

def kill(event, arguments):
    if event == "os.rename" and os.fspath(arguments[0]).endswith((".partial", ".replaced")):
        os.kill(os.getpid(), signal.SIGKILL)

with folders.new_folder(Path(sys.argv[1]), replace=True) as partial:
    (partial / "one.txt").write_text("second")
    sys.addaudithook(kill)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows exchanges no folders")
def test_there_is_a_folder_at_every_moment(tmp_path: Path):
    path = tmp_path / "folder"
    write(path, "first")
    if not exchange(path, path):
        pytest.skip("this file system exchanges no folders")
    subprocess.run([sys.executable, "-c", KILL, str(path)], check=False)
    assert (path / "one.txt").read_text() in ("first", "second")


def test_the_next_writer_recovers_before_it_decides(tmp_path: Path):
    path = tmp_path / "folder"
    write(path, "first")
    kill_while_writing("between the moves", path)
    assert not path.exists()
    with pytest.raises(OutputError, match="already exists"):
        write(path, "third")
    assert (path / "one.txt").read_text() == "first"


def test_folders_of_killed_processes_are_deleted_by_the_next_writer_there(tmp_path: Path):
    kill_while_writing("in the block", tmp_path / "folder")
    assert (tmp_path / ".folder.partial").exists()
    (tmp_path / ".mine.partial").mkdir()
    with write_until("in the block", tmp_path / "living") as process:
        write(tmp_path / "another", "first")
        assert {".mine.partial", ".living.partial", "another"} <= names(tmp_path)
        assert ".folder.partial" not in names(tmp_path)
        process.stdin.close()
    assert names(tmp_path) == {".mine.partial", "living", "another"}


def test_removing_an_interrupted_folder_leaves_nothing_to_recover(tmp_path: Path):
    path = tmp_path / "folder"
    write(path, "first")
    kill_while_writing("between the moves", path)
    remove_folder(path)
    recover_folder(path)
    assert names(tmp_path) == set()


def test_a_live_writer_is_not_recovered(tmp_path: Path, monkeypatch):
    path = tmp_path / "folder"
    write(path, "first")
    monkeypatch.setattr(folders, "_TIMEOUT", 0.1)
    with write_until("between the moves", path) as process:
        with pytest.raises(OutputError, match="another process"):
            recover_folder(path)
        process.stdin.close()
    assert (path / "one.txt").read_text() == "second"
    assert names(tmp_path) == {"folder"}


def test_recovering_a_complete_folder_changes_nothing(tmp_path: Path, monkeypatch):
    write(tmp_path / "folder", "first")
    monkeypatch.setattr(folders, "FileLock", None)  # so no permission to write is needed
    recover_folder(tmp_path / "folder")
    recover_folders(tmp_path)
    assert names(tmp_path) == {"folder"}


def refuse_foreign(path: Path) -> None:
    if names(path) != {"one.txt", "two.txt"}:
        raise SettingsError("That is not ours.")


def test_folder_refused_by_the_check_is_not_replaced(tmp_path: Path):
    path = tmp_path / "folder"
    write(path, "first")
    with new_folder(path, replace=True, check=refuse_foreign) as partial:
        (partial / "mine.txt").write_text("mine")
    with (
        pytest.raises(SettingsError, match="not ours"),
        new_folder(path, replace=True, check=refuse_foreign),
    ):
        raise AssertionError("the work has begun")
    assert names(path) == {"mine.txt"}


@pytest.mark.parametrize("replace", [True, False])
def test_folder_created_meanwhile_is_not_replaced(tmp_path: Path, replace: bool):
    path = tmp_path / "folder"

    def write_slowly() -> None:
        with new_folder(path, replace=replace, check=refuse_foreign):
            path.mkdir()

    with pytest.raises((OutputError, SettingsError), match=r"already exists|not ours"):
        write_slowly()
    assert names(tmp_path) == {"folder"}
    assert names(path) == set()


@pytest.mark.skipif(os.name == "nt", reason="Windows syncs only what may be written")
def test_nested_and_read_only_files_are_synced(tmp_path: Path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(os.fstat(file).st_ino), fsync(file))
    )
    with new_folder(tmp_path / "folder") as partial:
        (partial / "deep").mkdir()
        file = partial / "deep" / "one.txt"
        file.write_text("one")
        file.chmod(0o444)
    assert (tmp_path / "folder" / "deep" / "one.txt").stat().st_ino in synced
    assert tmp_path.stat().st_ino in synced


def test_folder_is_removed_whole_or_not_at_all(tmp_path: Path):
    write(tmp_path / "folder", "first")
    remove_folder(tmp_path / "folder")
    assert names(tmp_path) == set()
    with pytest.raises(OutputError, match="No such file"):
        remove_folder(tmp_path / "folder")


def test_two_writers_take_turns(tmp_path: Path):
    path = tmp_path / "folder"

    def work(text: str) -> None:
        for _ in range(10):
            write(path, text, replace=True)

    threads = [threading.Thread(target=work, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (path / "one.txt").read_text() == (path / "two.txt").read_text()
    assert names(tmp_path) == {"folder"}


def test_a_writer_that_never_ends_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(folders, "_TIMEOUT", 0.1)
    with new_folder(tmp_path / "folder"):
        write(tmp_path / "another", "first")
        with pytest.raises(OutputError, match="folder: another process"):
            write(tmp_path / "folder", "first")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_unwritable_folder_is_named(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match=str(tmp_path)):
        write(tmp_path / "folder", "first")

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sam2lora.errors import AdapterError, OutputError
from sam2lora.utils import folders
from sam2lora.utils.folders import new_folder, remove_folder, repair


def write(path: Path, text: str, *, replace: bool = False) -> None:
    with new_folder(path, replace=replace) as partial:
        assert partial.parent == path.parent, "a rename must not cross file systems"
        (partial / "one.txt").write_text(text)
        (partial / "two.txt").write_text(text)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"}


def test_a_folder_appears_whole(tmp_path: Path):
    path = tmp_path / "deep" / "folder"
    write(path, "first")
    assert visible(path.parent) == {"folder"}
    assert visible(path) == {"one.txt", "two.txt"}


def test_an_older_one_is_replaced_only_on_request(tmp_path: Path):
    path = tmp_path / "folder"
    write(path, "first")
    with pytest.raises(AdapterError, match="is there already"):
        write(path, "second")
    assert (path / "one.txt").read_text() == "first"
    write(path, "second", replace=True)
    assert (path / "two.txt").read_text() == "second"
    assert visible(tmp_path) == {"folder"}


def fail_halfway(path: Path, *, replace: bool = False) -> None:
    with new_folder(path, replace=replace) as partial:
        (partial / "half.txt").write_text("half")
        raise ZeroDivisionError


def test_an_error_leaves_nothing_and_keeps_the_older_one(tmp_path: Path):
    path = tmp_path / "folder"
    with pytest.raises(ZeroDivisionError):
        fail_halfway(path)
    assert visible(tmp_path) == set()
    write(path, "first")
    with pytest.raises(ZeroDivisionError):
        fail_halfway(path, replace=True)
    assert (path / "one.txt").read_text() == "first"
    assert visible(tmp_path) == {"folder"}


def test_a_failed_last_move_puts_the_older_one_back(tmp_path: Path, monkeypatch):
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
    assert visible(tmp_path) == {"folder"}


CUT_OFF = """
import os, sys
from pathlib import Path
from sam2lora.utils import folders
at, path = sys.argv[1], Path(sys.argv[2])
rename = Path.rename

def cut_off(self, target):
    if at == "before" and self.name.endswith(".partial"):
        os._exit(9)  # between the two moves
    done = rename(self, target)
    if at == "after" and self.name.endswith(".partial"):
        os._exit(9)
    return done

Path.rename = cut_off
with folders.new_folder(path, replace=True) as partial:
    (partial / "one.txt").write_text("second")
    (partial / "two.txt").write_text("second")
"""


@pytest.mark.parametrize(("at", "kept"), [("before", "first"), ("after", "second")])
def test_a_computer_that_stops_leaves_one_whole_folder(tmp_path: Path, at: str, kept: str):
    path = tmp_path / "folder"
    write(path, "first")
    done = subprocess.run([sys.executable, "-c", CUT_OFF, at, str(path)], check=False)
    assert done.returncode == 9
    repair(tmp_path)
    assert (path / "one.txt").read_text() == (path / "two.txt").read_text() == kept
    write(path, "third", replace=True)
    assert visible(tmp_path) == {"folder"}


def test_mending_what_is_whole_changes_nothing(tmp_path: Path):
    write(tmp_path / "folder", "first")
    (tmp_path / ".lock").unlink(missing_ok=True)
    repair(tmp_path)
    assert visible(tmp_path) == {"folder"}
    assert not (tmp_path / ".lock").exists(), "nothing to mend needs no lock, so no permission"


def test_removing_is_all_or_nothing(tmp_path: Path):
    write(tmp_path / "folder", "first")
    remove_folder(tmp_path / "folder")
    assert visible(tmp_path) == set()
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
    assert visible(tmp_path) == {"folder"}


def test_a_writer_that_never_ends_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(folders, "_PATIENCE", 0.1)
    with folders.locked(tmp_path), pytest.raises(OutputError, match="another process"):
        write(tmp_path / "folder", "first")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match=str(tmp_path)):
        write(tmp_path / "folder", "first")

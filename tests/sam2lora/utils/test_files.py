"""Files are written atomically, and what cannot be written is reported."""

import errno
import os
from pathlib import Path

import pytest

from sam2lora.errors import OutputError
from sam2lora.utils.files import atomic_path, durable_path, make_folder, sha256_of


def test_written_file_is_complete_and_leaves_no_other(tmp_path: Path) -> None:
    target = tmp_path / "mask.png"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_error_keeps_the_older_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("older")
    with pytest.raises(UnicodeEncodeError), atomic_path(target) as temporary:
        temporary.write_text("half \udcff", encoding="utf-8")
    assert target.read_text() == "older"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with pytest.raises(OutputError, match=r"a\.bin.*No space left") as caught, atomic_path(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "--out" not in str(caught.value)  # not every command has it
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_full_device_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="No space left"),
        atomic_path(tmp_path / "a.bin"),
        Path("/dev/full").open("wb") as device,
    ):
        device.write(b"x" * 10_000)


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    plain = tmp_path / "plain.txt"
    plain.write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == plain.stat().st_mode


def test_other_threads_keep_their_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The umask belongs to the process: setting it, even to read it, affects other threads."""
    calls: list[int] = []
    monkeypatch.setattr(os, "umask", lambda mask: calls.append(mask) or 0)
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert not calls


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_folder_or_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        make_folder(tmp_path / "file" / "out")
    with pytest.raises(OutputError, match="no-such"), atomic_path(tmp_path / "no-such" / "a.txt"):
        pass


def test_folders_are_created_with_their_parents(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    make_folder(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_write_error_ends_with_the_advice_of_the_caller(tmp_path: Path):
    with (
        pytest.raises(OutputError, match=r"No space left.*there\. Then run it again\.$"),
        durable_path(tmp_path / "a.json", advice="Then run it again."),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match="No such file"), durable_path(tmp_path / "no" / "a"):
        pass


def test_folder_that_cannot_be_synced_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(handle: int) -> None:
        if os.fstat(handle).st_ino == tmp_path.stat().st_ino:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(OutputError, match=r"a\.json.*Input/output"),
        durable_path(tmp_path / "a.json") as temporary,
    ):
        temporary.write_text("{}")


def test_errors_of_the_caller_are_not_changed(tmp_path: Path):
    with pytest.raises(OutputError, match=r"^mine$"), durable_path(tmp_path / "a.json"):
        raise OutputError("mine")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", ["a" * 251, "é" * 125, "a" * 100])
def test_temporary_name_is_no_longer_than_the_name(tmp_path: Path, stem: str) -> None:
    path = tmp_path / f"{stem}.png"
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]

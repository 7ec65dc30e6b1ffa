import errno
import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import ModelError, OutputError
from sam2lora.utils import download as module
from sam2lora.utils.download import cache_folder, check_file, download, is_offline

CONTENT = np.random.default_rng(0).bytes(3_000_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file.pt"


@pytest.fixture
def server(file_server):
    file_server.content = CONTENT
    return file_server


def fetch(server, target: Path, *, size: int | None = len(CONTENT), progress=None) -> Path:
    return download(
        server.url,
        target,
        sha256=SHA256,
        size=size,
        progress=progress or module.ignore_progress,
        pause=0,
    )


def leftovers(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {"file.pt.lock"}


def test_file_is_downloaded_once_with_progress(server, target: Path):
    seen = []
    fetch(server, target, progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == {"file.pt"}
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    fetch(server, target)
    assert len(server.ranges) == 1


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_download_resumes_after_a_lost_connection(server, target: Path, size: int | None):
    server.behaviors = ["break off", "break off"]
    fetch(server, target, size=size)
    assert target.read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert server.ranges[:2] == [None, f"bytes={half}-"]
    assert len(server.ranges) == 3


def test_download_resumes_after_the_user_stopped_it(server, target: Path):
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, target, progress=stop)
    assert leftovers(target) == {"file.pt.part"}
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges[1] == f"bytes={1 << 20}-"


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("second", ["ignore range", "wrong place", "503", "429"])
def test_download_restarts_if_the_server_does_not_resume(server, target: Path, second: str, size):
    server.behaviors = ["break off", second]
    fetch(server, target, size=size)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), None])
@pytest.mark.parametrize("lies", [1, 9])
def test_announced_length_that_is_too_long_is_ignored(
    server, target: Path, lies: int, size: int | None
):
    server.behaviors = ["promise more"] * lies
    fetch(server, target, size=size)
    assert target.read_bytes() == CONTENT


def test_complete_file_with_false_length_passes_by_checksum(server, target: Path):
    server.behaviors = ["promise more, ignore range"] * 9
    fetch(server, target, size=None)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 1 + 4


def test_announced_length_that_is_too_short_is_refused(server, target: Path):
    server.behaviors = ["promise less"]
    half = len(CONTENT) // 2
    with pytest.raises(ModelError, match=f"{half} bytes, {len(CONTENT)} bytes expected"):
        fetch(server, target)
    assert leftovers(target) == {"file.pt.rejected"}


def test_unknown_length_is_accepted(server, target: Path):
    seen = []
    server.behaviors = ["tell nothing"]
    fetch(server, target, size=None, progress=lambda done, total: seen.append(total))
    assert target.read_bytes() == CONTENT
    assert set(seen) == {None}


def test_wrong_file_is_moved_aside_and_downloaded_from_the_start(server, target: Path):
    server.content = wrong = CONTENT[:-1] + b"?"
    with pytest.raises(ModelError) as caught:
        fetch(server, target)
    assert SHA256 in str(caught.value)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert "file.pt.rejected" in str(caught.value)
    assert leftovers(target) == {"file.pt.rejected"}
    server.content = CONTENT
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_endless_file_is_cut_off(server, target: Path):
    server.content = CONTENT + bytes(20_000_000)
    with pytest.raises(ModelError, match="not the right file"):
        fetch(server, target)
    assert (target.parent / "file.pt.rejected").stat().st_size < len(CONTENT) + 2 * (1 << 20)


def test_not_found_is_reported_at_once(server, target: Path):
    server.behaviors = ["404"]
    with pytest.raises(ModelError, match="404"):
        fetch(server, target)
    assert len(server.ranges) == 1
    assert not target.exists()


def test_failing_server_is_given_up_and_received_bytes_are_kept(server, target: Path):
    server.behaviors = ["break off", *["503"] * 9]
    with pytest.raises(ModelError, match=f"503.*{len(CONTENT) // 2} bytes were received") as caught:
        fetch(server, target)
    assert len(server.ranges) == 1 + 4
    assert str(target) in str(caught.value)
    server.behaviors = []
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={len(CONTENT) // 2}-"


def test_missing_connection_is_explained(target: Path):
    with pytest.raises(ModelError, match=r"no connection to 127.0.0.1.*put it at"):
        download("http://127.0.0.1:9/file.pt", target, sha256=SHA256, pause=0)


def test_complete_partial_file_is_only_verified(server, target: Path):
    target.parent.mkdir()
    (target.parent / "file.pt.part").write_bytes(CONTENT)
    fetch(server, target, size=None)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_partial_file_of_another_download_is_refused(server, target: Path):
    target.parent.mkdir()
    (target.parent / "file.pt.part").write_bytes(bytes(1000))
    with pytest.raises(ModelError, match="not the right file"):
        fetch(server, target)
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_concurrent_downloads_happen_once(server, target: Path):
    threads = [threading.Thread(target=fetch, args=(server, target)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 1


def test_waiting_for_another_download_can_be_stopped(server, target: Path):
    target.parent.mkdir()
    (target.parent / "file.pt.part").write_bytes(bytes(10))
    seen = []

    def stop(done: int, total: int | None) -> None:
        seen.append((done, total))
        raise KeyboardInterrupt

    with (
        module.FileLock(target.parent / "file.pt.lock"),
        pytest.raises(KeyboardInterrupt),
    ):
        fetch(server, target, progress=stop)
    assert seen == [(10, len(CONTENT))]
    assert server.ranges == []


def test_full_disk_is_noticed_before_the_download(
    server, target: Path, monkeypatch: pytest.MonkeyPatch
):
    class Usage:
        free = 1000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(OutputError, match=r"no space left.*SAM2LORA_CACHE"):
        fetch(server, target)


def test_disk_that_fills_up_is_explained(server, target: Path, monkeypatch: pytest.MonkeyPatch):
    real = Path.open

    def open_nearly_full(self: Path, *args, **kwargs):
        stream = real(self, *args, **kwargs)
        if self.suffix != ".part" or args[0] == "rb":
            return stream
        return NearlyFull(stream)

    class NearlyFull:
        def __init__(self, stream) -> None:
            self.stream = stream

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def write(self, block: bytes) -> None:
            if self.stream.tell():
                raise OSError(errno.ENOSPC, "No space left on device")
            self.stream.write(block)

        def flush(self) -> None:
            self.stream.flush()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_nearly_full)
        with pytest.raises(OutputError, match="no space left"):
            fetch(server, target)
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={1 << 20}-"


def test_unwritable_folder_is_named(server, tmp_path: Path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(OutputError, match="cache"):
        fetch(server, tmp_path / "cache" / "file.pt")


def test_check_file_keeps_the_right_file(tmp_path: Path):
    path = tmp_path / "file.pt"
    path.write_bytes(CONTENT)
    check_file(path, sha256=SHA256, size=None, aside=tmp_path / "aside")
    assert path.exists()


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAM2LORA_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SAM2LORA_CACHE")
    assert "napari-sam2lora" in str(cache_folder())


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_offline_follows_the_environment(
    value: str, offline: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAM2LORA_OFFLINE", value)
    assert is_offline() is offline

"""Fetch a large file once: resumed after a broken connection, checked, and moved into place whole.

Nothing here imports torch.
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import requests
from filelock import FileLock, Timeout

from sam2lora.errors import ModelError, OutputError
from sam2lora.utils.files import make_folder, sha256_of

Progress = Callable[[int, int | None], None]
"""Called with the bytes there are and the bytes expected, if known. Raising stops the download."""

_BLOCK = 1 << 20
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of the answer


def cache_folder() -> Path:
    """Give the folder of downloaded models (`SAM2LORA_CACHE` overrides the platform's place)."""
    override = os.environ.get("SAM2LORA_CACHE")
    return Path(override) if override else platformdirs.user_cache_path("napari-sam2lora")


def is_offline() -> bool:
    """Tell whether `SAM2LORA_OFFLINE` forbids downloads (any value but empty, 0, false or no)."""
    return os.environ.get("SAM2LORA_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def ignore_progress(done: int, total: int | None) -> None:
    """Show nothing."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: Progress = ignore_progress,
    attempts: int = 4,
    pause: float = 1.0,
) -> Path:
    """Fetch `url` to `path`, unless the file is there already.

    What has arrived is kept as `<path>.part`, and the next attempt, now or another day, asks only
    for the rest. A second process that wants the same file waits for the first.

    Parameters
    ----------
    url
        Where the file is.
    path
        Where it goes; the folder is made.
    sha256
        Its checksum in hexadecimal. A file with another one is kept aside and never used.
    size
        Its length in bytes, if known.
    progress
        Told about every megabyte.
    attempts
        How often in a row the connection may break without a byte having arrived.
    pause
        Seconds before the second of these attempts, doubled for each one after it.

    Raises
    ------
    ModelError
        If the server does not give the file, or gives another one.
    OutputError
        If the disk does not take it.
    """
    make_folder(path.parent)
    part = _part_path(path)
    lock = FileLock(path.with_name(path.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1.0)
        except Timeout:
            # Another process downloads: show how far it is. This is also where a user can stop.
            progress(_length(part), size)
    try:
        if not path.exists():
            _fetch(
                url,
                path,
                sha256=sha256,
                size=size,
                progress=progress,
                attempts=attempts,
                pause=pause,
            )
            check_file(part, sha256=sha256, size=size, aside=rejected_path(path))
            part.replace(path)
    finally:
        lock.release()
    return path


def rejected_path(path: Path) -> Path:
    """Give the name under which a wrong `path` is kept aside."""
    return path.with_name(path.name + ".rejected")


def check_file(path: Path, *, sha256: str, size: int | None, aside: Path) -> None:
    """Prove that `path` is the right file, or move it to `aside`.

    Raises
    ------
    ModelError
        If it is another file; the message says what was found and expected.
    """
    found = sha256_of(path)
    if found == sha256:
        return
    length = _length(path)
    path.replace(aside)
    wanted = "" if size is None or size == length else f", {size} bytes expected"
    raise ModelError(
        f"{path.name.removesuffix('.part')} is not the right file, so it was kept aside as {aside} "
        f"and is not used. Found: {length} bytes{wanted}, SHA-256 {found}. Expected: SHA-256 "
        f"{sha256}. Download it again; if that fails too, something between you and the server "
        "changes the file."
    )


class _BrokenError(Exception):
    """The connection broke; another attempt may continue."""


def _fetch(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int | None,
    progress: Progress,
    attempts: int,
    pause: float,
) -> None:
    """Bring all of `url` into `<path>.part`, continuing as long as bytes arrive."""
    part = _part_path(path)
    most, failures = _length(part), 0
    while size is None or _length(part) < size:
        try:
            _continue(url, part, size=size, progress=progress)
        except _BrokenError as error:
            have = _length(part)
            failures = 0 if have > most else failures + 1
            most = max(most, have)
            if failures < attempts:
                time.sleep(pause * 2 ** max(failures - 1, 0))
                continue
            if have and sha256_of(part) == sha256:
                return  # all is there; only the length the server told was wrong
            raise ModelError(
                f"{url} could not be downloaded: {error}. {have} bytes have arrived and are kept; "
                "run the same again to continue. Without a connection, fetch the file on another "
                f"computer and put it at {path}."
            ) from error
        return


def _continue(url: str, part: Path, *, size: int | None, progress: Progress) -> None:
    """Ask once for what is missing and append it."""
    have = _length(part)
    # Compressed on the way, the bytes could not be counted.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:
                return  # nothing comes after what is here; the checksum decides
            start = _start(url, answer, have, part)
            coming = _announced(answer)
            total = size or (None if coming is None else start + coming)
            if total is not None:
                _check_space(part, total - start)
            _write(answer, part, start=start, total=total, limit=size, progress=progress)
    except requests.RequestException as error:
        raise _BrokenError(_in_words(error, url)) from error


def _start(url: str, answer: requests.Response, have: int, part: Path) -> int:
    """Read from the answer's head at which byte it starts."""
    code = answer.status_code
    if code == 429 or code >= 500:
        raise _BrokenError(f"the server answered {code} {answer.reason}")
    if code not in (200, 206):
        raise ModelError(
            f"{url} could not be downloaded: the server answered {code} {answer.reason}."
        )
    if code == 200:
        return 0  # the server does not resume
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        part.unlink(missing_ok=True)
        raise _BrokenError("the server continued at another place than asked")
    return have


def _write(
    answer: requests.Response,
    part: Path,
    *,
    start: int,
    total: int | None,
    limit: int | None,
    progress: Progress,
) -> None:
    """Write the body of an answer, up to just above `limit` bytes: more is the wrong file."""
    done = start
    # Otherwise urllib3 drops the last bytes before a break; whether all came is checked below.
    answer.raw.enforce_content_length = False
    with _disk_errors(part):
        stream = part.open("ab" if start else "wb")
    with stream:
        for block in answer.iter_content(_BLOCK):
            with _disk_errors(part):
                stream.write(block)
                stream.flush()
            done += len(block)
            progress(done, total)
            if limit is not None and done > limit:
                return
    if done - start < (_announced(answer) or 0):
        raise _BrokenError("the connection broke")


def _announced(answer: requests.Response) -> int | None:
    """Read how many bytes an answer says it has."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Name the file in errors of the disk; those of the network are OSErrors too."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(path) from error
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _check_space(part: Path, needed: int) -> None:
    if shutil.disk_usage(part.parent).free < needed:
        raise _no_space(part)


def _no_space(path: Path) -> OutputError:
    return OutputError(
        f"{path.parent}: no space left on this disk for {path.name}. Free some and run the same "
        "again to continue, or set SAM2LORA_CACHE to a folder on another disk."
    )


def _in_words(error: requests.RequestException, url: str) -> str:
    host = urlsplit(url).hostname
    if isinstance(error, requests.exceptions.SSLError):
        return f"{host} has no certificate that this computer trusts"
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return f"{host} did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"there is no connection to {host}"
    return str(error)


def _part_path(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

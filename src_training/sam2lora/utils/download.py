"""Download a large file: resumed after a lost connection, verified, then moved into place.

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

DownloadProgress = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes expected, if known; raising stops the download."""

_BLOCK = 1 << 20
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two blocks of the response


def cache_folder() -> Path:
    """Return the folder of downloaded models (`SAM2LORA_CACHE` overrides the default)."""
    override = os.environ.get("SAM2LORA_CACHE")
    return Path(override) if override else platformdirs.user_cache_path("napari-sam2lora")


def is_offline() -> bool:
    """Check whether `SAM2LORA_OFFLINE` forbids downloads (any value but empty, 0, false or no)."""
    return os.environ.get("SAM2LORA_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def ignore_progress(done: int, total: int | None) -> None:
    """Do nothing; the default of `progress`."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: DownloadProgress = ignore_progress,
    attempts: int = 4,
    pause: float = 1.0,
) -> Path:
    """Download `url` to `path`, unless the file already exists.

    An incomplete download is kept as `<path>.part`, and the next attempt, now or later, requests
    only the rest. A second process that downloads the same file waits for the first.

    Parameters
    ----------
    url
        Address of the file.
    path
        Where to write it; its folder is created.
    sha256
        Its checksum in hexadecimal. A file with another one is moved aside and never used.
    size
        Its size in bytes, if known.
    progress
        Called after every megabyte.
    attempts
        Number of consecutive attempts that may fail without receiving a byte.
    pause
        Seconds before the second of these attempts, doubled for each further one.

    Raises
    ------
    ModelError
        If the server does not deliver the file, or delivers another one.
    OutputError
        If the file cannot be written.
    """
    make_folder(path.parent)
    part = _part_path(path)
    lock = FileLock(path.with_name(path.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1.0)
        except Timeout:
            # Another process downloads: report its progress, and let `progress` stop the wait.
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
    """Return the path to which a wrong file is moved."""
    return path.with_name(path.name + ".rejected")


def check_file(path: Path, *, sha256: str, size: int | None, aside: Path) -> None:
    """Verify that `path` is the right file, or move it to `aside`.

    Raises
    ------
    ModelError
        If it is another file; the message says what was found and what was expected.
    """
    found = sha256_of(path)
    if found == sha256:
        return
    length = _length(path)
    path.replace(aside)
    expected = "" if size is None or size == length else f", {size} bytes expected"
    raise ModelError(
        f"{path.name.removesuffix('.part')} is not the right file, so it was moved to {aside} "
        f"and is not used. Found: {length} bytes{expected}, SHA-256 {found}. Expected: SHA-256 "
        f"{sha256}. Download it again; if that fails too, something between you and the server "
        "changes the file."
    )


class _BrokenError(Exception):
    """The connection was lost; another attempt may continue."""


def _fetch(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int | None,
    progress: DownloadProgress,
    attempts: int,
    pause: float,
) -> None:
    """Download all of `url` into `<path>.part`, resuming as long as bytes arrive."""
    part = _part_path(path)
    most, failures = _length(part), 0
    while size is None or _length(part) < size:
        try:
            _resume(url, part, size=size, progress=progress)
        except _BrokenError as error:
            have = _length(part)
            failures = 0 if have > most else failures + 1
            most = max(most, have)
            if failures < attempts:
                time.sleep(pause * 2 ** max(failures - 1, 0))
                continue
            if have and sha256_of(part) == sha256:
                return  # complete; only the length the server announced was wrong
            raise ModelError(
                f"{url} could not be downloaded: {error}. {have} bytes were received and are kept; "
                "run the same again to resume. Without a connection, download the file on another "
                f"computer and put it at {path}."
            ) from error
        return


def _resume(url: str, part: Path, *, size: int | None, progress: DownloadProgress) -> None:
    """Request what is missing once, and append it."""
    have = _length(part)
    # With compression the bytes could not be counted.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == 416:
                return  # there is nothing after these bytes; the checksum decides
            start = _start(url, response, have, part)
            length = _announced(response)
            total = size or (None if length is None else start + length)
            if total is not None:
                _check_space(part, total - start)
            _write(response, part, start=start, total=total, limit=size, progress=progress)
    except requests.RequestException as error:
        raise _BrokenError(_describe(error, url)) from error


def _start(url: str, response: requests.Response, have: int, part: Path) -> int:
    """Return the byte at which a response starts, from its headers."""
    code = response.status_code
    if code == 429 or code >= 500:
        raise _BrokenError(f"the server responded {code} {response.reason}")
    if code not in (200, 206):
        raise ModelError(
            f"{url} could not be downloaded: the server responded {code} {response.reason}."
        )
    if code == 200:
        return 0  # the server does not resume
    if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        part.unlink(missing_ok=True)
        raise _BrokenError("the server resumed at another position than requested")
    return have


def _write(
    response: requests.Response,
    part: Path,
    *,
    start: int,
    total: int | None,
    limit: int | None,
    progress: DownloadProgress,
) -> None:
    """Write the body of a response, up to just above `limit` bytes: more is the wrong file."""
    done = start
    # Otherwise urllib3 drops the last bytes before an interruption; the length is checked below.
    response.raw.enforce_content_length = False
    with _disk_errors(part):
        stream = part.open("ab" if start else "wb")
    with stream:
        for block in response.iter_content(_BLOCK):
            with _disk_errors(part):
                stream.write(block)
                stream.flush()
            done += len(block)
            progress(done, total)
            if limit is not None and done > limit:
                return
    if done - start < (_announced(response) or 0):
        raise _BrokenError("the connection was lost")


def _announced(response: requests.Response) -> int | None:
    """Return the length a response announces, if it does."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk into OutputErrors; errors of the network are OSErrors too."""
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
        "again to resume, or set SAM2LORA_CACHE to a folder on another disk."
    )


def _describe(error: requests.RequestException, url: str) -> str:
    host = urlsplit(url).hostname
    if isinstance(error, requests.exceptions.SSLError):
        return f"{host} has no certificate that this computer trusts"
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return f"{host} did not respond in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was lost"
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

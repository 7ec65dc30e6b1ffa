"""Run a function in a worker thread, and handle its result on the main thread."""

from collections.abc import Callable
from typing import TypeVar

from napari.qt.threading import create_worker
from qtpy.compat import isalive
from qtpy.QtCore import QObject

from sam2lora.errors import Sam2LoraError

T = TypeVar("T")


def in_background(
    owner: QObject,
    work: Callable[[], T],
    done: Callable[[T], None],
    failed: Callable[[Sam2LoraError], None] | None = None,
    ended: Callable[[], None] | None = None,
) -> None:
    """Run `work` in a worker thread; the other functions are called on the main thread.

    Parameters
    ----------
    owner
        Object that needs the result; if Qt has deleted it, nothing is called.
    work
        Called in the worker thread; it must not touch layers or widgets.
    done
        Called with the result.
    failed
        Called with an error that a user can cause. Any other error is raised on the main thread, as
        is every error without this function.
    ended
        Called last, whether `work` succeeded or failed.
    """

    def end() -> None:
        if ended is not None and isalive(owner):
            ended()

    def returned(result: T) -> None:
        try:
            if isalive(owner):
                done(result)
        finally:
            end()

    def errored(error: Exception) -> None:
        try:
            if failed is None or not isinstance(error, Sam2LoraError):
                raise error
            if isalive(owner):
                failed(error)
        finally:
            end()

    worker = create_worker(
        work,
        _start_thread=False,
        _ignore_errors=True,
        _connect={"returned": returned, "errored": errored},
    )
    worker.start()

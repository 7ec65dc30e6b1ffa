"""Do something in a thread, and then something in the window with what came of it."""

from collections.abc import Callable
from typing import TypeVar

from napari.qt.threading import create_worker
from qtpy.compat import isalive
from qtpy.QtCore import QObject

from sam2lora.errors import Sam2LoraError

Result = TypeVar("Result")


def in_background(
    owner: QObject,
    work: Callable[[], Result],
    done: Callable[[Result], None],
    failed: Callable[[Sam2LoraError], None] | None = None,
    ended: Callable[[], None] | None = None,
) -> None:
    """Work in a thread of its own.

    Parameters
    ----------
    owner
        Who wants it: if that is gone meanwhile, nobody is told.
    work
        Called there; it must not touch layers or widgets.
    done
        Called in the window's thread with what came of it.
    failed
        Called there with an error a user can cause; any other is raised there.
    ended
        Called there last of all, whatever came of it, so that nobody waits for it any more.
    """

    def end() -> None:
        if ended is not None and isalive(owner):
            ended()

    def returned(result: Result) -> None:
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

"""Show how many images are done, at which rate, and how long the others take."""

import time
from typing import Self

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

_LINE_EVERY = 60.0  # seconds


class RateColumn(ProgressColumn):
    """Images in a second, or seconds for an image."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        return Text(rate_text(task.finished_speed or task.speed))


def rate_text(rate: float | None) -> str:
    """Return a rate as text: images in a second, or seconds for an image."""
    if not rate:
        return ""
    return f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"


class ImageBar:
    """A bar on a terminal, from when it is entered.

    Parameters
    ----------
    title
        What is done with the images.
    lines
        Whether to print a line every minute where there is no terminal.
    """

    def __init__(self, title: str, *, lines: bool = False) -> None:
        console = Console(stderr=True)
        self._title = title
        self._bar = Progress(
            *Progress.get_default_columns()[:2],
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None)
        self._furthest = 0.0
        self._start = self._printed = time.monotonic()
        self._lines = lines and not console.is_terminal

    def __enter__(self) -> Self:
        self._bar.start()
        self._start = self._printed = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: float, total: int) -> None:
        """Show how many images are done, the share of the current one included.

        A cropped image is predicted twice and counts from 0 again, which is not shown.
        """
        self._furthest = max(self._furthest, done)
        self._bar.update(self._task, completed=self._furthest, total=total)
        now = time.monotonic()
        if self._lines and now - self._printed >= _LINE_EVERY:
            self._printed = now
            typer.echo(line_text(self._title, done, total, now - self._start), err=True)


def line_text(title: str, done: float, total: int, seconds: float) -> str:
    """Return how far the work is as a line, with the mean rate and the time left."""
    line = f"{title}: {done:.0f} of {total}"
    if not done or seconds <= 0:  # as where the clock ticks slowly
        return line
    rate = done / seconds
    return f"{line}, {rate_text(rate)}, {(total - done) / rate / 3600:.1f} h left"

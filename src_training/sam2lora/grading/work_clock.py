"""Count the time that is worked on an image, without the time in which nothing happens."""

from datetime import UTC, datetime, timedelta

from sam2lora.grading.entries import WorkEntry

IDLE = timedelta(seconds=60)
"""Longest time between two actions that counts as work: somebody looks at the image."""

PIECE = timedelta(seconds=30)
"""Length from which an interval is handed out, so that a killed process loses no more."""


class WorkClock:
    """Turns actions in a window into intervals of work; it has no timer, and writes nothing.

    Parameters
    ----------
    idle
        Longest time between two actions that counts as work.
    piece
        Length from which an interval is handed out.
    """

    def __init__(self, *, idle: timedelta = IDLE, piece: timedelta = PIECE) -> None:
        self._idle = idle
        self._piece = piece
        self._image: str | None = None
        self._start = self._last = datetime.min.replace(tzinfo=UTC)

    def act(self, image: str | None, now: datetime) -> list[WorkEntry]:
        """Note that something was done: a key, the mouse in the window, another image.

        Parameters
        ----------
        image
            Stem of the image that is shown from now on; None if none is, as when the window
            closes.
        now
            The time, in UTC.

        Returns
        -------
        Intervals that are complete, for `SessionGrader.write`; those of no length are left out.
        """
        ended = []
        pause = now < self._last or now - self._last > self._idle  # clocks can be set back
        if self._image is not None:
            end = self._last if pause else now
            if pause or image != self._image or end - self._start >= self._piece:
                if end > self._start:
                    ended.append(WorkEntry(image=self._image, start=self._start, end=end, time=now))
                self._start = now
        if self._image is None or pause:
            self._start = now
        self._image, self._last = image, now
        return ended

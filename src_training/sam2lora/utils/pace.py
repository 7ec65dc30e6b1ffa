"""When to write a file again that grows with the work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_EVERY = 20.0  # seconds between writings
_SHARE = 20  # times that a writing took, before the next


class Pace:
    """Whether it is time to write: every 20 seconds, and less often if that takes long."""

    def __init__(self) -> None:
        self._written, self._took = time.monotonic(), 0.0

    def is_due(self) -> bool:
        """Check whether it is time to write again."""
        return time.monotonic() - self._written > max(_EVERY, _SHARE * self._took)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Measure how long the block takes, which writes."""
        start = time.monotonic()
        yield
        self._written = time.monotonic()
        self._took = self._written - start

"""How a long call tells its caller how far it is."""

from collections.abc import Callable

Progress = Callable[[float, int], None]
"""Called with (steps done, steps in all); an exception it raises stops the call and reaches its
caller."""


def no_progress(done: float, total: int) -> None:
    """Ignore progress."""

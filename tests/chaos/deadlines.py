"""What must be so within some time."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_SECONDS = 0.05


class NotHeldError(Exception):
    """What should hold does not."""


def until(true: Callable[[], bool], what: str, *, seconds: float) -> float:
    """The time at which it was, looking every LOOK_SECONDS. Raises NotHeldError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise NotHeldError(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_SECONDS)
    return time.time()


def within(found_seconds: float, limit_seconds: float, what: str) -> float:
    """`found_seconds`, if it is no more than the limit. Raises NotHeldError."""
    if found_seconds > limit_seconds:
        raise NotHeldError(f"{what} took {found_seconds:.1f} s, more than {limit_seconds:g}")
    return found_seconds

"""Time limits of trials. CHAOS_TIME_FACTOR multiplies them, for a machine that other programs use as well."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

LOOK_SECONDS = 0.05
TIME_FACTOR = float(os.environ.get("CHAOS_TIME_FACTOR", "1"))


class NotHeldError(Exception):
    """A check of a trial failed."""


def until(true: Callable[[], bool], what: str, *, seconds: float) -> float:
    """Return the time at which it was true, within `seconds`. Raises NotHeldError."""
    limit = seconds * TIME_FACTOR
    deadline = time.monotonic() + limit
    while not true():
        if time.monotonic() > deadline:
            raise NotHeldError(f"not within {limit:g} s: {what}")
        time.sleep(LOOK_SECONDS)
    return time.time()


def within(found_seconds: float, limit_seconds: float, what: str) -> float:
    """Return `found_seconds`, if it is no more than the limit. Raises NotHeldError."""
    if found_seconds > (limit := limit_seconds * TIME_FACTOR):
        raise NotHeldError(f"{what} took {found_seconds:.1f} s, more than {limit:g}")
    return found_seconds

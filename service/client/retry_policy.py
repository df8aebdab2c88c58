"""Pauses between the tries of a request."""

from __future__ import annotations

import time

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 8.0


class RetryPolicy:
    """Pauses between tries: each twice as long as the one before, or what the server asks for; `seconds` in all."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._next = FIRST_SECONDS

    def pause(self, server_seconds: float | None = None) -> bool:
        """Sleep before another try. Return False at once if the pause would end after the deadline."""
        wanted = self._next if server_seconds is None else server_seconds
        self._next = min(2 * self._next, LONGEST_SECONDS)
        if time.monotonic() + wanted > self._deadline:
            return False
        time.sleep(wanted)
        return True

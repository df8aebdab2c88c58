"""How long to go on trying."""

from __future__ import annotations

import time

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 8.0


class Patience:
    """Pauses between tries, each twice as long as the one before or as long as the server asks, `seconds` in all."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._next = FIRST_SECONDS

    def pause(self, asked_seconds: float | None = None) -> bool:
        """Sleep before another try. False, at once, if that would take longer than there is patience for."""
        wanted = self._next if asked_seconds is None else asked_seconds
        self._next = min(2 * self._next, LONGEST_SECONDS)
        if time.monotonic() + wanted > self._deadline:
            return False
        time.sleep(wanted)
        return True

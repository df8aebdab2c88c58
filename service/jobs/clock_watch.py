"""Watch over Redis' clock: leases, deadlines and retention end by it, so a step of it is noticed and logged."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from service.contract.redis_clock import milliseconds

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

STEP_MS = 2000
"""Smaller differences are the network's, or slewing, which is harmless."""


class ClockWatch:
    """Comparison of Redis' clock with the monotonic clock of this process."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._offset_ms: float | None = None

    async def now(self) -> tuple[int, float]:
        """Return Redis' time in milliseconds, and how far it has stepped since the last call: negative for back.

        The step is 0 for the first call, and where it is smaller than STEP_MS or than the time that Redis took to reply.
        """
        before = time.monotonic()
        now = milliseconds(await self._client.time())
        after = time.monotonic()
        offset_ms = now - 1000 * (before + after) / 2
        known, self._offset_ms = self._offset_ms, offset_ms
        step_ms = 0.0 if known is None else offset_ms - known
        if abs(step_ms) < max(STEP_MS, 1000 * (after - before)):
            return now, 0.0
        logger.warning("the clock of Redis stepped by %+.1f s (docs/recovery.md, Redis' clock)", step_ms / 1000)
        return now, step_ms

"""Counter of refused submits: they count towards the rate limit of their owner, like accepted ones."""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any

from service.contract.redis_clock import milliseconds
from service.contract.redis_keys import owned_key
from service.errors import RateLimitedError

if TYPE_CHECKING:
    from redis.asyncio import Redis

MINUTE_MS = 60_000


class RefusalCounter:
    """Counter that adds refused submits to the owner's submits of the last minute.

    `transitions.lua` compares those with the limit.
    """

    def __init__(self, client: Redis, *, per_minute: int) -> None:
        self._client, self._per_minute = client, per_minute

    async def add(self, owner: str) -> None:
        """Count one refused submit. Raises RateLimitedError if the limit was reached before it."""
        if not self._per_minute:
            return
        now, submits = milliseconds(await self._client.time()), owned_key(owner, "submits")
        since = f"({now - MINUTE_MS}"
        recent: Any = await self._client.zrangebyscore(submits, since, "+inf", withscores=True)
        if (over := len(recent) - self._per_minute) >= 0:
            raise RateLimitedError(retry_after_seconds=math.ceil((recent[over][1] + MINUTE_MS - now) / 1000))
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.zadd(submits, {f"refused:{secrets.token_hex(8)}": now})
            pipeline.expire(submits, MINUTE_MS // 1000)
            await pipeline.execute()

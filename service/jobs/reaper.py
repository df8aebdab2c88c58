"""Reaper: the task that fails overdue jobs, and lets workers find each job that waits.

It returns the jobs of dead workers to the queue, and puts tickets into RQ if there are fewer than jobs that wait. It decodes
no record: it reads ids and counts, and its cost does not grow with the jobs that wait as they should.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from service.contract.logs import warn_once
from service.contract.redis_keys import (
    RETURNED,
    Keys,
    deadlines_key,
    owners_key,
    queued_key,
    running_key,
    waiting_key,
)
from service.contract.transitions import AsyncTransitions, Call, Outcome, Reply, expire, limit_lease, overdue, requeue
from service.jobs.clock_watch import ClockWatch

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.jobs.tickets import Tickets

logger = logging.getLogger(__name__)

GRACE_SECONDS = 60
"""A worker notices a passed deadline after its slice. One that has not by then is stuck."""

REPAIR_MS = 10_000
"""Time between two searches for queued jobs that no owner's queue has; each reads all queued jobs."""


class Reaper:
    """Reaper of some models. Several reapers of one Redis do no harm: a ticket without a waiting job does nothing."""

    def __init__(
        self,
        client: Redis,
        tickets: Tickets,
        *,
        models: Sequence[str],
        results: bool = False,
        stepped: Callable[[], None] = lambda: None,
    ) -> None:
        """`results`: whether ended jobs are in an object store. `stepped`: called when Redis' clock was set."""
        self._client, self._tickets, self._models, self._results = client, tickets, models, results
        self._transitions, self._clock, self._stepped = AsyncTransitions(client), ClockWatch(client), stepped
        self._leases_checked = False
        self._repaired: dict[str, int] = {}

    async def run(self, *, seconds: float) -> None:
        """Sweep every `seconds`, for ever."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.sweep()
            except RedisError as error:
                logger.warning("the reaper waits for Redis: %s", error)

    async def sweep(self) -> int:
        """Sweep all models once; return how many tickets were put."""
        now, step_ms = await self._clock.now()
        if step_ms:
            self._stepped()
        await self._transitions(expire(results=self._results))
        check_leases = step_ms < 0 or not self._leases_checked
        issued = 0
        for model in self._models:
            if check_leases:
                await self._limit_leases(model, now)
            await self._end_overdue(model, now)
            await self._requeue(model, now)
            issued += await self._put_tickets(model)
        self._leases_checked = True
        return issued

    async def _limit_leases(self, model: str, now: int) -> None:
        """Shorten the leases that a clock before a step back has made too long. A live worker renews its own."""
        jobs: Any = await self._client.zrangebyscore(running_key(model), now, "+inf")
        for job in jobs:
            await self._try(limit_lease(Keys(id=job.decode(), model=model)))

    async def _end_overdue(self, model: str, now: int) -> None:
        """Fail the jobs whose deadline has passed and that no worker is about to fail itself."""
        jobs: Any = await self._client.zrangebyscore(deadlines_key(model), "-inf", now)
        for job in jobs:
            keys = Keys(id=job.decode(), model=model)
            reply = await self._try(overdue(keys, grace_seconds=GRACE_SECONDS))
            if reply and reply.outcome is Outcome.DONE:
                logger.info("job %s is overdue", keys.id, extra={"job": keys.id})

    async def _requeue(self, model: str, now: int) -> None:
        """Return the jobs whose lease ran out to the queue, and queued jobs that are missing in it."""
        stranded: list[Any] = await self._client.zrangebyscore(running_key(model), "-inf", now)
        queued, _, listed = await self._counts(model)
        if queued > listed and now > self._repaired.get(model, 0) + REPAIR_MS:  # made by an earlier release
            stranded += await self._client.zrange(queued_key(model), 0, -1)
            self._repaired[model] = now
        returned = 0
        for job in stranded:
            reply = await self._try(requeue(Keys(id=job.decode(), model=model)))
            returned += reply is not None and reply.outcome is Outcome.DONE
        if returned:
            logger.info("%d jobs of %s returned to the queue", returned, model)

    async def _put_tickets(self, model: str) -> int:
        """Put as many tickets as are missing; return how many. One that is on its way may be counted as missing."""
        queued, returned, _ = await self._counts(model)
        missing = queued + returned - await self._tickets.waiting(model) if queued + returned else 0
        if missing > 0:
            await self._tickets.put(model, count=missing)
            logger.info("%d tickets of %s were missing", missing, model)
        return max(0, missing)

    async def _counts(self, model: str) -> tuple[int, int, int]:
        """Return how many jobs are queued, how many are returned, and how many the owners' queues have."""
        owners: list[Any] = await self._client.zrange(owners_key(model), 0, -1)
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.zcard(queued_key(model))
            pipeline.zcount(running_key(model), "+inf", "+inf")
            for owner in owners:
                if owner.decode() != RETURNED:
                    pipeline.zcard(waiting_key(model, owner.decode()))
            queued, returned, *listed = await pipeline.execute()
        return queued, returned, sum(listed)

    async def _try(self, call: Call) -> Reply | None:
        """Run a transition. One that Redis refuses, as of a damaged record, is logged once and keeps nobody else up."""
        try:
            return await self._transitions(call)
        except ResponseError as error:
            warn_once(__name__, f"{call.transition!r} of job {call.id!r} is skipped: {error}")
            return None

"""Reaper: the task that fails overdue jobs, and issues a new ticket for each job that waits without one.

Those are the jobs of dead workers, those whose ticket RQ lost, and those that nobody began in time. It decodes no record:
it reads ids and ticket numbers, and its cost does not grow with the jobs that wait as they should.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from service.contract.logs import warn_once
from service.contract.redis_keys import Keys, deadlines_key, queued_key, running_key
from service.contract.transitions import AsyncTransitions, Call, Outcome, Reply, expire, limit_lease, overdue, requeue
from service.jobs.clock_watch import ClockWatch

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.jobs.tickets import Tickets

logger = logging.getLogger(__name__)

GRACE_SECONDS = 60
"""A worker notices a passed deadline after its slice. One that has not by then is stuck."""


class Reaper:
    """Reaper of some models. Several reapers of one Redis do no harm: a ticket number is issued once."""

    def __init__(
        self,
        client: Redis,
        tickets: Tickets,
        *,
        models: Sequence[str],
        ticket_seconds: float,
        stepped: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._tickets, self._models = client, tickets, models
        self._transitions, self._clock, self._stepped = AsyncTransitions(client), ClockWatch(client), stepped
        self._ticket_ms = ticket_seconds * 1000
        self._leases_checked = False

    async def run(self, *, seconds: float) -> None:
        """Sweep every `seconds`, for ever."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.sweep()
            except RedisError as error:
                logger.warning("the reaper waits for Redis: %s", error)

    async def sweep(self) -> int:
        """Sweep all models once; return how many tickets were issued."""
        now, step_ms = await self._clock.now()
        if step_ms:
            self._stepped()
        await self._transitions(expire())
        check_leases = step_ms < 0 or not self._leases_checked
        issued = 0
        for model in self._models:
            if check_leases:
                await self._limit_leases(model, now)
            await self._end_overdue(model, now)
            issued += await self._requeue(model, now)
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

    async def _requeue(self, model: str, now: int) -> int:
        """Issue the next ticket of each job that waits without one; return how many."""
        issued = 0
        for job, ticket in await self._without_ticket(model, now):
            keys = Keys(id=job, model=model)
            reply = await self._try(requeue(keys, expected=ticket))
            if reply and reply.outcome is Outcome.DONE:
                await self._tickets.deliver(keys, int(reply.value), at_front=True)
                issued += 1
        if issued:
            logger.info("%d tickets of %s were issued again", issued, model)
        return issued

    async def _without_ticket(self, model: str, now: int) -> list[tuple[str, int]]:
        """Return the jobs without a lease that have no ticket in RQ, nor one so fresh that a worker may hold it."""
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.zrangebyscore(queued_key(model), "-inf", now - self._ticket_ms)
            pipeline.zrangebyscore(queued_key(model), now + self._ticket_ms, "+inf")  # before a step back of the clock
            pipeline.zrangebyscore(running_key(model), "-inf", now)
            found = await pipeline.execute()
        ids = [job.decode() for jobs in found for job in jobs]
        waiting = await self._tickets.waiting_jobs(model) if ids else frozenset()
        return await self._due([job for job in ids if job not in waiting], now)

    async def _due(self, ids: Sequence[str], now: int) -> list[tuple[str, int]]:
        """Return the jobs of `ids` whose last ticket is old enough, with its number."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for job in ids:
                pipeline.hmget(Keys(id=job, model="").record, "ticket", "ticketed_at")
            rows: list[Any] = await pipeline.execute(raise_on_error=False)
        numbered = ((job, row) for job, row in zip(ids, rows, strict=True) if isinstance(row, list) and None not in row)
        return [(job, int(ticket)) for job, (ticket, at) in numbered if abs(now - int(at)) >= self._ticket_ms]

    async def _try(self, call: Call) -> Reply | None:
        """Run a transition. One that Redis refuses, as of a damaged record, is logged once and keeps nobody else up."""
        try:
            return await self._transitions(call)
        except ResponseError as error:
            warn_once(__name__, f"{call.args[0]!r} of job {call.args[1]!r} is skipped: {error}")
            return None

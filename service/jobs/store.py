"""Jobs as the API sees them: submit, read, cancel, list. Record first, queue second; the record is the authority."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from service.contract.record import JobRecord
from service.contract.redis_clock import milliseconds
from service.contract.redis_keys import Keys, deadlines_key, is_job_id, owned_key, queued_key, running_key, ticket_id
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.contract.stream import Event, JobImages, SliceEntry, replay
from service.contract.transitions import (
    UNLIMITED,
    AsyncTransitions,
    Idempotency,
    Limits,
    Outcome,
    cancel,
    create,
    expire,
    overdue,
    requeue,
)
from service.errors import ConcurrencyLimitError, KeyReusedError, QueueFullError, RateLimitedError, UnknownJobError
from service.jobs.requester import JobOwner

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.jobs.requester import Requester
    from service.jobs.tickets import Tickets

logger = logging.getLogger(__name__)

CHUNK = 200
"""Ids read at a time when listing."""

GRACE_SECONDS = 60
"""A worker notices a passed deadline after its slice. One that has not by then is stuck."""

REFUSALS = {
    Outcome.FULL: QueueFullError,
    Outcome.RATE_LIMITED: RateLimitedError,
    Outcome.CONCURRENCY_LIMITED: ConcurrencyLimitError,
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some jobs, newest first, and where to go on."""

    records: tuple[JobRecord, ...]
    cursor: str | None


class Jobs:
    """All jobs in one Redis."""

    def __init__(
        self, client: Redis, tickets: Tickets, *, queue_bound: int, ticket_seconds: float, limits: Limits = UNLIMITED
    ) -> None:
        self._limits = limits
        self._client, self._tickets = client, tickets
        self._transitions = AsyncTransitions(client)
        self._queue_bound, self._ticket_ms = queue_bound, ticket_seconds * 1000

    async def submit(
        self, request: JobRequest, *, idempotency: Idempotency | None = None, start: Sequence[SliceEntry] = ()
    ) -> tuple[JobRecord, bool]:
        """The job as it stands, and whether it existed before. Raises KeyReusedError and what REFUSALS lists."""
        reply = await self._transitions(
            create(request, bound=self._queue_bound, limits=self._limits, idempotency=idempotency, start=start)
        )
        if refused := REFUSALS.get(reply.outcome):
            raise refused(retry_after_seconds=int(reply.value))
        if reply.outcome is Outcome.CLASH:
            raise KeyReusedError
        if reply.outcome is Outcome.REPLAY:
            return await self.get(reply.value, JobOwner(request.owner)), True
        await self._deliver(request.keys, ticket=1)
        return await self.get(request.id, JobOwner(request.owner)), False

    async def get(self, job: str, requester: Requester) -> JobRecord:
        """Return a job's record. Raises UnknownJobError, also for a job that `requester` may not see."""
        fields = await self._client.hgetall(Keys(id=job, model="").record) if is_job_id(job) else None
        record = JobRecord.decode(fields) if fields else None
        if record is None or not requester.may_see(record.request):
            raise UnknownJobError(job)
        return record

    async def cancel(self, job: str, *, owner: str) -> tuple[JobRecord, bool]:
        """The job as it stands now, and whether a worker has still to stop it. Raises UnknownJobError."""
        record = await self.get(job, JobOwner(owner))
        reply = await self._transitions(cancel(record.request.keys))
        return await self.get(job, JobOwner(owner)), reply.outcome is Outcome.CANCELING

    async def events(self, request: JobRequest, *, after: str = "-", until: str = "+") -> list[Event]:
        """What happened between two stream ids: not `after` itself, but `until`."""
        start = after if after == "-" else f"({after}"
        entries: Any = await self._client.xrange(request.keys.stream, start, until)
        return [Event.decode(entry, request.geometry) for entry in entries]

    async def images(self, request: JobRequest, *, until: str = "+") -> JobImages:
        """The pictures so far."""
        return replay(request, await self.events(request, until=until))

    async def page(self, *, owner: str, status: Status | None, limit: int, cursor: str | None) -> Page:
        """The newest `limit` jobs of `owner` before `cursor`."""
        records: list[JobRecord] = []
        async for record in self._newest(owner, cursor):
            if status in {None, record.status}:
                if len(records) == limit:
                    return Page(records=tuple(records), cursor=cursor_of(records[-1]))
                records.append(record)
        return Page(records=tuple(records), cursor=None)

    async def sweep(self, model: str) -> int:
        """End the jobs that are overdue, give every job that waits without a ticket a new one; how many that were."""
        await self._transitions(expire())
        await self._end_overdue(model)
        delivered = 0
        for record in await self._waiting(model):
            reply = await self._transitions(requeue(record.request.keys, expected=record.ticket))
            if reply.outcome is Outcome.DONE:
                await self._deliver(record.request.keys, ticket=int(reply.value), at_front=True)
                delivered += 1
        return delivered

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        self._tickets.close()

    async def _end_overdue(self, model: str) -> None:
        """Fail the jobs whose time is up and that no worker is about to fail itself."""
        ids: Any = await self._client.zrangebyscore(deadlines_key(model), "-inf", await self._now())
        for job in ids:
            keys = Keys(id=job.decode(), model=model)
            if (await self._transitions(overdue(keys, grace_seconds=GRACE_SECONDS))).outcome is Outcome.DONE:
                logger.info("job %s is overdue", keys.id)

    async def _waiting(self, model: str) -> list[JobRecord]:
        """Jobs that no worker holds, whose last ticket is not in the queue, nor so fresh that one may hold it."""
        now = await self._now()
        queued = await self._client.zrangebyscore(queued_key(model), "-inf", now - self._ticket_ms)
        running = await self._client.zrangebyscore(running_key(model), "-inf", now)
        records = await self._records([*queued, *running])
        tickets = await self._tickets.waiting(model) if records else frozenset()
        return [
            record
            for record in records
            if now - record.ticketed_at >= self._ticket_ms
            and ticket_id(record.request.id, record.ticket) not in tickets
        ]

    async def _deliver(self, keys: Keys, *, ticket: int, at_front: bool = False) -> None:
        """Hand the job to RQ. If that fails the record stands, and `sweep` delivers it later."""
        try:
            await self._tickets.put(keys.model, keys.id, ticket, at_front=at_front)
        except RedisError as error:
            logger.warning("ticket %d of job %s is late: %s", ticket, keys.id, error, extra={"job": keys.id})

    async def _newest(self, owner: str, cursor: str | None) -> AsyncIterator[JobRecord]:
        """All jobs of `owner` from just before `cursor`, newest first."""
        before, offset = (cursor or "+inf").partition(":")[0], 0
        while ids := await self._client.zrevrangebyscore(owned_key(owner, "jobs"), before, "-inf", offset, CHUNK):
            offset += CHUNK
            for record in await self._records(ids):
                if cursor is None or older(record, cursor):
                    yield record

    async def _records(self, ids: Sequence[Any]) -> list[JobRecord]:
        """The records that still exist."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for job in ids:
                pipeline.hgetall(Keys(id=job.decode(), model="").record)
            return [JobRecord.decode(fields) for fields in await pipeline.execute() if fields]

    async def _now(self) -> int:
        """Redis' clock, in milliseconds."""
        return milliseconds(await self._client.time())


def cursor_of(record: JobRecord) -> str:
    """Where a page that ends with `record` goes on."""
    return f"{record.created_at}:{record.request.id}"


def older(record: JobRecord, cursor: str) -> bool:
    """Whether `record` comes after the one of `cursor`, newest first; ids order those of one millisecond."""
    created, _, job = cursor.partition(":")
    return (record.created_at, record.request.id) < (int(created), job)

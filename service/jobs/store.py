"""Jobs as the API sees them: submit, read, cancel.

A job is in Redis until some minutes after its end, then in the object store alone, if there is one (`service.results`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from service.cells.cell_map import OtherCellError
from service.contract.logs import warn_once
from service.contract.record import Fields, JobRecord, UnreadableRecordError
from service.contract.redis_keys import PROBE, UNSTORED, Keys, is_job_id
from service.contract.request import JobRequest
from service.contract.stream import Event, JobImages, SliceEntry, decode_events, replay
from service.contract.transitions import (
    UNLIMITED,
    AsyncTransitions,
    Idempotency,
    Limits,
    Outcome,
    cancel,
    create,
    erase,
)
from service.errors import (
    ConcurrencyLimitError,
    KeyReusedError,
    QueueFullError,
    RateLimitedError,
    UnavailableError,
    UnknownJobError,
    UnreadableJobError,
)
from service.jobs.ended_images import EndedImages
from service.jobs.requester import JobOwner

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.jobs.requester import Requester
    from service.jobs.tickets import Tickets
    from service.results.object_store import Results
    from service.results.stored_job import StoredJob

logger = logging.getLogger(__name__)

UNAVAILABLE = (RedisError, UnavailableError)
"""Errors while Redis, or the object store, is not available."""

REFUSALS = {
    Outcome.FULL: QueueFullError,
    Outcome.RATE_LIMITED: RateLimitedError,
    Outcome.CONCURRENCY_LIMITED: ConcurrencyLimitError,
}


class Jobs:
    """Jobs in one Redis, and in its object store."""

    def __init__(  # noqa: PLR0913 - all but the first two by keyword
        self,
        client: Redis,
        tickets: Tickets,
        *,
        queue_bound: int,
        limits: Limits = UNLIMITED,
        weights: Mapping[str, int] = MappingProxyType({}),
        results: Results | None = None,
    ) -> None:
        """`limits` are those of each owner, but for its weight: `weights` has those that are not 1.

        `results`: the object store; None: jobs stay in Redis.
        """
        self._limits, self._weights, self._results = limits, weights, results
        self._client, self._tickets = client, tickets
        self._transitions = AsyncTransitions(client)
        self._queue_bound = queue_bound
        self._ended = EndedImages()

    async def submit(
        self,
        request: JobRequest,
        *,
        idempotency: Idempotency | None = None,
        start: Sequence[SliceEntry] = (),
        second: str = "",
    ) -> tuple[JobRecord, bool]:
        """Return the job, and whether it existed before. `second`: the cell that takes it if the queue here is full.

        Raises OtherCellError, KeyReusedError and the errors in REFUSALS.
        """
        limits = replace(self._limits, weight=self._weights.get(request.owner, 1))
        reply = await self._transitions(
            create(
                request,
                bound=self._queue_bound,
                limits=limits,
                idempotency=idempotency,
                start=start,
                second=second,
                results=self._results is not None,
                ticket=self._tickets.commands(request.model, job=request.id),
            )
        )
        if reply.outcome is Outcome.MOVED:
            raise OtherCellError(reply.value)
        if refused := REFUSALS.get(reply.outcome):
            raise refused(retry_after_seconds=int(reply.value))
        if reply.outcome is Outcome.CLASH:
            raise KeyReusedError
        if reply.outcome is Outcome.REPLAY:
            return await self.get(reply.value, JobOwner(request.owner)), True
        try:
            return JobRecord.of(reply.fields), False
        except UnreadableRecordError as error:
            raise unreadable(request.id, error) from None

    async def get(self, job: str, requester: Requester) -> JobRecord:
        """Return a job's record. Raises UnknownJobError, also for a job that `requester` may not see,
        and UnreadableJobError.
        """
        try:
            fields = await self._fields(job) if is_job_id(job) else None
        except UnreadableRecordError as error:
            raise unreadable(job, error) from None
        record = decoded(job, fields)
        if not requester.may_see(record.request):
            raise UnknownJobError(job)
        return record

    async def cancel(self, job: str, *, owner: str) -> tuple[JobRecord, bool]:
        """Return the job after the cancel, and whether a worker must still stop it. Raises UnknownJobError."""
        record = await self.get(job, JobOwner(owner))
        reply = await self._transitions(cancel(record.request.keys))
        return await self.get(job, JobOwner(owner)), reply.outcome is Outcome.CANCELING

    async def erase(self, job: str, *, owner: str) -> None:
        """Delete all that is kept of a job. A worker that holds it stops. Raises UnknownJobError and UnreadableJobError."""
        record = await self.get(job, JobOwner(owner))
        keys, stored = record.request.keys, self._results is not None
        await self._transitions(erase(keys, owner=owner, idempotency=record.idempotency, results=stored))
        await self._tickets.withdraw(keys)
        self._ended.forget(job)
        if self._results:
            with suppress(UnavailableError):  # the writer of results deletes it later; from now on nobody can read it
                await self._results.erase(job)

    async def events(self, request: JobRequest, *, after: str = "-", until: str = "+") -> list[Event]:
        """Return the events between two stream ids, without `after` and with `until`. Raises UnreadableJobError."""
        start = after if after == "-" else f"({after}"
        entries: Any = await self._client.xrange(request.keys.stream, start, until)
        try:
            if not entries and (stored := await self._stored(request.id)):
                entries = stored.between(after, until)
        except UnreadableRecordError as error:
            raise unreadable(request.id, error) from None
        return read_events(request, entries)

    async def images(self, record: JobRecord) -> JobImages:
        """Return the images so far. Raises UnreadableJobError."""
        request = record.request
        if kept := self._ended.get(request.id):
            return kept
        events = await self.events(request)
        images = replay(request, events)
        if events and record.status.final:
            self._ended.keep(request, images)
        return images

    async def exists(self, job: str) -> bool:
        """Return whether Redis still has the job."""
        return bool(await self._client.exists(Keys(id=job, model="").record))

    async def unstored(self) -> int:
        """Return how many jobs are not in the object store as Redis has them."""
        return int(await self._client.zcard(UNSTORED))

    async def check_writable(self) -> None:
        """Raise the RedisError of a Redis that refuses writes: a replica, a full disk or memory. Writes nothing."""
        await self._client.set(PROBE, 1, xx=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        self._tickets.close()

    async def _fields(self, job: str) -> Fields | None:
        """Return a job's record as Redis or its object has it."""
        if fields := await self._client.hgetall(Keys(id=job, model="").record):
            return fields
        stored = await self._stored(job)
        return stored.fields if stored else None

    async def _stored(self, job: str) -> StoredJob | None:
        """Return a job that Redis has no longer. None for one that was erased, or is past its retention, or never was.

        Raises UnreadableRecordError.
        """
        if self._results is None:
            return None
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.exists(Keys(id=job, model="").record)
            pipeline.zscore(UNSTORED, job)
            exists, unstored = await pipeline.execute()
        return None if exists or unstored is not None else await self._results.read(job)


def decoded(job: str, fields: Fields | None) -> JobRecord:
    """Return the record of a job. Raises UnknownJobError without fields, and UnreadableJobError."""
    if not fields:
        raise UnknownJobError(job)
    try:
        return JobRecord.decode(fields)
    except UnreadableRecordError as error:
        raise unreadable(job, error) from None


def read_events(request: JobRequest, entries: Iterable[Sequence[Any]]) -> list[Event]:
    """Return the events of entries as Redis returns them. Raises UnreadableJobError."""
    try:
        return decode_events(entries, request.geometry)
    except UnreadableRecordError as error:
        raise unreadable(request.id, error) from None


def unreadable(job: str, error: UnreadableRecordError) -> UnreadableJobError:
    """Return the refusal; the reason is logged once."""
    warn_once(__name__, f"job {job}: {error}")
    return UnreadableJobError(job)

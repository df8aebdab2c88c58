"""Task that makes the object store as Redis has the jobs: it writes those that ended, and deletes those that are gone."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from service.contract.logs import warn_once
from service.contract.record import UnreadableRecordError
from service.contract.redis_clock import milliseconds
from service.contract.redis_keys import UNSTORED, Keys
from service.contract.transitions import AsyncTransitions, Outcome, stored, unstored
from service.errors import UnavailableError
from service.results.object_store import CALL_SECONDS
from service.results.stored_job import StoredJob

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.results.object_store import Results

logger = logging.getLogger(__name__)

TOGETHER = 32
"""Jobs that a process stores at the same time."""

CLAIM_SECONDS = 20
"""Time for which other processes leave a claimed job alone; twice `CALL_SECONDS` of the store."""

POLL_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
"""Pauses after a failure begin with POLL_SECONDS and double."""


class ResultWriter:
    """Writer of results. Several of one Redis share the jobs; a job that two of them write twice is the same object."""

    def __init__(
        self, client: Redis, results: Results, *, keep_seconds: float, claim_seconds: float = CLAIM_SECONDS
    ) -> None:
        """`keep_seconds`: how long Redis keeps a job that is stored."""
        self._client, self._results, self._transitions = client, results, AsyncTransitions(client)
        self._keep_seconds, self._claim_seconds = keep_seconds, claim_seconds
        self._failed: list[str] = []

    async def run(self) -> None:
        """Sweep for ever; the log has the first and the last failure of an outage."""
        pause_seconds, failures = POLL_SECONDS, 0
        while True:
            try:
                if await self.sweep() < TOGETHER:
                    await asyncio.sleep(POLL_SECONDS)
            except (RedisError, UnavailableError) as error:
                failures += 1
                if failures == 1:
                    logger.warning("results wait for the store: %s", reason(error))
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            else:
                if failures:
                    logger.info("results are stored again, after %d failures", failures)
                pause_seconds, failures = POLL_SECONDS, 0

    async def sweep(self) -> int:
        """Settle the jobs that are due, at most TOGETHER; return how many.

        Raises RedisError and UnavailableError, after all have been tried; those that failed are due at the next sweep.
        """
        claim = unstored(count=TOGETHER, claim_seconds=self._claim_seconds, returned=self._failed)
        jobs = (await self._transitions(claim)).values
        outcomes = await asyncio.gather(*map(self._settle, jobs), return_exceptions=True)
        failed = {job: error for job, error in zip(jobs, outcomes, strict=True) if error}
        self._failed = list(failed)
        for error in failed.values():
            raise error
        return len(jobs)

    async def _settle(self, job: str) -> None:
        """Write the object of a job, or delete it if the job is gone. An unreadable one stays until its claim ends."""
        began = time.monotonic()
        try:
            found = await self._read(job)
        except UnreadableRecordError as error:
            warn_once(__name__, f"job {job} is not stored: {error}")
            return
        if found is None:
            await self._results.erase(job)
            await self._client.zrem(UNSTORED, job)
            return
        if time.monotonic() - began > CALL_SECONDS:  # this process was stopped, and another may have the claim
            raise UnavailableError
        await self._results.write(job, found)
        keys = Keys(id=job, model=found.model)
        reply = await self._transitions(stored(keys, keep_seconds=self._keep_seconds, expires_at=found.expires_at))
        if reply.outcome is Outcome.UNKNOWN:  # erased meanwhile: it stays due until its object is deleted
            await self._results.erase(job)

    async def _read(self, job: str) -> StoredJob | None:
        keys = Keys(id=job, model="")
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.time()
            pipeline.hgetall(keys.record)
            pipeline.xrange(keys.stream)
            clock, fields, entries = await pipeline.execute()
        return StoredJob.of(fields, entries, now=milliseconds(clock)) if fields else None


def reason(error: Exception) -> str:
    """Return the first line of what failed: the object store's errors have a dump after it."""
    return str(error.__cause__ or error).partition("\n")[0]

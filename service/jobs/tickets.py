"""Tickets: deliveries of jobs through RQ. RQ blocks, so every call runs in a thread with its own client."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from service.contract.redis_keys import TASK, Keys, queue_name, ticket_id

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

FAILURE_TTL_SECONDS = 300
"""Time that RQ keeps a ticket whose worker died; the job itself has a new ticket by then."""


class Tickets:
    """RQ queues, one per model. They carry JSON alone."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, model: str, job: str, ticket: int, *, at_front: bool = False) -> None:
        """Put a ticket into the queue of `model`. Raises redis' ConnectionError."""
        await asyncio.to_thread(self._put, model, job, ticket, at_front=at_front)

    async def deliver(self, keys: Keys, ticket: int, *, at_front: bool = False) -> None:
        """Deliver a job. If Redis fails, the record stays and the reaper delivers it later."""
        try:
            await self.put(keys.model, keys.id, ticket, at_front=at_front)
        except RedisError as error:
            logger.warning("ticket %d of job %s is late: %s", ticket, keys.id, error, extra={"job": keys.id})

    async def withdraw(self, keys: Keys, *, last: int) -> None:
        """Remove all tickets of a job, up to the number `last`. If Redis fails they stay: they do nothing without the job."""
        try:
            await asyncio.to_thread(self._withdraw, keys, last)
        except RedisError as error:
            logger.warning("tickets of job %s stay: %s", keys.id, error, extra={"job": keys.id})

    async def waiting_jobs(self, model: str) -> frozenset[str]:
        """Return the ids of the jobs with a ticket that no worker has taken."""
        return await asyncio.to_thread(self._waiting_jobs, model)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _waiting_jobs(self, model: str) -> frozenset[str]:
        return frozenset(ticket.rpartition("-")[0] for ticket in self._queue(model).get_job_ids())

    def _put(self, model: str, job: str, ticket: int, *, at_front: bool) -> None:
        self._queue(model).enqueue_call(
            TASK,
            kwargs={"job": job},
            timeout=-1,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_SECONDS,
            job_id=ticket_id(job, ticket),
            at_front=at_front,
        )

    def _withdraw(self, keys: Keys, last: int) -> None:
        names = [ticket_id(keys.id, number) for number in range(1, last + 1)]
        for ticket in Job.fetch_many(names, self._client, serializer=JSONSerializer):
            if ticket:
                ticket.delete()

    def _queue(self, model: str) -> Queue:
        return Queue(queue_name(model), connection=self._client, serializer=JSONSerializer)

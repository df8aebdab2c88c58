"""Tickets: one in RQ for each job that waits, so that a worker wakes. Which job a ticket serves is decided when a worker
takes it (service/contract/queue.lua). RQ blocks: what is more than to make its commands runs in a thread with its own client.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from service.contract.redis_keys import TASK, Keys, queue_name
from service.contract.transitions import Command

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

logger = logging.getLogger(__name__)

FAILURE_TTL_SECONDS = 300
"""Time that RQ keeps a message that is no ticket."""


OLDEST_REDIS = (6, 2, 0)
"""A version that RQ need not ask Redis for: it would do so in the event loop, and wait there for a Redis that hangs."""


class Tickets:
    """RQ queues, one per model. They carry JSON alone."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def commands(self, model: str, *, job: str) -> list[Command]:
        """Return the commands that put the ticket of a new job into the queue of `model`."""
        with self._client.pipeline(transaction=False) as pipeline:
            self._add(pipeline, model, job=job)
            return [arguments for arguments, _ in pipeline.command_stack]

    async def put(self, model: str, *, count: int) -> None:
        """Put `count` tickets into the queue of `model`. Raises redis' ConnectionError."""
        await asyncio.to_thread(self._put, model, count)

    async def withdraw(self, keys: Keys) -> None:
        """Remove the ticket of a job, if no worker has taken it. If Redis fails it stays: it names the job, and no more."""
        try:
            await asyncio.to_thread(self._withdraw, keys)
        except RedisError as error:
            logger.warning("the ticket of job %s stays: %s", keys.id, error, extra={"job": keys.id})

    async def waiting(self, model: str) -> int:
        """Return the number of tickets that no worker has taken."""
        return await asyncio.to_thread(lambda: self._queue(model).count)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _put(self, model: str, count: int) -> None:
        with self._client.pipeline() as pipeline:
            for _ in range(count):
                self._add(pipeline, model)
            pipeline.execute()

    def _add(self, pipeline: Pipeline, model: str, *, job: str = "") -> None:
        """Let `pipeline` put a ticket; `job` began to wait."""
        self._queue(model).enqueue_call(
            TASK,
            kwargs={"job": job},  # for workers of releases in which a ticket served one job
            timeout=-1,
            result_ttl=0,
            failure_ttl=FAILURE_TTL_SECONDS,
            job_id=job or None,
            pipeline=pipeline,
        )

    def _withdraw(self, keys: Keys) -> None:
        (ticket,) = Job.fetch_many([keys.id], self._client, serializer=JSONSerializer)
        if ticket:
            ticket.delete()

    def _queue(self, model: str) -> Queue:
        queue = Queue(queue_name(model), connection=self._client, serializer=JSONSerializer)
        queue.redis_server_version = OLDEST_REDIS
        return queue

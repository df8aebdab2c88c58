"""Deliveries of jobs through RQ, one ticket each. RQ is blocking, so every call runs in a thread with an own client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rq import Queue
from rq.serializers import JSONSerializer

from service.contract.redis_keys import TASK, queue_name, ticket_id

if TYPE_CHECKING:
    from redis import Redis

FAILURE_TTL_SECONDS = 300
"""How long RQ remembers a ticket whose worker died; the job itself has moved on by then."""


class Tickets:
    """The RQ queues, one per model. Only JSON crosses them."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, model: str, job: str, ticket: int, *, at_front: bool = False) -> None:
        """Deliver `job` to the workers of `model`. Raises redis' ConnectionError."""
        await asyncio.to_thread(self._put, model, job, ticket, at_front=at_front)

    async def waiting(self, model: str) -> frozenset[str]:
        """The ids of all tickets that no worker has taken."""
        return frozenset(await asyncio.to_thread(self._queue(model).get_job_ids))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

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

    def _queue(self, model: str) -> Queue:
        return Queue(queue_name(model), connection=self._client, serializer=JSONSerializer)

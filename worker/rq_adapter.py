"""Every private hook of RQ, and nothing else. Written for RQ 3.0 (`rq>=3.0,<3.1`).

RQ is only transport: its queue has a ticket for each job that waits, and a ticket wakes a worker. A ticket ends when it is
taken. Order, status, leases and retries are ours, because RQ has no fencing: a stopped worker that continues would finish
its job a second time.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from threading import Timer
from typing import TYPE_CHECKING
from uuid import uuid4

from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError, NoSuchJobError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import as_text, now
from rq.worker.base import WorkerStatus

from service.contract.redis_keys import TASK, queue_name
from worker.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from redis import Redis
    from redis.client import Pipeline

    from worker.batch import Batch

logger = logging.getLogger(__name__)

WORKER_TTL_SECONDS = 20
"""RQ blocks for 15 seconds less than this, so an idle worker wakes every 5 seconds."""

BEAT_SECONDS = 5
"""The time between RQ's heartbeats of the worker; RQ forgets it after 80."""

DISCARD_SECONDS = 0.25
"""The time between two removals of tickets of jobs that have joined. Meanwhile they may wake an idle worker for nothing.

If one did, the ticket of a job that began to wait meanwhile is removed in its place. The reaper puts another, within a second.
"""


class UnknownTaskError(Exception):
    """A message in the queue that is no ticket: its function is not TASK, or it is not JSON."""


class TicketWorker(SimpleWorker):
    """An RQ worker with many jobs at once: a ticket starts the batch loop, whose TicketSource it is."""

    def __init__(self, model: str, *, connection: Redis, drain_seconds: float) -> None:
        queue = Queue(queue_name(model), connection=connection, serializer=JSONSerializer)
        super().__init__(
            [queue],
            name=f"{socket.gethostname()}-{uuid4().hex[:12]}",  # a health check finds the workers of its host by name
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_SECONDS,
            log_job_description=False,
        )
        self._last_beat, self._drain_seconds = 0.0, drain_seconds
        self._last_discard, self._to_discard = 0.0, 0
        self.batch: Batch | None = None
        self.failure: WorkerError | None = None

    @property
    def stopping(self) -> bool:
        """Whether SIGTERM or SIGINT came."""
        return self._stop_requested

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the batch until it is empty; RQ calls this for one ticket. A WorkerError ends the work; `failure` keeps it."""
        try:
            if self.batch and self._taken([job], queue):
                self._to_discard = -1  # the first job that joins has this ticket
                self.batch.run()
                self._discard()
        except WorkerError as error:
            self.failure = error
            raise StopRequested from error
        except Exception:
            logger.exception("the batch failed; the leases of its jobs run out")

    def discard(self, count: int) -> None:
        """Remove `count` tickets, or all if there are fewer; together with those of the next jobs that join."""
        self._to_discard += count
        if self._to_discard > 0 and time.monotonic() - self._last_discard >= DISCARD_SECONDS:
            self._discard()

    def beat(self) -> None:
        """Send RQ's heartbeat of the worker, if it is due."""
        self.heartbeat()

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Do as RQ's, but at most once in BEAT_SECONDS: RQ calls it twice for each ticket."""
        if pipeline is None and time.monotonic() - self._last_beat < BEAT_SECONDS:
            return
        self._last_beat = time.monotonic()
        super().heartbeat(timeout, pipeline)

    def request_stop_execution(self, execution_id: str) -> None:
        """Refuse RQ's stop command; DELETE /jobs/{id} cancels a job."""
        logger.warning("ignored a stop command for execution %s", execution_id)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - RQ's signature
        """Exit at once, at the second signal. RQ would ignore it within a second, and would wait for Redis."""
        leave()

    def _shutdown(self) -> None:
        """Stop after the first signal: at once if idle, else after the round. Sends nothing to Redis.

        After `drain_seconds` the process exits anyway: Redis may be down, and a stuck device never ends its round.
        """
        self._stop_requested = True
        timer = Timer(self._drain_seconds, leave)
        timer.daemon = True
        timer.start()
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def _discard(self) -> None:
        """Remove the tickets of the jobs that have joined."""
        while self._to_discard > 0 and (names := self._moved(self._to_discard)):
            self._to_discard -= self._taken(self._messages(names), self.queues[0])
        self._last_discard, self._to_discard = time.monotonic(), 0

    def _moved(self, count: int) -> list[str]:
        """Move at most `count` names of messages as RQ does before it takes one."""
        queue = self.queues[0]
        with self.connection.pipeline(transaction=False) as pipeline:
            for _ in range(count):
                pipeline.lmove(queue.key, queue.intermediate_queue_key)
            return [as_text(name) for name in pipeline.execute() if name]

    def _messages(self, names: Sequence[str]) -> list[Job]:
        """Return the messages; a name whose message is gone, as after a delete, is dropped as RQ drops it."""
        with self.connection.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hgetall(Job.key_for(name))
            found = pipeline.execute()
        jobs = []
        for name, fields in zip(names, found, strict=True):
            job = Job(name, connection=self.connection, serializer=self.serializer)
            try:
                job.restore(fields)
                jobs.append(job)
            except NoSuchJobError:
                self.connection.lrem(self.queues[0].intermediate_queue_key, 1, name)
        return jobs

    def _taken(self, jobs: Sequence[Job], queue: Queue) -> int:
        """Remove tickets from RQ and return how many they were. Messages that are no tickets are marked as failed."""
        tickets = []
        for job in jobs:
            try:
                check_task(job)
                tickets.append(job)
            except (UnknownTaskError, DeserializationError) as error:
                self._reject(job, queue, error)
        with self.connection.pipeline(transaction=False) as pipeline:
            for ticket in tickets:
                pipeline.delete(ticket.key)
                pipeline.lrem(queue.intermediate_queue_key, 1, ticket.id)
                self.increment_successful_job_count(pipeline)
            self.set_state(WorkerStatus.BUSY, pipeline=pipeline)
            pipeline.execute()
        return len(tickets)

    def _reject(self, job: Job, queue: Queue, error: Exception) -> None:
        execution = self.prepare_execution(job)
        self.connection.lrem(queue.intermediate_queue_key, 1, job.id)
        job.started_at = now()
        self._finalize_failure(job, queue, execution, (type(error), error, None))


def leave() -> None:
    """Exit now, whatever any thread does. As after a crash, the leases run out and nothing is lost."""
    logger.warning("exiting at once; other workers continue the jobs when the leases run out")
    os._exit(0)


def check_task(job: Job) -> None:
    """Check that a message is a ticket. Raises UnknownTaskError, and RQ's DeserializationError for one that is not JSON."""
    if job.func_name != TASK:
        msg = f"unknown task {job.func_name!r}; the only task is {TASK!r}"
        raise UnknownTaskError(msg)

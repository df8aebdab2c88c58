"""Every private hook of RQ, and nothing else. Written for RQ 3.0 (`rq>=3.0,<3.1`).

RQ is only transport: it delivers tickets. Status, leases and retries are ours, because RQ has no fencing: a stopped worker
that continues would finish its job a second time.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker.base import WorkerStatus

from service.contract.redis_keys import TASK, queue_name
from worker.errors import WorkerError
from worker.jobs.live_job import Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from redis import Redis
    from rq.executions import Execution
    from rq.job import Job

    from worker.batch import Batch

logger = logging.getLogger(__name__)

WORKER_TTL_SECONDS = 20
"""RQ blocks for 15 seconds less than this, so an idle worker wakes every 5 seconds."""

BEAT_SECONDS = 5
"""The time between RQ's heartbeats of the open tickets."""

JOB_TTL_SECONDS = 90
"""The time after which RQ gives up a ticket without a heartbeat; far longer than a round."""


class UnknownTaskError(Exception):
    """A message in the queue that is no ticket: its function is not TASK, or it is not JSON."""


@dataclass(frozen=True, kw_only=True)
class TicketMessage:
    """RQ's objects for an open ticket."""

    job: Job
    queue: Queue
    execution: Execution


class TicketWorker(SimpleWorker):
    """An RQ worker with many jobs at once: `execute_job` runs the batch loop, whose TicketSource it is."""

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
        self._messages: dict[str, TicketMessage] = {}
        self._last_beat, self._drain_seconds = 0.0, drain_seconds
        self.batch: Batch | None = None
        self.failure: WorkerError | None = None

    @property
    def stopping(self) -> bool:
        """Whether SIGTERM or SIGINT came."""
        return self._stop_requested

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the batch until it is empty; RQ calls this for one job. A WorkerError ends the work, and is kept as `failure`."""
        try:
            if self.batch and (ticket := self._open(job, queue)):
                self.batch.run(ticket)
        except WorkerError as error:
            self.failure = error
            raise StopRequested from error
        except Exception:
            logger.exception("the batch failed; the leases of its jobs run out")
        self._messages.clear()
        self.set_state(WorkerStatus.IDLE)

    def take(self) -> Ticket | None:
        """Return a waiting ticket, or None at once. Messages that are no tickets are marked as failed."""
        while dequeued := Queue.dequeue_any(self.queues, None, self.connection, serializer=self.serializer):
            if ticket := self._open(*dequeued):
                return ticket
        return None

    def close(self, ticket: Ticket) -> None:
        """Remove `ticket` from RQ. RQ keeps no result."""
        message = self._messages.pop(ticket.id)
        self._finalize_success(message.job, message.queue, message.execution, None)

    def beat(self) -> None:
        """Send RQ's heartbeats for the open tickets, if they are due."""
        if time.monotonic() - self._last_beat < BEAT_SECONDS:
            return
        self._last_beat = time.monotonic()
        self._beat_together(list(self._messages.values()))

    def _beat_together(self, messages: Sequence[TicketMessage]) -> None:
        """Do as RQ's `maintain_heartbeats`, for all tickets in one transaction instead of one for each."""
        ttl, jobs = self.job_monitoring_interval + 60, {}
        with self.connection.pipeline() as pipeline:
            self.heartbeat(ttl, pipeline=pipeline)
            for message in messages:
                message.execution.heartbeat(message.job.started_job_registry, JOB_TTL_SECONDS, pipeline=pipeline)
                jobs[len(pipeline)] = message.job.key
                message.job.heartbeat(now(), JOB_TTL_SECONDS, pipeline=pipeline, xx=True)
            results = pipeline.execute()
            if results[0] == 1:  # the worker's hash had expired and is incomplete
                pipeline.hset(self.key, mapping=self.serialize())
                pipeline.expire(self.key, ttl)
            for number, key in jobs.items():
                if results[number] == 1:  # likewise the job's, and nobody would delete it
                    pipeline.delete(key)
            pipeline.execute()

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002 - RQ's signature
        """Return how long RQ waits for the next heartbeat; tickets have no timeout in RQ."""
        return JOB_TTL_SECONDS

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

    def _open(self, job: Job, queue: Queue) -> Ticket | None:
        """Mark `job` as started in RQ and return its ticket; None, marked as failed, if it is no ticket."""
        execution = self.prepare_execution(job)
        try:
            self.prepare_job_execution(job, remove_from_intermediate_queue=True)
            job.started_at = now()
            ticket = Ticket(id=job.id, job=task_arguments(job)["job"])
        except (UnknownTaskError, DeserializationError, KeyError) as error:
            self._finalize_failure(job, queue, execution, (type(error), error, None))
            return None
        self._messages[job.id] = TicketMessage(job=job, queue=queue, execution=execution)
        return ticket


def leave() -> None:
    """Exit now, whatever any thread does. As after a crash, the leases run out and nothing is lost."""
    logger.warning("exiting at once; other workers continue the jobs when the leases run out")
    os._exit(0)


def task_arguments(job: Job) -> dict[str, Any]:
    """Return the arguments of a ticket. Raises UnknownTaskError for any other function."""
    if job.func_name != TASK:
        msg = f"unknown task {job.func_name!r}; the only task is {TASK!r}"
        raise UnknownTaskError(msg)
    return dict(job.kwargs)

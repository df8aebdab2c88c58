"""Every private hook of RQ, and nothing else. Written against rq 3.0 (`rq>=3.0,<3.1`).

RQ is transport: it delivers tickets and knows which worker is busy. Status, leases and retries are ours, because RQ
has no fencing: a stopped worker that continues would finish its job a second time.
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
from worker.batch import DeviceLostError
from worker.jobs.live_job import Ticket

if TYPE_CHECKING:
    from types import FrameType

    from redis import Redis
    from rq.executions import Execution
    from rq.job import Job

    from worker.batch import Batch

logger = logging.getLogger(__name__)

WORKER_TTL_SECONDS = 20
"""RQ blocks for this less 15 seconds in dequeue, so an idle worker looks around every 5."""

BEAT_SECONDS = 5
"""Between RQ's heartbeats of the live tickets."""

JOB_TTL_SECONDS = 90
"""How long RQ believes in a ticket without a heartbeat; far above the time of one slice."""


class ForeignTaskError(Exception):
    """The queue holds a job that is not ours to run: another name than TASK, or not JSON."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """RQ's side of a ticket."""

    job: Job
    queue: Queue
    execution: Execution


class TicketWorker(SimpleWorker):
    """An RQ worker that runs many jobs at once: its `execute_job` is the batch loop, and it is that loop's Desk."""

    def __init__(self, model: str, *, connection: Redis, drain_seconds: float) -> None:
        queue = Queue(queue_name(model), connection=connection, serializer=JSONSerializer)
        super().__init__(
            [queue],
            name=f"{socket.gethostname()}-{uuid4().hex[:12]}",  # the host tells a health check which worker is its own
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_SECONDS,
            log_job_description=False,
        )
        self._deliveries: dict[str, Delivery] = {}
        self._beaten, self._drain_seconds = 0.0, drain_seconds
        self.batch: Batch | None = None

    @property
    def stopping(self) -> bool:
        """Whether SIGTERM or SIGINT came."""
        return self._stop_requested

    def execute_job(self, job: Job, queue: Queue) -> None:
        """RQ's hook for one job: here, the whole life of a batch. Only DeviceLostError leaves it: that ends the worker."""
        try:
            if self.batch and (ticket := self._open(job, queue)):
                self.batch.run(ticket)
        except DeviceLostError:
            raise
        except Exception:
            logger.exception("the batch broke off; its leases run out")
        self._deliveries.clear()
        self.set_state(WorkerStatus.IDLE)

    def take(self) -> Ticket | None:
        """A waiting ticket, without blocking. Foreign jobs on the way are failed."""
        while dequeued := Queue.dequeue_any(self.queues, None, self.connection, serializer=self.serializer):
            if ticket := self._open(*dequeued):
                return ticket
        return None

    def close(self, ticket: Ticket) -> None:
        """Tell RQ that the delivery is over. It keeps no result."""
        delivery = self._deliveries.pop(ticket.id)
        self._finalize_success(delivery.job, delivery.queue, delivery.execution, None)

    def beat(self) -> None:
        """Keep RQ's view of the live tickets true."""
        if time.monotonic() - self._beaten < BEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        for delivery in self._deliveries.values():
            self.maintain_heartbeats(delivery.job, delivery.execution)

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002 - RQ's signature
        """Tickets have no timeout of RQ's."""
        return JOB_TTL_SECONDS

    def request_stop_execution(self, execution_id: str) -> None:
        """RQ's stop command: refused, the one way to stop a job is DELETE /jobs/{id}."""
        logger.warning("ignored a stop command for execution %s", execution_id)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - RQ's signature
        """Second signal: leave at once. RQ would ignore it in the first second, and still talk to Redis."""
        leave()

    def _shutdown(self) -> None:
        """First signal: an idle worker leaves at once, a busy one at the slice boundary. Asks nothing of Redis.

        After `drain_seconds` it leaves as it is: Redis may be away, and a stuck device never comes to a boundary.
        """
        self._stop_requested = True
        timer = Timer(self._drain_seconds, leave)
        timer.daemon = True
        timer.start()
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def _open(self, job: Job, queue: Queue) -> Ticket | None:
        """Mark `job` as started in RQ; None, and failed, if it is not ours."""
        execution = self.prepare_execution(job)
        try:
            self.prepare_job_execution(job, remove_from_intermediate_queue=True)
            job.started_at = now()
            ticket = Ticket(id=job.id, job=checked(job)["job"])
        except (ForeignTaskError, DeserializationError, KeyError) as error:
            self._finalize_failure(job, queue, execution, (type(error), error, None))
            return None
        self._deliveries[job.id] = Delivery(job=job, queue=queue, execution=execution)
        return ticket


def leave() -> None:
    """Exit now, whatever any thread is at. As after a crash, leases run out and other workers go on; nothing is lost."""
    logger.warning("leaving at once; what is held is for others when its leases run out")
    os._exit(0)


def checked(job: Job) -> dict[str, Any]:
    """The arguments of a ticket. Raises ForeignTaskError for any other function."""
    if job.func_name != TASK:
        msg = f"{job.func_name!r} is not served here"
        raise ForeignTaskError(msg)
    return dict(job.kwargs)

"""The contract with RQ 3.0: what the private hooks must go on doing."""

from __future__ import annotations

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from service.contract.redis_keys import TASK, queue_name
from worker.jobs.live_job import Ticket
from worker.rq_adapter import TicketWorker


class Recorder:
    """A batch that takes what waits and closes everything."""

    def __init__(self, worker: TicketWorker) -> None:
        self.worker, self.seen, self.counts = worker, [], []  # type: tuple[TicketWorker, list[Ticket], list[int]]

    def run(self, first: Ticket) -> None:
        """As Batch.run."""
        self.seen = [first]
        while ticket := self.worker.take():
            self.seen.append(ticket)
        self.counts.append(self.worker.current_execution_count)
        for ticket in self.seen:
            self.worker.close(ticket)


@pytest.fixture
def queue(store: redis.Redis) -> Queue:
    """The queue of `toy`."""
    return Queue(queue_name("toy"), connection=store, serializer=JSONSerializer)


@pytest.fixture
def worker(store: redis.Redis, redis_url: str) -> TicketWorker:
    """A worker with a client of its own: RQ changes the one it is given."""
    assert store.ping()
    return TicketWorker("toy", connection=redis.Redis.from_url(redis_url), drain_seconds=20)


def put(queue: Queue, job: str, task: str = TASK) -> None:
    """A ticket."""
    queue.enqueue_call(task, kwargs={"job": job}, timeout=-1, result_ttl=0, failure_ttl=60, job_id=f"{job}-1")


def test_one_worker_holds_many_tickets(queue: Queue, worker: TicketWorker) -> None:
    """All at once as executions of RQ, and nothing is left behind when they are closed."""
    recorder = Recorder(worker)
    worker.batch = recorder  # type: ignore[assignment]
    for name in "abc":
        put(queue, name)
    worker.work(burst=True, logging_level="ERROR")
    assert [ticket.job for ticket in recorder.seen] == ["a", "b", "c"]
    assert recorder.counts == [3]
    assert len(queue) == 0
    assert queue.started_job_registry.get_job_ids() == []
    assert queue.failed_job_registry.get_job_ids() == []
    assert queue.fetch_job("a-1") is None
    assert queue.connection.llen(queue.intermediate_queue_key) == 0


def test_a_foreign_function_is_failed_and_never_run(queue: Queue, worker: TicketWorker) -> None:
    """Who can write to Redis still cannot choose what this process runs."""
    recorder = Recorder(worker)
    worker.batch = recorder  # type: ignore[assignment]
    put(queue, "evil", "os.getcwd")
    put(queue, "good")
    worker.work(burst=True, logging_level="CRITICAL")
    assert [ticket.job for ticket in recorder.seen] == ["good"]
    assert queue.failed_job_registry.get_job_ids() == ["evil-1"]

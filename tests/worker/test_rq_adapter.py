"""The contract with RQ 3.0: what the private hooks must go on doing."""

from __future__ import annotations

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from service.contract.redis_keys import TASK, queue_name
from tests.harness.counting import CountingConnection, counting_client
from worker.errors import DeviceLostError
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


def test_the_heartbeats_of_all_tickets_are_one_transaction(queue: Queue, redis_url: str) -> None:
    """And each ticket stays alive in RQ: its execution, its place in the registry, its job."""
    for number in range(20):
        put(queue, f"job{number}")
    with counting_client(redis_url) as client:
        worker = TicketWorker("toy", connection=client, drain_seconds=20)
        tickets = [worker.take() for _ in range(20)]
        keys = [f"rq:job:{ticket.id}" for ticket in tickets if ticket]
        before = [queue.connection.hget(key, "last_heartbeat") for key in keys]
        executions = queue.connection.keys("rq:execution:*")
        for key in executions:
            queue.connection.expire(key, 10)
        CountingConnection.sends = 0
        worker.beat()
        assert CountingConnection.sends <= 2
        assert all(queue.connection.ttl(key) > 10 for key in executions)
        assert len(executions) == len(keys) == 20
        assert all(queue.connection.hget(key, "last_heartbeat") != old for key, old in zip(keys, before, strict=True))


def test_a_heartbeat_brings_no_deleted_ticket_back(queue: Queue, worker: TicketWorker) -> None:
    """RQ's records may be gone, as after FLUSHALL: a hash of one field would stay for ever."""
    put(queue, "gone")
    assert worker.take()
    queue.connection.delete("rq:job:gone-1")
    worker.beat()
    assert not queue.connection.exists("rq:job:gone-1")


def test_a_failure_of_the_worker_ends_its_work(queue: Queue, worker: TicketWorker) -> None:
    """It is kept for the caller."""

    class Failing(Recorder):
        def run(self, first: Ticket) -> None:
            super().run(first)
            raise DeviceLostError("as a test")

    worker.batch = Failing(worker)  # type: ignore[assignment]
    put(queue, "a")
    worker.work(burst=True, logging_level="CRITICAL")
    assert isinstance(worker.failure, DeviceLostError)

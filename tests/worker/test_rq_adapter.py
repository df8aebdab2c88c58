"""The contract with RQ 3.0: what the private hooks must go on doing."""

from __future__ import annotations

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from service.contract.redis_keys import TASK, queue_name
from tests.harness.counting import CountingConnection, counting_client
from worker import rq_adapter
from worker.errors import DeviceLostError
from worker.rq_adapter import TicketWorker


class Recorder:
    """A batch for which `jobs` jobs wait."""

    def __init__(self, worker: TicketWorker, jobs: int) -> None:
        self.worker, self.jobs, self.runs = worker, jobs, 0

    def run(self) -> None:
        """As Batch.run."""
        self.runs += 1
        self.worker.discard(self.jobs)
        self.jobs = 0


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
    queue.enqueue_call(task, kwargs={"job": job}, timeout=-1, result_ttl=0, failure_ttl=60, job_id=job)


def test_each_job_that_joins_takes_a_ticket(queue: Queue, worker: TicketWorker) -> None:
    """The first that which woke the worker; nothing is left behind, and tickets without a job do nothing."""
    worker.batch = recorder = Recorder(worker, 3)  # type: ignore[assignment]
    for name in "abcd":
        put(queue, name)
    worker.work(burst=True, logging_level="ERROR")
    assert (recorder.runs, recorder.jobs) == (2, 0)
    assert len(queue) == 0
    assert queue.connection.keys("rq:job:*") == []
    assert queue.connection.llen(queue.intermediate_queue_key) == 0


def test_a_job_whose_ticket_is_late_joins_without(queue: Queue, worker: TicketWorker) -> None:
    """A worker may find a job before its ticket is in the queue."""
    worker.batch = recorder = Recorder(worker, 3)  # type: ignore[assignment]
    put(queue, "a")
    worker.work(burst=True, logging_level="ERROR")
    assert (recorder.runs, recorder.jobs) == (1, 0)


def test_a_foreign_function_is_failed_and_never_run(queue: Queue, worker: TicketWorker) -> None:
    """Who can write to Redis still cannot choose what this process runs."""
    worker.batch = recorder = Recorder(worker, 2)  # type: ignore[assignment]
    for name, task in (("evil", "os.getcwd"), ("good", TASK), ("bad", "os.getcwd"), ("fine", TASK)):
        put(queue, name, task)
    worker.work(burst=True, logging_level="CRITICAL")
    assert recorder.runs == 1
    assert sorted(queue.failed_job_registry.get_job_ids()) == ["bad", "evil"]
    assert queue.connection.llen(queue.intermediate_queue_key) == 0


def test_a_message_that_is_no_json_is_failed(queue: Queue, worker: TicketWorker) -> None:
    """As a ticket of a program that pickles."""
    worker.batch = recorder = Recorder(worker, 1)  # type: ignore[assignment]
    put(queue, "odd")
    queue.connection.hset("rq:job:odd", "data", b"\x80\x04N.")
    put(queue, "good")
    worker.work(burst=True, logging_level="CRITICAL")
    assert recorder.runs == 1
    assert queue.failed_job_registry.get_job_ids() == ["odd"]


def test_names_without_a_message_are_dropped(queue: Queue, worker: TicketWorker) -> None:
    """As of a ticket that was withdrawn, or whose hash lost its data; the tickets behind them are removed."""
    for name in "abcde":
        put(queue, name)
    queue.connection.delete("rq:job:a")
    queue.connection.hdel("rq:job:b", "data")
    worker.discard(2)
    assert queue.connection.lrange(queue.key, 0, -1) == [b"e"]
    assert queue.connection.llen(queue.intermediate_queue_key) == 0


def test_tickets_are_removed_in_four_round_trips(queue: Queue, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many. Of RQ's own there are ten for each."""
    monkeypatch.setattr(rq_adapter, "DISCARD_SECONDS", 0)
    for name in "abcdefgh":
        put(queue, name)
    with counting_client(redis_url) as client:
        worker = TicketWorker("toy", connection=client, drain_seconds=20)
        worker.discard(1)
        CountingConnection.sends = 0
        worker.discard(5)
        assert CountingConnection.sends <= 4
    assert len(queue) == 2


def test_tickets_of_jobs_that_join_one_by_one_are_removed_together(
    queue: Queue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job joins in most rounds of a full worker. The last tickets are removed when the batch has ended."""
    monkeypatch.setattr(rq_adapter, "DISCARD_SECONDS", 60)
    for name in "abcdefghij":
        put(queue, name)
    left = []

    class OneByOne(Recorder):
        def run(self) -> None:
            CountingConnection.sends = 0
            for _ in range(9):
                self.worker.discard(1)
            left.append((len(queue), CountingConnection.sends))

    with counting_client(redis_url) as client:
        worker = TicketWorker("toy", connection=client, drain_seconds=20)
        worker.batch = OneByOne(worker, 0)  # type: ignore[assignment]
        worker.work(burst=True, logging_level="ERROR", max_jobs=1)
    assert left == [(8, 3)]  # one was removed at once: none had been for long
    assert len(queue) == 1


def test_a_heartbeat_is_sent_when_it_is_due(redis_url: str) -> None:
    """RQ calls it around each ticket."""
    with counting_client(redis_url) as client:
        worker = TicketWorker("toy", connection=client, drain_seconds=20)
        worker.beat()
        CountingConnection.sends = 0
        for _ in range(5):
            worker.beat()
            worker.heartbeat()
    assert CountingConnection.sends == 0


def test_a_failure_of_the_worker_ends_its_work(queue: Queue, worker: TicketWorker) -> None:
    """It is kept for the caller."""

    class Failing(Recorder):
        def run(self) -> None:
            raise DeviceLostError("as a test")

    worker.batch = Failing(worker, 0)  # type: ignore[assignment]
    put(queue, "a")
    worker.work(burst=True, logging_level="CRITICAL")
    assert isinstance(worker.failure, DeviceLostError)

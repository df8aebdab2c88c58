"""What the batch log tells of jobs, from the real loop over a real Redis."""

from __future__ import annotations

import logging

import pytest
import redis

from service.contract.redis_keys import Keys
from service.contract.statuses import Status
from service.contract.transitions import cancel, create
from tests.harness.drawing import a_claim, a_request, acquire, an_entry
from tests.worker.test_batch import Workplace
from worker.batch import Batch
from worker.jobs.lease import Heartbeat
from worker.jobs.publish import LeaseTerms
from worker.telemetry.batch_log import BatchLog


class Listener:
    """Remembers."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.ends: list[tuple[Status, float]] = []

    def first_slice(self, seconds: float) -> None:
        """As Observer."""
        self.first.append(seconds)

    def ended(self, status: Status, seconds: float) -> None:
        """As Observer."""
        self.ends.append((status, seconds))


@pytest.fixture
def listener() -> Listener:
    """Has received nothing yet."""
    return Listener()


@pytest.fixture
def place(store: redis.Redis, listener: Listener) -> Workplace:
    """A batch that publishes through a batch log."""
    place = Workplace(store)
    terms = LeaseTerms(weights="w", numerics="n", lease_seconds=30, max_attempts=3)
    batch_log = BatchLog(store, model="toy", terms=terms, observer=listener)
    heartbeat = Heartbeat(store, model="toy", worker="test", lease_seconds=30, seconds=60)
    place.batch = Batch(place.sampler, publisher=batch_log, heartbeat=heartbeat, tickets=place.tickets, pace=place.pace)
    return place


def aged(place: Workplace, job: str, seconds: int) -> None:
    """Make a job older."""
    place.client.hincrby(Keys(id=job, model="toy").record, "created_at", -1000 * seconds)


def test_a_finished_job_is_told_with_its_times(
    place: Workplace, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """Both since its creation, which may be long before this worker saw it; the log names the job."""
    job = place.submit(a_request(num_images=2))
    aged(place, job.id, 100)
    with caplog.at_level(logging.INFO, "worker.telemetry.batch_log"):
        place.batch.run()
    ((status, seconds),) = listener.ends
    assert status is Status.SUCCEEDED
    assert 100 <= listener.first[0] <= seconds < 110
    assert len(listener.first) == 1
    assert [vars(record).get("job") for record in caplog.records] == [job.id]


def test_a_complete_job_has_succeeded_for_its_worker(place: Workplace, listener: Listener) -> None:
    """Whenever the object store has it."""
    request = a_request()
    place.transitions(create(request, bound=9, results=True))
    aged(place, request.id, 100)
    place.batch.run()
    ((status, seconds),) = listener.ends
    assert (status, place.record(request.keys).status) == (Status.SUCCEEDED, Status.RUNNING)
    assert 100 <= seconds < 110


def test_failed_and_canceled_jobs_are_told_too(place: Workplace, listener: Listener) -> None:
    """Each once."""
    place.submit(a_request(seed=13))
    stopped = place.submit(a_request(seed=1))

    def stop() -> None:
        if len(place.sampler.batches) == 2:
            place.transitions(cancel(stopped))

    place.sampler.between = stop
    place.batch.run()
    assert sorted(status for status, _ in listener.ends) == [Status.CANCELED, Status.FAILED]


def test_a_job_handed_back_has_not_ended(place: Workplace, listener: Listener) -> None:
    """Its end is another worker's to tell."""
    place.submit(a_request())
    place.sampler.between = lambda: setattr(place.tickets, "stopping", True)
    place.batch.run()
    assert listener.ends == []
    assert len(listener.first) == 1


def test_a_resumed_job_has_shown_its_first_slice_before(place: Workplace, listener: Listener) -> None:
    """It is not reported twice."""
    request = a_request(seed=5)
    place.submit(request)
    dead = a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(an_entry(0, seed=5)))
    place.transitions(dead.release())
    place.batch.run()
    assert listener.first == []
    assert [status for status, _ in listener.ends] == [Status.SUCCEEDED]


def test_a_job_that_was_taken_over_is_not_reported(place: Workplace, listener: Listener) -> None:
    """Who took over will."""
    job = place.submit(a_request())
    place.sampler.between = lambda: place.client.hset(job.record, "token", "thief")
    place.batch.run()
    assert (listener.first, listener.ends) == ([], [])

"""The loop over a real Redis, with a sampler that draws known images and jobs from a list."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
import redis

from models.cards import ModelCard
from models.config import Stage, Step
from models.pipeline import ImageState
from service.contract.record import OVERDUE, JobRecord
from service.contract.redis_keys import Keys, waiting_key
from service.contract.request import JobRequest, Priority
from service.contract.statuses import EventKind, Status
from service.contract.transitions import Outcome, Transitions, cancel, create, next_job
from tests.harness.drawing import (
    GEOMETRY,
    a_claim,
    a_likelihood,
    a_picture,
    a_request,
    acquire,
    an_entry,
    events_of,
)
from tests.harness.toy import toy_card
from worker.batch import Batch
from worker.jobs.lease import Heartbeat
from worker.jobs.live_job import LiveJob
from worker.jobs.publish import LeaseTerms, Publisher
from worker.jobs.score_state import ScoreState
from worker.scheduler import BatchRow
from worker.telemetry.pace_estimator import PaceEstimator

STEPS = len(GEOMETRY.steps)
TERMS = LeaseTerms(weights="w", numerics="n", lease_seconds=30, max_attempts=3)


class KnownSampler:
    """Draws `a_picture(seed)`; calls `between` before each batch; fails on seed 13. Given images have `a_likelihood`."""

    def __init__(self) -> None:
        self.card: ModelCard = toy_card(GEOMETRY)
        self.capacity = 4
        self.batches: list[tuple[tuple[int, Step | None], ...]] = []
        self.between: Callable[[], object] = int
        self.scores: set[float | None] = set()
        self.scored: list[tuple[Step | None, ...]] = []

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each."""
        self.between()
        assert len({state.progress.next.stage for state in states if state.progress.next}) == 1
        if any(state.seed == 13 for state in states):
            raise RuntimeError("not a number")
        self.scores |= {state.score for state in states}
        self.batches.append(tuple((state.seed, state.progress.next) for state in states))
        return [self._generated(state) for state in states]

    def score(self, states: Sequence[ScoreState]) -> list[ScoreState]:
        """One slice further each."""
        self.between()
        self.scored.append(tuple(state.progress.next for state in states))
        bits = a_likelihood().slices
        return [replace(state, progress=state.progress.with_slice(bits[state.progress.done])) for state in states]

    def _generated(self, state: ImageState) -> ImageState:
        values = a_picture(state.seed).slices[state.progress.done]
        return replace(state, progress=state.progress.with_slice(values))


class CountedTickets:
    """Tickets of which only their number counts."""

    def __init__(self) -> None:
        self.stopping = False
        self.discarded = 0

    def discard(self, count: int) -> None:
        """Count them."""
        self.discarded += count

    def beat(self) -> None:
        """Nothing to keep alive."""


class Workplace:
    """A batch and all around it."""

    def __init__(self, client: redis.Redis) -> None:
        self.client, self.transitions = client, Transitions(client)
        self.sampler, self.tickets = KnownSampler(), CountedTickets()
        heartbeat = Heartbeat(client, model="toy", worker="test", lease_seconds=30, seconds=60)
        publisher = Publisher(client, model="toy", terms=TERMS)
        self.pace = PaceEstimator(client, model="toy", capacity=4)
        self.batch = Batch(self.sampler, publisher=publisher, heartbeat=heartbeat, tickets=self.tickets, pace=self.pace)

    def submit(self, request: JobRequest) -> Keys:
        """A created job, which waits. Jobs of one millisecond have no order, so none is created in that of another."""
        self.transitions(create(request, bound=100))
        time.sleep(0.002)
        return request.keys

    def record(self, job: Keys) -> JobRecord:
        """How it stands."""
        return JobRecord.decode(self.client.hgetall(job.record))


@pytest.fixture
def place(store: redis.Redis) -> Workplace:
    """An empty one."""
    return Workplace(store)


def test_a_job_is_generated_and_finished(place: Workplace) -> None:
    """All slices, one final status, its ticket discarded."""
    job = place.submit(a_request(num_images=2))
    place.batch.run()
    record = place.record(job)
    assert (record.status, record.done) == (Status.SUCCEEDED, (STEPS, STEPS))
    assert place.tickets.discarded == 1


def test_waiting_jobs_join_and_share_batches(place: Workplace) -> None:
    """A newcomer gets its first slice at the next boundary, then both advance together."""
    jobs = [place.submit(a_request(seed=1))]

    def arrive() -> None:
        if len(place.sampler.batches) == 2:
            jobs.append(place.submit(a_request(seed=2)))

    place.sampler.between = arrive
    place.batch.run()
    assert [place.record(job).status for job in jobs] == [Status.SUCCEEDED] * 2
    assert place.sampler.batches[3][0][0] == 2
    assert any(len(batch) == 2 for batch in place.sampler.batches)


def test_a_job_resumes_after_its_last_slice(place: Workplace, store: redis.Redis) -> None:
    """What another worker generated is not generated again."""
    request = a_request(seed=5)
    place.submit(request)
    dead = a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(an_entry(0, seed=5)))
    place.transitions(dead.release())
    place.batch.run()
    assert len(place.sampler.batches) == STEPS - 1
    assert [event.kind for event in events_of(store, dead)].count(EventKind.SLICE) == STEPS


def test_a_job_taken_over_keeps_its_score(place: Workplace) -> None:
    """It came with the base slice, which is not generated again: the answer and the sampler's state have it."""
    request = a_request(seed=5)
    job, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(replace(an_entry(0, seed=5), score=0.625)))
    place.transitions(dead.release())
    place.batch.run()
    assert place.record(job).scores == (0.625,)
    assert place.sampler.scores == {0.625}


def test_a_job_taken_over_is_a_newcomer(place: Workplace) -> None:
    """Its next slice here does not wait for who came first, at another network."""
    place.submit(a_request(seed=1))

    def arrive() -> None:
        if len(place.sampler.batches) == STEPS - 2:
            request = a_request(seed=5)
            dead = a_claim(request)
            place.submit(request)
            place.transitions(acquire(dead))
            place.transitions(dead.append(an_entry(0, seed=5)))
            place.transitions(dead.release())

    place.sampler.between = arrive
    place.batch.run()
    assert [seed for (seed, _), *_ in place.sampler.batches[STEPS - 2 :][:3]] == [1, 5, 1]


def test_a_job_of_other_weights_begins_anew(place: Workplace, store: redis.Redis) -> None:
    """And says so."""
    request = a_request(seed=5)
    job, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead, weights="old"))
    place.transitions(dead.append(an_entry(0)))
    place.transitions(dead.release())
    place.batch.run()
    assert len(place.sampler.batches) == STEPS
    assert EventKind.RESTARTED in [event.kind for event in events_of(store, dead)]
    assert place.record(job).status is Status.SUCCEEDED


def test_a_canceled_job_stops_at_the_next_boundary(place: Workplace) -> None:
    """Its slices stay, its neighbour goes on."""
    stopped, other = place.submit(a_request(seed=1)), place.submit(a_request(seed=2))

    def stop() -> None:
        if len(place.sampler.batches) == 2:
            place.transitions(cancel(stopped))

    place.sampler.between = stop
    place.batch.run()
    assert place.record(stopped).status is Status.CANCELED
    assert place.record(stopped).done[0] > 0
    assert place.record(other).status is Status.SUCCEEDED


def test_an_overdue_job_fails_at_the_next_boundary(place: Workplace, store: redis.Redis) -> None:
    """Its slices stay, its neighbour goes on."""
    late, other = place.submit(replace(a_request(seed=1), deadline_seconds=60)), place.submit(a_request(seed=2))

    def time_passes() -> None:
        if len(place.sampler.batches) == 2:
            store.hset(late.record, "deadline", 1)

    place.sampler.between = time_passes
    place.batch.run()
    record = place.record(late)
    assert (record.status, record.error) == (Status.FAILED, OVERDUE)
    assert 0 < record.done[0] < STEPS
    assert place.record(other).status is Status.SUCCEEDED


def test_an_overdue_job_is_not_begun(place: Workplace, store: redis.Redis) -> None:
    """It leaves the queue; the sweep fails it."""
    job = place.submit(replace(a_request(), deadline_seconds=60))
    store.hset(job.record, "deadline", 1)
    place.batch.run()
    assert place.sampler.batches == []
    assert place.transitions(next_job("toy")).outcome is Outcome.EMPTY


def test_a_cancel_wins_over_the_deadline(place: Workplace, store: redis.Redis) -> None:
    """A caller who cancels gets no failure."""
    job = place.submit(replace(a_request(), deadline_seconds=60))

    def both() -> None:
        store.hset(job.record, "deadline", 1)
        place.transitions(cancel(job))

    place.sampler.between = both
    place.batch.run()
    assert place.record(job).status is Status.CANCELED


def test_a_lost_lease_drops_the_job_without_a_word(place: Workplace, store: redis.Redis) -> None:
    """Who took over is not disturbed."""
    job = place.submit(a_request())

    def steal() -> None:
        if len(place.sampler.batches) == 2:
            store.hset(job.record, "token", "thief")

    place.sampler.between = steal
    place.batch.run()
    record = place.record(job)
    assert (record.status, record.done) == (Status.RUNNING, (2,))


def test_a_stopping_worker_releases_its_jobs(place: Workplace) -> None:
    """After the slice in hand."""
    job = place.submit(a_request())
    place.sampler.between = lambda: setattr(place.tickets, "stopping", True)
    place.batch.run()
    record = place.record(job)
    assert (record.status, record.done, record.attempts, record.lease_until) == (Status.RUNNING, (1,), 0, 0)


def test_an_image_that_cannot_be_generated_fails_its_job_alone(place: Workplace) -> None:
    """Its neighbours in the batch finish."""
    bad, good = place.submit(a_request(seed=13)), place.submit(a_request(seed=1))
    place.batch.run()
    assert place.record(bad).status is Status.FAILED
    assert place.record(bad).error is not None
    assert place.record(good).status is Status.SUCCEEDED


def test_a_ticket_without_a_waiting_job_does_nothing(place: Workplace) -> None:
    """As after a cancel."""
    place.transitions(cancel(place.submit(a_request())))
    place.batch.run()
    assert (place.sampler.batches, place.tickets.discarded) == ([], 0)


def test_a_queue_entry_whose_job_cannot_be_acquired_stops_no_other(place: Workplace, store: redis.Redis) -> None:
    """Its record is gone, or of another type, or an earlier release has ended the job."""
    gone, other_type, ended, good = (place.submit(a_request(seed=seed)) for seed in range(4))
    store.delete(gone.record, other_type.record)
    store.set(other_type.record, "text")
    store.hset(ended.record, "status", "succeeded")
    place.batch.run()
    assert place.record(good).status is Status.SUCCEEDED
    assert store.zcard(waiting_key("toy", "")) == 0


def test_a_job_of_an_owner_with_few_images_joins_a_full_batch(place: Workplace) -> None:
    """Others' jobs wait until one leaves; a batch job waits too."""
    flood = [place.submit(replace(a_request(seed=100 * n, num_images=4), owner="many")) for n in (1, 2, 3, 4)]
    late: list[Keys] = []

    def arrive() -> None:
        if len(place.sampler.batches) == 3:
            for number, priority in enumerate((Priority.BATCH, Priority.INTERACTIVE)):
                late.append(place.submit(replace(a_request(seed=number), owner="few", priority=priority)))

    place.sampler.between = arrive
    place.batch.run()
    first = {seed: next(i for i, batch in enumerate(place.sampler.batches) if seed in dict(batch)) for seed in (0, 1)}
    assert first[1] - 3 <= 2
    assert first[0] > 2 * STEPS - 2
    assert len({seed // 100 for batch in place.sampler.batches[: 2 * STEPS - 2] for seed, _ in batch if seed > 1}) == 2
    assert all(place.record(job).status is Status.SUCCEEDED for job in [*flood, *late])


def test_a_job_complete_before_its_worker_died_is_finished(place: Workplace) -> None:
    """Death between the last slice and the end loses nothing."""
    request = a_request()
    job, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    for step in range(STEPS):
        place.transitions(dead.append(an_entry(step)))
    place.transitions(dead.release())
    place.batch.run()
    assert place.sampler.batches == []
    assert place.record(job).status is Status.SUCCEEDED


def test_a_round_is_limited_to_ten_times_its_pace(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a round of its network was measured, so that a device that hangs does not keep its jobs."""
    limits: list[float | None] = []
    limited = Heartbeat.round

    def remembered(heartbeat: Heartbeat, limit_seconds: float | None) -> AbstractContextManager[None]:
        limits.append(limit_seconds)
        return limited(heartbeat, limit_seconds)

    monkeypatch.setattr(Heartbeat, "round", remembered)
    place.pace.round(Stage.BASE, lanes=1, seconds=0.5)
    place.submit(a_request())
    place.batch.run()
    first, second, *_ = limits
    assert first == pytest.approx(5)
    assert second is None


def test_the_cost_of_joining_grows_with_the_jobs_that_join(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of the jobs that are already live are not counted again for each of them."""
    jobs, calls, rows = 60, 0, LiveJob.rows

    def counted(job: LiveJob) -> Iterator[BatchRow]:
        nonlocal calls
        calls += 1
        return rows(job)

    monkeypatch.setattr(LiveJob, "rows", counted)
    place.sampler.capacity = jobs
    place.sampler.between = lambda: setattr(place.tickets, "stopping", True)
    for number in range(jobs):
        place.submit(a_request(seed=100 + number))
    place.batch.run()
    assert len(place.sampler.batches[0]) == jobs
    assert calls < 5 * jobs

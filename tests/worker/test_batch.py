"""The loop over a real Redis, with a sampler that draws known images and tickets from a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
import redis

from models.cards import ModelCard
from models.config import Stage, Step
from models.pipeline import ImageState
from service.contract.record import OVERDUE, JobRecord
from service.contract.redis_keys import Keys
from service.contract.request import JobRequest
from service.contract.statuses import EventKind, Status
from service.contract.transitions import Transitions, cancel, create
from tests.harness.drawing import GEOMETRY, a_claim, a_picture, a_request, acquire, an_entry, events_of
from tests.harness.toy import toy_card
from worker.batch import Batch
from worker.jobs.lease import Heartbeat
from worker.jobs.live_job import LiveJob, Ticket
from worker.jobs.publish import LeaseTerms, Publisher
from worker.scheduler import BatchRow
from worker.telemetry.pace_estimator import PaceEstimator

STEPS = len(GEOMETRY.steps)
TERMS = LeaseTerms(weights="w", numerics="n", lease_seconds=30, max_attempts=3)


class KnownSampler:
    """Draws `a_picture(seed)`; calls `between` before each batch; fails on seed 13."""

    def __init__(self) -> None:
        self.card: ModelCard = toy_card(GEOMETRY)
        self.capacity = 4
        self.batches: list[tuple[tuple[int, Step | None], ...]] = []
        self.between: Callable[[], object] = int
        self.scores: set[float | None] = set()

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each."""
        self.between()
        assert len({state.progress.next.stage for state in states if state.progress.next}) == 1
        if any(state.seed == 13 for state in states):
            raise RuntimeError("not a number")
        self.scores |= {state.score for state in states}
        self.batches.append(tuple((state.seed, state.progress.next) for state in states))
        return [self._generated(state) for state in states]

    def _generated(self, state: ImageState) -> ImageState:
        values = a_picture(state.seed).slices[state.progress.done]
        return replace(state, progress=state.progress.with_slice(values))


class ListTicketSource:
    """Tickets from a list."""

    def __init__(self) -> None:
        self.stopping = False
        self.waiting: list[Ticket] = []
        self.closed: list[Ticket] = []

    def take(self) -> Ticket | None:
        """The next one."""
        return self.waiting.pop(0) if self.waiting else None

    def close(self, ticket: Ticket) -> None:
        """Remember it."""
        self.closed.append(ticket)

    def beat(self) -> None:
        """Nothing to keep alive."""


class Workplace:
    """A batch and all around it."""

    def __init__(self, client: redis.Redis) -> None:
        self.client, self.transitions = client, Transitions(client)
        self.sampler, self.tickets = KnownSampler(), ListTicketSource()
        heartbeat = Heartbeat(client, model="toy", worker="test", lease_seconds=30, seconds=60)
        publisher = Publisher(client, model="toy", terms=TERMS)
        self.pace = PaceEstimator(client, model="toy", capacity=4)
        self.batch = Batch(self.sampler, publisher=publisher, heartbeat=heartbeat, tickets=self.tickets, pace=self.pace)

    def submit(self, request: JobRequest) -> Ticket:
        """A created job's ticket."""
        self.transitions(create(request, bound=100))
        return Ticket(id=f"{request.id}-1", job=request.id)

    def record(self, ticket: Ticket) -> JobRecord:
        """How its job stands."""
        return JobRecord.decode(self.client.hgetall(Keys(id=ticket.job, model="toy").record))


@pytest.fixture
def place(store: redis.Redis) -> Workplace:
    """An empty one."""
    return Workplace(store)


def test_a_job_is_generated_and_finished(place: Workplace) -> None:
    """All slices, one final status, its ticket closed."""
    ticket = place.submit(a_request(num_images=2))
    place.batch.run(ticket)
    record = place.record(ticket)
    assert (record.status, record.done) == (Status.SUCCEEDED, (STEPS, STEPS))
    assert place.tickets.closed == [ticket]


def test_waiting_jobs_join_and_share_batches(place: Workplace) -> None:
    """A newcomer gets its first slice at the next boundary, then both advance together."""
    first, second = place.submit(a_request(seed=1)), place.submit(a_request(seed=2))

    def arrive() -> None:
        if len(place.sampler.batches) == 2:
            place.tickets.waiting.append(second)

    place.sampler.between = arrive
    place.batch.run(first)
    assert [place.record(t).status for t in (first, second)] == [Status.SUCCEEDED] * 2
    assert place.sampler.batches[3][0][0] == 2
    assert any(len(batch) == 2 for batch in place.sampler.batches)


def test_a_job_resumes_after_its_last_slice(place: Workplace, store: redis.Redis) -> None:
    """What another worker generated is not generated again."""
    request = a_request(seed=5)
    ticket, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(an_entry(0, seed=5)))
    place.transitions(dead.release())
    place.batch.run(ticket)
    assert len(place.sampler.batches) == STEPS - 1
    assert [event.kind for event in events_of(store, dead)].count(EventKind.SLICE) == STEPS


def test_a_job_taken_over_keeps_its_score(place: Workplace) -> None:
    """It came with the base slice, which is not generated again: the answer and the sampler's state have it."""
    request = a_request(seed=5)
    ticket, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(replace(an_entry(0, seed=5), score=0.625)))
    place.transitions(dead.release())
    place.batch.run(ticket)
    assert place.record(ticket).scores == (0.625,)
    assert place.sampler.scores == {0.625}


def test_a_job_taken_over_is_a_newcomer(place: Workplace) -> None:
    """Its next slice here does not wait for who came first, at another network."""
    first, request = place.submit(a_request(seed=1)), a_request(seed=5)
    second, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(an_entry(0, seed=5)))
    place.transitions(dead.release())

    def arrive() -> None:
        if len(place.sampler.batches) == STEPS - 2:
            place.tickets.waiting.append(second)

    place.sampler.between = arrive
    place.batch.run(first)
    assert [seed for (seed, _), *_ in place.sampler.batches[STEPS - 2 :][:3]] == [1, 5, 1]


def test_a_job_of_other_weights_begins_anew(place: Workplace, store: redis.Redis) -> None:
    """And says so."""
    request = a_request(seed=5)
    ticket, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead, weights="old"))
    place.transitions(dead.append(an_entry(0)))
    place.transitions(dead.release())
    place.batch.run(ticket)
    assert len(place.sampler.batches) == STEPS
    assert EventKind.RESTARTED in [event.kind for event in events_of(store, dead)]
    assert place.record(ticket).status is Status.SUCCEEDED


def test_a_canceled_job_stops_at_the_next_boundary(place: Workplace) -> None:
    """Its slices stay, its neighbour goes on."""
    stopped, other = place.submit(a_request(seed=1)), place.submit(a_request(seed=2))
    place.tickets.waiting.append(other)

    def stop() -> None:
        if len(place.sampler.batches) == 2:
            place.transitions(cancel(Keys(id=stopped.job, model="toy")))

    place.sampler.between = stop
    place.batch.run(stopped)
    assert place.record(stopped).status is Status.CANCELED
    assert place.record(stopped).done[0] > 0
    assert place.record(other).status is Status.SUCCEEDED


def test_an_overdue_job_fails_at_the_next_boundary(place: Workplace, store: redis.Redis) -> None:
    """Its slices stay, its neighbour goes on."""
    late, other = place.submit(replace(a_request(seed=1), deadline_seconds=60)), place.submit(a_request(seed=2))
    place.tickets.waiting.append(other)

    def time_passes() -> None:
        if len(place.sampler.batches) == 2:
            store.hset(Keys(id=late.job, model="toy").record, "deadline", 1)

    place.sampler.between = time_passes
    place.batch.run(late)
    record = place.record(late)
    assert (record.status, record.error) == (Status.FAILED, OVERDUE)
    assert 0 < record.done[0] < STEPS
    assert place.record(other).status is Status.SUCCEEDED


def test_an_overdue_job_is_not_begun(place: Workplace, store: redis.Redis) -> None:
    """Its ticket is closed; the sweep fails it."""
    ticket = place.submit(replace(a_request(), deadline_seconds=60))
    store.hset(Keys(id=ticket.job, model="toy").record, "deadline", 1)
    place.batch.run(ticket)
    assert place.sampler.batches == []
    assert place.tickets.closed == [ticket]


def test_a_cancel_wins_over_the_deadline(place: Workplace, store: redis.Redis) -> None:
    """A caller who cancels gets no failure."""
    ticket = place.submit(replace(a_request(), deadline_seconds=60))

    def both() -> None:
        store.hset(Keys(id=ticket.job, model="toy").record, "deadline", 1)
        place.transitions(cancel(Keys(id=ticket.job, model="toy")))

    place.sampler.between = both
    place.batch.run(ticket)
    assert place.record(ticket).status is Status.CANCELED


def test_a_lost_lease_drops_the_job_without_a_word(place: Workplace, store: redis.Redis) -> None:
    """Who took over is not disturbed."""
    ticket = place.submit(a_request())

    def steal() -> None:
        if len(place.sampler.batches) == 2:
            store.hset(Keys(id=ticket.job, model="toy").record, "token", "thief")

    place.sampler.between = steal
    place.batch.run(ticket)
    record = place.record(ticket)
    assert (record.status, record.done) == (Status.RUNNING, (2,))
    assert place.tickets.closed == [ticket]


def test_a_stopping_worker_releases_its_jobs(place: Workplace) -> None:
    """After the slice in hand."""
    ticket = place.submit(a_request())
    place.sampler.between = lambda: setattr(place.tickets, "stopping", True)
    place.batch.run(ticket)
    record = place.record(ticket)
    assert (record.status, record.done, record.attempts, record.lease_until) == (Status.RUNNING, (1,), 0, 0)


def test_an_image_that_cannot_be_generated_fails_its_job_alone(place: Workplace) -> None:
    """Its neighbours in the batch finish."""
    bad, good = place.submit(a_request(seed=13)), place.submit(a_request(seed=1))
    place.tickets.waiting.append(good)
    place.batch.run(bad)
    assert place.record(bad).status is Status.FAILED
    assert place.record(bad).error is not None
    assert place.record(good).status is Status.SUCCEEDED


def test_a_ticket_whose_job_is_over_is_closed(place: Workplace) -> None:
    """A late delivery does nothing."""
    ticket = place.submit(a_request())
    place.transitions(cancel(Keys(id=ticket.job, model="toy")))
    place.batch.run(ticket)
    assert place.sampler.batches == []
    assert place.tickets.closed == [ticket]


def test_a_job_complete_before_its_worker_died_is_finished(place: Workplace) -> None:
    """Death between the last slice and the end loses nothing."""
    request = a_request()
    ticket, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    for step in range(STEPS):
        place.transitions(dead.append(an_entry(step)))
    place.transitions(dead.release())
    place.batch.run(ticket)
    assert place.sampler.batches == []
    assert place.record(ticket).status is Status.SUCCEEDED


def test_a_round_is_limited_to_ten_times_its_pace(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a round of its network was measured, so that a device that hangs does not keep its jobs."""
    limits: list[float | None] = []
    limited = Heartbeat.round

    def remembered(heartbeat: Heartbeat, limit_seconds: float | None) -> AbstractContextManager[None]:
        limits.append(limit_seconds)
        return limited(heartbeat, limit_seconds)

    monkeypatch.setattr(Heartbeat, "round", remembered)
    place.pace.round(Stage.BASE, lanes=1, seconds=0.5)
    place.batch.run(place.submit(a_request()))
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
    tickets = [place.submit(a_request(seed=100 + number)) for number in range(jobs)]
    place.tickets.waiting = tickets[1:]
    place.batch.run(tickets[0])
    assert len(place.sampler.batches[0]) == jobs
    assert calls < 5 * jobs

"""How jobs fail: alone, for a reason that is published, over a real Redis; their neighbours finish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from models.pipeline import ImageState, Pipeline
from service.contract.problem_types import BROKEN, NOT_FINITE, POISONED, TOO_LARGE, UNREADABLE
from service.contract.record import Problem
from service.contract.redis_keys import Keys
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.contract.transitions import create, requeue
from tests.harness.drawing import a_claim, a_request, acquire, an_entry, events_of
from tests.worker.test_batch import STEPS, TERMS, KnownSampler, Workplace
from worker.batch import Batch, SliceSampler
from worker.errors import BoardTooLargeError, DeviceLostError, RoundTooLargeError
from worker.jobs.lease import Heartbeat
from worker.jobs.publish import AcquiredJob, LeaseTerms, Publisher
from worker.telemetry.rounds import MeasuredSampler


@pytest.fixture
def place(store: redis.Redis) -> Workplace:
    """A batch and all around it."""
    return Workplace(store)


def run_together(place: Workplace, requests: Sequence[JobRequest]) -> list[Keys]:
    """All of them waiting when the batch begins."""
    jobs = [place.submit(request) for request in requests]
    place.batch.run()
    return jobs


def how(place: Workplace, jobs: Sequence[Keys]) -> list[Problem | Status]:
    """Why each failed, or how it stands."""
    records = [place.record(job) for job in jobs]
    return [record.error or record.status for record in records]


def employ(place: Workplace, sampler: SliceSampler) -> None:
    """Let the batch draw with `sampler`."""
    terms = LeaseTerms(weights="w", numerics="n", lease_seconds=30, max_attempts=3)
    heartbeat = Heartbeat(place.client, model="toy", worker="test", lease_seconds=30, seconds=60)
    publisher = Publisher(place.client, model="toy", terms=terms)
    place.batch = Batch(sampler, publisher=publisher, heartbeat=heartbeat, tickets=place.tickets, pace=place.pace)


class Tight(KnownSampler):
    """No more than `rows` images fit; keeps how many were tried."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows, self.tried = rows, list[int]()

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each, if they fit."""
        self.tried.append(len(states))
        if len(states) > self.rows:
            raise RoundTooLargeError("as a test")
        return super().advance(states)


class Lost(KnownSampler):
    """A sampler whose device does not work any more."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Raise an error."""
        raise DeviceLostError(f"{len(states)} rows, as a test")


def test_a_batch_that_does_not_fit_is_halved_once_and_stays_so(place: Workplace) -> None:
    """All jobs finish, and no later round of this batch is tried with more."""
    employ(place, sampler := Tight(2))
    jobs = run_together(place, [a_request(seed=seed) for seed in range(4)])
    assert how(place, jobs) == [Status.SUCCEEDED] * 4
    assert max(sampler.tried) > 2
    assert all(count <= 2 for count in sampler.tried[sampler.tried.index(max(sampler.tried)) + 1 :])


def test_the_next_batch_tries_the_full_size_again(place: Workplace) -> None:
    """Memory that somebody else took for a while is not missed for ever."""
    employ(place, sampler := Tight(2))
    run_together(place, [a_request(seed=seed) for seed in range(4)])
    before = len(sampler.tried)
    run_together(place, [a_request(seed=seed) for seed in range(4)])
    assert max(sampler.tried[before:]) > 2


def test_an_image_that_does_not_fit_alone_fails_its_job(place: Workplace) -> None:
    """Rather than being tried for ever."""
    employ(place, Tight(0))
    assert how(place, run_together(place, [a_request(seed=1), a_request(seed=2)])) == [TOO_LARGE] * 2


class Full(KnownSampler):
    """A sampler on a GPU whose memory is full."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Raise an error in the second round."""
        if self.batches:
            raise BoardTooLargeError("as a test")
        return super().advance(states)


def test_a_board_that_is_too_large_returns_all_jobs(place: Workplace) -> None:
    """With their slices and without an attempt spent: the same worker continues them with a smaller one."""
    employ(place, Full())
    jobs = [place.submit(a_request(seed=seed)) for seed in (1, 2)]
    with pytest.raises(BoardTooLargeError):
        place.batch.run()
    for record in map(place.record, jobs):
        assert (record.status, record.done, record.attempts, record.lease_until) == (Status.RUNNING, (1,), 0, 0)


@pytest.mark.parametrize("at", range(8))
def test_of_eight_jobs_the_broken_one_fails_and_seven_finish(place: Workplace, at: int) -> None:
    """Wherever it stands in the batch."""
    place.sampler.capacity = 8
    seeds = [13 if number == at else number for number in range(8)]
    jobs = run_together(place, [a_request(seed=seed) for seed in seeds])
    assert how(place, jobs) == [BROKEN if seed == 13 else Status.SUCCEEDED for seed in seeds]


def test_a_lost_device_ends_the_batch_and_fails_no_job(place: Workplace) -> None:
    """It is no fault of theirs: the leases run out, another process goes on."""
    employ(place, Lost())
    job = place.submit(a_request())
    with pytest.raises(DeviceLostError):
        place.batch.run()
    assert how(place, [job]) == [Status.RUNNING]


def test_logits_that_are_no_numbers_fail_their_job_alone(place: Workplace, store: redis.Redis, models: Path) -> None:
    """Through the real networks, of which one colour's embedding was hit: whoever asks for it fails, others finish with
    the pixels they would have had.
    """
    pipeline = Pipeline.load(models / "toy", capacity=4)
    requests = [replace(a_request(seed=1), controls=({"hue": hue},)) for hue in ("red", "blue")]
    generated = {}
    for name in ("calm", "hit"):
        employ(place, MeasuredSampler(pipeline))
        fresh = [replace(request, id=f"{request.id}{name}") for request in requests]
        generated[name] = how(place, run_together(place, fresh)), [e.slice for e in events_of(store, a_claim(fresh[1]))]
        for stage in pipeline.card.config.geometry.stages:
            pipeline.network(stage).get_parameter("embedder.controls.1.weight")[1] = float("nan")
    assert generated["calm"][0] == [Status.SUCCEEDED, Status.SUCCEEDED]
    assert generated["hit"][0] == [NOT_FINITE, Status.SUCCEEDED]
    pixels = {name: [s.values.tobytes() for s in slices if s] for name, (_, slices) in generated.items()}
    assert pixels["hit"] == pixels["calm"]
    assert len(pixels["hit"]) == STEPS


@pytest.mark.parametrize("field", ["request", "stream"])
def test_a_job_that_cannot_be_read_fails_alone(place: Workplace, store: redis.Redis, field: str) -> None:
    """Written by a newer version, or damaged: its reason is published, its neighbour finishes."""
    bad, good = a_request(seed=1), a_request(seed=2)
    jobs = [place.submit(bad), place.submit(good)]
    if field == "request":
        store.hset(bad.keys.record, "request", bad.to_json().replace(b'"seed"', b'"grain"'))
    else:
        returned = a_claim(bad)
        place.transitions(acquire(returned))
        place.transitions(returned.release())
        store.xadd(bad.keys.stream, {"event": "slice", "image": 0, "version": 99})
    place.batch.run()
    assert store.hget(bad.keys.record, "error") == UNREADABLE.to_json()
    assert place.record(jobs[1]).status is Status.SUCCEEDED


@pytest.mark.parametrize("resumed", [False, True])
def test_a_job_whose_stream_was_overwritten_ends_no_batch(
    place: Workplace, store: redis.Redis, *, resumed: bool
) -> None:
    """Nor is it next for ever, although no end of it can be written. Its record stays; the other job is finished."""
    bad, good = a_request(seed=1), a_request(seed=2)
    jobs = [place.submit(bad), place.submit(good)]
    if resumed:
        returned = a_claim(bad)
        place.transitions(acquire(returned))
        place.transitions(returned.append(an_entry(0, seed=1)))
        place.transitions(returned.release())
    store.delete(bad.keys.stream)
    store.set(bad.keys.stream, "no stream")
    for _ in range(TERMS.max_attempts + 2):
        place.batch.run()
        store.hset(bad.keys.record, "lease_until", 0)
        place.transitions(requeue(jobs[0]))
    store.hset(bad.keys.record, "canceling", 1)
    place.batch.run()
    assert place.record(jobs[1]).status is Status.SUCCEEDED
    assert place.record(jobs[0]).status is (Status.RUNNING if resumed else Status.QUEUED)


class Killer(KnownSampler):
    """A worker dies of seed 66: everything breaks off, as at a kill, and no lease is given back."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each, but for that one."""
        if any(state.seed == 66 for state in states):
            self.batches.append(tuple((state.seed, None) for state in states))
            raise SystemExit
        return super().advance(states)


def lives(place: Workplace, jobs: Sequence[Keys]) -> int:
    """How many workers die until all jobs have ended; each finds the leases of the last one run out."""
    deaths = 0
    while any(not place.record(job).status.final for job in jobs):
        try:
            place.batch.run()
        except SystemExit:
            deaths += 1
        for job in jobs:
            place.client.hset(job.record, "lease_until", 0)
            place.transitions(requeue(job))
    return deaths


@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_job_that_kills_its_worker_ends_alone_after_three_attempts(place: Workplace, at: int) -> None:
    """Its seven neighbours finish, though it dies among them first; then it dies alone, and is given up."""
    killer = Killer()
    killer.capacity = 8
    employ(place, killer)
    seeds = [66 if number == at else number for number in range(8)]
    jobs = [place.submit(a_request(seed=seed)) for seed in seeds]
    assert lives(place, jobs) == 3
    assert how(place, jobs) == [POISONED if seed == 66 else Status.SUCCEEDED for seed in seeds]
    killing = [batch for batch in killer.batches if any(seed == 66 for seed, _ in batch)]
    assert [len(batch) for batch in killing[1:]] == [1, 1]
    assert len(killing[0]) > 1


def test_a_suspect_waits_for_newcomers_and_then_draws_alone(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has nothing new yet could be lost with it: those come first. After one slice it is a job like any other."""
    request = a_request(seed=5)
    suspect, dead = place.submit(request), a_claim(request)
    place.transitions(acquire(dead))
    place.client.hset(dead.keys.record, "lease_until", 1)
    others = [place.submit(a_request(seed=seed)) for seed in (1, 2, 3)]

    take = Publisher.take

    def taken(publisher: Publisher, job: str) -> AcquiredJob | None:
        """Its lease runs out while jobs join: it is third."""
        if job == others[1].id:
            place.transitions(requeue(suspect))
        return take(publisher, job)

    monkeypatch.setattr(Publisher, "take", taken)
    place.batch.run()
    generated = [{seed for seed, _ in batch} for batch in place.sampler.batches]
    assert generated[:2] == [{1, 2}, {5}]
    assert {5} < generated[2] | generated[3] | generated[4]
    assert how(place, [suspect, *others]) == [Status.SUCCEEDED] * 4


def test_a_job_handed_back_is_no_suspect(place: Workplace) -> None:
    """A drained worker is no dead one: its jobs share a batch at once."""
    request = a_request(seed=5)
    place.submit(request)
    drained = a_claim(request)
    place.transitions(acquire(drained))
    place.transitions(drained.append(an_entry(0, seed=5)))
    place.transitions(drained.release())
    other = a_request(seed=6)
    place.transitions(create(other, bound=100))
    claim = a_claim(other)
    place.transitions(acquire(claim))
    place.transitions(claim.append(an_entry(0, seed=6)))
    place.transitions(claim.release())
    place.batch.run()
    assert len(place.sampler.batches[0]) == 2

"""Limits per owner and deadlines in the transition table, over a real Redis."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import redis

from service.contract.record import OVERDUE, JobRecord
from service.contract.redis_keys import ENDED, deadlines_key, owned_key
from service.contract.request import JobRequest
from service.contract.statuses import Status
from service.contract.transitions import (
    Call,
    Idempotency,
    Limits,
    Outcome,
    Transitions,
    cancel,
    create,
    expire,
    overdue,
    requeue,
)
from tests.harness.drawing import a_claim, a_request, acquire, an_entry, record_of

BOUND = 100
MANY = 24


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def a_job(owner: str = "studio", *, deadline_seconds: int = 60, retention_seconds: int = 60) -> JobRequest:
    """A job of an owner."""
    job = a_request(retention_seconds=retention_seconds)
    return replace(job, owner=owner, deadline_seconds=deadline_seconds)


def limited(job: JobRequest, *, per_minute: int = 0, concurrent: int = 0, key: str = "") -> Call:
    """A create call under limits."""
    once = Idempotency(key=key, fingerprint="f") if key else None
    return create(job, bound=BOUND, limits=Limits(per_minute=per_minute, concurrent=concurrent), idempotency=once)


def age(store: redis.Redis, job: JobRequest, *, seconds: float) -> None:
    """As if the job had been submitted so long ago."""
    store.zincrby(owned_key(job.owner, "submits"), -1000 * seconds, job.id)


def pass_deadline(store: redis.Redis, job: JobRequest, *, by_seconds: float = 0) -> None:
    """As if the job's time had been up for so long."""
    at = int(1000 * (time.time() - by_seconds)) - 1
    store.hset(job.keys.record, "deadline", at)
    store.zadd(deadlines_key(job.model), {job.id: at})
    store.zadd(owned_key(job.owner, "active"), {job.id: at})


def test_an_owner_submits_so_many_in_any_minute(store: redis.Redis, transitions: Transitions) -> None:
    """The next one is refused until the oldest is a minute old, and the refusal says when that is."""
    jobs = [a_job(), a_job()]
    for job in jobs:
        assert transitions(limited(job, per_minute=2)).outcome is Outcome.DONE
    refused = transitions(limited(a_job(), per_minute=2))
    assert (refused.outcome, refused.value) == (Outcome.RATE_LIMITED, "60")
    age(store, jobs[0], seconds=59.6)
    again = transitions(limited(a_job(), per_minute=2))
    assert (again.outcome, again.value) == (Outcome.RATE_LIMITED, "1")
    time.sleep(0.5)
    assert transitions(limited(a_job(), per_minute=2)).outcome is Outcome.DONE
    assert transitions(limited(a_job(), per_minute=2)).outcome is Outcome.RATE_LIMITED


def test_a_lowered_rate_says_honestly_when_to_come_again(store: redis.Redis, transitions: Transitions) -> None:
    """As many as are too many must be a minute old, not the oldest alone."""
    jobs = [a_job() for _ in range(3)]
    for job, seconds in zip(jobs, (50, 40, 30), strict=True):
        transitions(limited(job, per_minute=3))
        age(store, job, seconds=seconds)
    assert transitions(limited(a_job(), per_minute=2)).value == "20"


def test_a_refused_submit_leaves_nothing_and_does_not_count(store: redis.Redis, transitions: Transitions) -> None:
    """Who is refused over and over need not wait longer for it."""
    transitions(limited(a_job(), per_minute=1, concurrent=1))
    before = {key: store.dump(key) for key in store.scan_iter()}
    for limits in (Limits(per_minute=1), Limits(concurrent=1)):
        assert transitions(create(a_job(), bound=BOUND, limits=limits)).outcome is not Outcome.DONE
    assert {key: store.dump(key) for key in store.scan_iter()} == before


def test_an_owner_has_so_many_jobs_that_have_not_ended(transitions: Transitions) -> None:
    """Queued and running alike; each that ends, however it does, makes room for one."""
    first, second = a_job(), a_job()
    for job in (first, second):
        assert transitions(limited(job, concurrent=2)).outcome is Outcome.DONE
    claim = a_claim(first)
    transitions(acquire(claim))
    assert transitions(limited(a_job(), concurrent=2)).outcome is Outcome.CONCURRENCY_LIMITED
    transitions(claim.finish())
    third = a_job()
    assert transitions(limited(third, concurrent=2)).outcome is Outcome.DONE
    transitions(cancel(second.keys))
    assert transitions(limited(a_job(), concurrent=2)).outcome is Outcome.DONE
    assert transitions(limited(a_job(), concurrent=2)).outcome is Outcome.CONCURRENCY_LIMITED


def test_limits_are_each_owners_own(transitions: Transitions) -> None:
    """One owner's haste is not another's, nor everybody's."""
    transitions(limited(a_job("studio"), per_minute=1, concurrent=1))
    for owner in ("ci", ""):
        assert transitions(limited(a_job(owner), per_minute=1, concurrent=1)).outcome is Outcome.DONE


def test_a_replay_is_neither_refused_nor_counted(transitions: Transitions) -> None:
    """A caller who asks again for the job that is there takes nothing."""
    job = a_job()
    transitions(limited(job, per_minute=2, concurrent=1, key="k"))
    for _ in range(3):
        reply = transitions(limited(a_job(), per_minute=2, concurrent=1, key="k"))
        assert (reply.outcome, reply.value) == (Outcome.REPLAY, job.id)
    assert transitions(limited(a_job(), per_minute=2)).outcome is Outcome.DONE


def test_an_idempotency_key_is_its_owners(transitions: Transitions) -> None:
    """The same key of another owner is another job; names and keys cannot be glued to one another."""
    for owner, key in (("studio", "k"), ("ci", "k"), ("", "k"), ("", "studio:k")):
        assert transitions(limited(a_job(owner), key=key)).outcome is Outcome.DONE


@pytest.mark.parametrize("limits", [Limits(per_minute=3), Limits(concurrent=3)])
def test_limits_hold_when_many_submit_at_once(limits: Limits, redis_url: str, transitions: Transitions) -> None:
    """Check and count are one step: of many at the same time exactly so many are accepted."""
    assert transitions(expire()).outcome is Outcome.DONE

    def submit(_: int) -> Outcome:
        with redis.Redis.from_url(redis_url) as client:
            return Transitions(client)(create(a_job(), bound=BOUND, limits=limits)).outcome

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(submit, range(MANY))).count(Outcome.DONE) == 3


def test_a_lost_record_does_not_block_its_owner_for_ever(store: redis.Redis, transitions: Transitions) -> None:
    """Past its deadline a job no longer counts."""
    job = a_job()
    transitions(limited(job, concurrent=1))
    store.delete(job.keys.record)
    assert transitions(limited(a_job(), concurrent=1)).outcome is Outcome.CONCURRENCY_LIMITED
    pass_deadline(store, job)
    assert transitions(limited(a_job(), concurrent=1)).outcome is Outcome.DONE


def test_a_full_queue_says_when_a_place_may_be_free(transitions: Transitions) -> None:
    """As fast as jobs ended in the last minute; a minute if none did."""
    transitions(create(a_job(), bound=1))
    assert transitions(create(a_job(), bound=1)).value == "60"
    for _ in range(6):
        ended = a_job()
        transitions(create(ended, bound=BOUND))
        transitions(cancel(ended.keys))
    assert transitions(create(a_job(), bound=1)).value == "10"


def test_a_job_is_listed_with_its_owner_until_it_expires(store: redis.Redis, transitions: Transitions) -> None:
    """Each owner's list loses what is no longer kept, and nothing else."""
    owners = ("studio", "ci", "")
    kept = {owner: a_job(owner) for owner in owners}
    for owner in owners:
        gone = a_job(owner, retention_seconds=0)
        transitions(limited(kept[owner]))
        transitions(limited(gone))
        transitions(cancel(gone.keys))
        transitions(cancel(kept[owner].keys))
    time.sleep(0.02)
    assert transitions(expire()).value == "3"
    for owner in owners:
        assert store.zrange(owned_key(owner, "jobs"), 0, -1) == [kept[owner].id.encode()]
        assert store.zcard(owned_key(owner, "active")) == 0
    assert store.zcard(ENDED) == 3


@pytest.mark.parametrize("held", [False, True])
def test_a_job_past_its_deadline_fails(held: bool, store: redis.Redis, transitions: Transitions) -> None:
    """Queued, or begun by a worker that is gone; what was drawn is kept."""
    job = a_job()
    claim = a_claim(job)
    transitions(limited(job))
    if held:
        transitions(acquire(claim, lease_seconds=0.02))
        transitions(claim.append(an_entry(0)))
        time.sleep(0.04)
    assert transitions(overdue(job.keys, grace_seconds=60)).outcome is Outcome.STALE
    pass_deadline(store, job)
    assert transitions(overdue(job.keys, grace_seconds=60)).outcome is Outcome.DONE
    record = record_of(store, claim)
    assert (record.status, record.error, record.done) == (Status.FAILED, OVERDUE, (int(held),))
    assert store.zcard(deadlines_key("toy")) == 0
    assert transitions(requeue(job.keys)).outcome is Outcome.ENDED


def test_a_worker_hears_of_the_deadline_with_every_write(store: redis.Redis, transitions: Transitions) -> None:
    """The slice still counts; then it fails the job itself."""
    job = a_job()
    claim = a_claim(job)
    transitions(limited(job))
    transitions(acquire(claim))
    assert transitions(claim.append(an_entry(0))).outcome is Outcome.DONE
    pass_deadline(store, job)
    assert transitions(claim.renew(lease_seconds=30)).outcome is Outcome.OVERDUE
    assert transitions(claim.append(an_entry(1))).outcome is Outcome.OVERDUE
    assert record_of(store, claim).done == (2,)
    assert transitions(claim.fail(OVERDUE)).outcome is Outcome.DONE


def test_a_worker_that_is_stuck_loses_an_overdue_job(store: redis.Redis, transitions: Transitions) -> None:
    """It has its grace to say so itself; one whose heart beats on while nothing moves holds nobody up."""
    job = a_job()
    claim = a_claim(job)
    transitions(limited(job))
    transitions(acquire(claim))
    pass_deadline(store, job, by_seconds=5)
    assert transitions(overdue(job.keys, grace_seconds=60)).outcome is Outcome.LEASED
    assert transitions(overdue(job.keys, grace_seconds=4)).outcome is Outcome.DONE
    assert transitions(claim.append(an_entry(0))).outcome is Outcome.ENDED


def test_an_overdue_job_is_not_acquired(store: redis.Redis, transitions: Transitions) -> None:
    """No attempt is spent on it."""
    job = a_job()
    transitions(limited(job))
    pass_deadline(store, job)
    assert transitions(acquire(a_claim(job))).outcome is Outcome.OVERDUE
    assert record_of(store, a_claim(job)).status is Status.QUEUED


def test_a_deadline_without_its_record_is_forgotten(store: redis.Redis, transitions: Transitions) -> None:
    """It is not asked about for ever."""
    job = a_job()
    transitions(limited(job))
    store.delete(job.keys.record)
    assert transitions(overdue(job.keys, grace_seconds=0)).outcome is Outcome.UNKNOWN
    assert store.zcard(deadlines_key("toy")) == 0


def test_a_record_of_an_older_version_lives_on(store: redis.Redis, transitions: Transitions) -> None:
    """Without owner and deadline it is everybody's and has all the time there is."""
    job = a_job("", deadline_seconds=0)
    transitions(limited(job))
    older = {
        name: value for name, value in json.loads(job.to_json()).items() if name not in {"owner", "deadline_seconds"}
    }
    store.hset(job.keys.record, "request", json.dumps(older))
    store.hdel(job.keys.record, "owner", "deadline")
    assert JobRecord.decode(store.hgetall(job.keys.record)).request == job
    assert transitions(overdue(job.keys, grace_seconds=0)).outcome is Outcome.STALE
    claim = a_claim(job)
    assert transitions(acquire(claim)).outcome is Outcome.DONE
    assert transitions(claim.append(an_entry(0))).outcome is Outcome.DONE
    assert transitions(claim.finish()).outcome is Outcome.DONE
    assert store.zrange(ENDED, 0, -1) == [job.id.encode()]

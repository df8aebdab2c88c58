"""What `release` leaves behind, and what is pruned from an owner's lists; over a real Redis."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
import redis

from service.contract.redis_keys import deadlines_key, owned_key, running_key
from service.contract.transitions import Outcome, Transitions, create, expire, next_job, overdue
from tests.harness.drawing import a_claim, a_request, a_running_job, acquire, an_entry, record_of


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def test_a_job_that_is_released_again_and_again_never_fails_for_it(transitions: Transitions) -> None:
    """A fruitless attempt is one whose worker was lost; a worker that drains spends none."""
    claim = a_running_job(transitions)
    for token in ("one", "two", "three"):
        assert transitions(claim.release()).outcome is Outcome.DONE
        claim = replace(claim, token=token)
        assert transitions(acquire(claim, max_attempts=1)).outcome is Outcome.DONE


def test_a_release_after_a_slice_gives_no_attempt_for_free(store: redis.Redis, transitions: Transitions) -> None:
    """The slice has set the count of fruitless attempts to zero; it stays there."""
    claim = a_running_job(transitions)
    transitions(claim.append(an_entry(0)))
    transitions(claim.release())
    assert store.hget(claim.keys.record, "fruitless") == b"0"
    lost = replace(claim, token="lost")
    assert transitions(acquire(lost, max_attempts=1)).outcome is Outcome.DONE
    store.hset(claim.keys.record, "lease_until", 1)
    assert transitions(acquire(replace(claim, token="next"), max_attempts=1)).outcome is Outcome.ENDED


def test_a_released_job_is_next_at_once(store: redis.Redis, transitions: Transitions) -> None:
    """Before jobs that were not started, whatever their owner's turn; and no lease of it ends any more."""
    transitions(create(replace(a_request(), owner="studio"), bound=9))
    claim = a_running_job(transitions)
    transitions(claim.release())
    record = record_of(store, claim)
    assert (record.lease_until, record.attempts) == (0, 0)
    assert store.zscore(running_key("toy"), claim.keys.id) == math.inf
    assert transitions(next_job("toy")).value == claim.keys.id


@pytest.mark.parametrize("end", ["finish", "overdue", "lost"])
def test_an_owners_active_list_holds_only_jobs_that_can_still_run(
    end: str, store: redis.Redis, transitions: Transitions
) -> None:
    """Each end removes the job from it, and the next submit those whose record is lost."""
    job = replace(a_request(), owner="studio", deadline_seconds=60)
    transitions(create(job, bound=9))
    active = owned_key("studio", "active")
    assert store.zrange(active, 0, -1) == [job.id.encode()]
    if end == "finish":
        claim = a_claim(job)
        transitions(acquire(claim))
        transitions(claim.finish())
    else:
        store.hset(job.keys.record, "deadline", 1)
        store.zadd(active, {job.id: 1})
        store.zadd(deadlines_key("toy"), {job.id: 1})
    if end == "overdue":
        transitions(overdue(job.keys, grace_seconds=0))
    if end == "lost":
        store.delete(job.keys.record)
        other = replace(a_request(), owner="studio")
        transitions(create(other, bound=9))
        assert store.zrange(active, 0, -1) == [other.id.encode()]
    else:
        assert store.zcard(active) == 0


def test_an_owners_list_of_jobs_loses_those_past_their_retention(store: redis.Redis, transitions: Transitions) -> None:
    """And no other owner's."""
    for owner in ("studio", "ci"):
        job = replace(a_request(retention_seconds=0 if owner == "ci" else 60), owner=owner)
        transitions(create(job, bound=9))
        transitions(a_claim(job).cancel())
    time.sleep(0.05)
    assert transitions(expire()).outcome is Outcome.DONE
    assert store.zcard(owned_key("ci", "jobs")) == 0
    assert store.zcard(owned_key("studio", "jobs")) == 1

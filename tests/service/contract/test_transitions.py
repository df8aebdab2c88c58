"""The transition table, over a real Redis: what each does, and what each refuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from service.contract.redis_keys import idempotency_key, model_keys, owned_key, queued_key, running_key, workers_key
from service.contract.request import Webhook
from service.contract.statuses import EventKind, Status, WebhookEvent
from service.contract.transitions import (
    Call,
    Claim,
    Idempotency,
    Outcome,
    Transitions,
    announce,
    cancel,
    create,
    expire,
    next_job,
    requeue,
    stored,
)
from tests.harness.drawing import POISONED, a_claim, a_request, a_running_job, acquire, an_entry, events_of, record_of

BRIEF = 0.02
WRITES: dict[str, Callable[[Claim], Call]] = {
    "renew": lambda claim: claim.renew(lease_seconds=30),
    "append": lambda claim: claim.append(an_entry(0)),
    "restart": lambda claim: claim.restart(weights="other", numerics="other"),
    "release": lambda claim: claim.release(),
    "finish": lambda claim: claim.finish(),
    "fail": lambda claim: claim.fail(POISONED),
}
ENDINGS: dict[Status, Callable[[Claim], Call]] = {
    Status.SUCCEEDED: lambda claim: claim.finish(),
    Status.FAILED: lambda claim: claim.fail(POISONED),
    Status.CANCELED: lambda claim: claim.cancel(),
}


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def kinds(store: redis.Redis, claim: Claim) -> list[EventKind]:
    """The kinds of all events of a job."""
    return [event.kind for event in events_of(store, claim)]


def test_create_queues_a_job_with_its_first_event(store: redis.Redis, transitions: Transitions) -> None:
    """A new job is queued, says so in its stream, and stands in its model's queue."""
    request = a_request(num_images=2)
    assert transitions(create(request, bound=1)).outcome is Outcome.DONE
    record = record_of(store, a_claim(request))
    assert (record.status, record.done, record.request) == (Status.QUEUED, (0, 0), request)
    assert kinds(store, a_claim(request)) == [EventKind.STATUS]
    assert store.zrange(queued_key("toy"), 0, -1) == [request.id.encode()]


def test_create_is_refused_when_the_queue_is_full(store: redis.Redis, transitions: Transitions) -> None:
    """The bound is checked where the job is made, and nothing is left of a refused one."""
    transitions(create(a_request(), bound=1))
    refused = a_request()
    assert transitions(create(refused, bound=1)).outcome is Outcome.FULL
    assert not store.exists(refused.keys.record, refused.keys.stream)


def test_a_full_queue_leaves_a_job_to_a_second_cell_and_its_key_remembers(
    store: redis.Redis, transitions: Transitions
) -> None:
    """Also when there is room again, so that a retry makes no second job. Without a key nothing is left of it."""
    first, once = a_request(), Idempotency(key="k", fingerprint="f")
    transitions(create(first, bound=1))
    before = set(store.keys())
    moved = transitions(create(a_request(), bound=1, second="01"))
    assert (moved.outcome, moved.value, set(store.keys())) == (Outcome.MOVED, "01", before)
    transitions(create(a_request(), bound=1, idempotency=once, second="01"))
    assert set(store.keys()) - before == {idempotency_key("k").encode()}
    assert 0 < store.ttl(idempotency_key("k")) <= once.seconds
    transitions(cancel(first.keys))
    for second in ("01", "02", ""):
        again = transitions(create(a_request(), bound=9, idempotency=once, second=second))
        assert (again.outcome, again.value) == (Outcome.MOVED, "01")


def test_an_idempotency_key_makes_one_job(transitions: Transitions) -> None:
    """The same key gives the first job again; with another body it is refused."""
    first, once = a_request(), Idempotency(key="k", fingerprint="f")
    assert transitions(create(first, bound=9, idempotency=once)).outcome is Outcome.DONE
    again = transitions(create(a_request(), bound=9, idempotency=once))
    assert (again.outcome, again.value) == (Outcome.REPLAY, first.id)
    other = Idempotency(key="k", fingerprint="g")
    assert transitions(create(a_request(), bound=9, idempotency=other)).outcome is Outcome.CLASH


def test_an_idempotency_key_is_free_again_once_its_job_is_gone(store: redis.Redis, transitions: Transitions) -> None:
    """A key never points to a job that is no longer kept."""
    first, once = a_request(), Idempotency(key="k", fingerprint="f")
    transitions(create(first, bound=9, idempotency=once))
    store.delete(first.keys.record)
    assert transitions(create(a_request(), bound=9, idempotency=once)).outcome is Outcome.DONE


def test_given_slices_are_the_start_of_every_picture(store: redis.Redis, transitions: Transitions) -> None:
    """A job with a start picture begins with its slices, also after a restart."""
    request = a_request(num_images=2, start_slices=2)
    transitions(create(request, bound=9, start=[an_entry(0), an_entry(1)]))
    claim = a_claim(request)
    assert record_of(store, claim).done == (2, 2)
    transitions(acquire(claim))
    transitions(claim.append(an_entry(2)))
    transitions(claim.restart(weights="other", numerics="n"))
    assert record_of(store, claim).done == (2, 2)


def test_acquire_makes_a_job_run(store: redis.Redis, transitions: Transitions) -> None:
    """The first acquire starts the job, once in the stream, and takes it off the queue."""
    claim = a_running_job(transitions)
    record = record_of(store, claim)
    assert (record.status, record.attempts, record.weights) == (Status.RUNNING, 1, "w")
    assert record.started_at > 0
    assert kinds(store, claim) == [EventKind.STATUS, EventKind.STATUS]
    assert store.zcard(queued_key("toy")) == 0
    assert store.zcard(running_key("toy")) == 1


def test_acquire_sent_twice_counts_once(store: redis.Redis, transitions: Transitions) -> None:
    """A worker whose connection broke may ask again with its token."""
    claim = a_running_job(transitions)
    assert transitions(acquire(claim)).outcome is Outcome.DONE
    assert record_of(store, claim).attempts == 1


def test_acquire_is_refused_while_a_lease_lives(transitions: Transitions) -> None:
    """Nobody takes a job from a worker that is alive."""
    claim = a_running_job(transitions)
    assert transitions(acquire(Claim(keys=claim.keys, token="other"))).outcome is Outcome.LEASED


def test_acquire_takes_over_once_the_lease_ran_out(store: redis.Redis, transitions: Transitions) -> None:
    """A silent worker loses its job; the job keeps its slices and its status."""
    claim = a_running_job(transitions)
    transitions(claim.append(an_entry(0)))
    transitions(claim.renew(lease_seconds=BRIEF))
    time.sleep(2 * BRIEF)
    assert transitions(acquire(Claim(keys=claim.keys, token="other"))).outcome is Outcome.DONE
    record = record_of(store, claim)
    assert (record.status, record.attempts, record.done) == (Status.RUNNING, 2, (1,))


@pytest.mark.parametrize("write", WRITES)
def test_a_zombie_can_write_nothing(write: str, store: redis.Redis, transitions: Transitions) -> None:
    """After a takeover the old token is void for every write."""
    zombie = a_running_job(transitions, lease_seconds=BRIEF)
    time.sleep(2 * BRIEF)
    transitions(acquire(Claim(keys=zombie.keys, token="other")))
    before = store.hgetall(zombie.keys.record)
    assert transitions(WRITES[write](zombie)).outcome is Outcome.LOST
    assert store.hgetall(zombie.keys.record) == before


@pytest.mark.parametrize("write", WRITES)
def test_a_queued_job_takes_no_writes(write: str, transitions: Transitions) -> None:
    """Who has not acquired a job cannot write, not even with the empty token."""
    request = a_request()
    transitions(create(request, bound=9))
    assert transitions(WRITES[write](a_claim(request))).outcome is Outcome.LOST
    assert transitions(WRITES[write](Claim(keys=request.keys, token=""))).outcome is Outcome.LOST


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("write", [*WRITES, "acquire", "cancel", "requeue"])
def test_a_final_status_is_never_left(ending: Status, write: str, store: redis.Redis, transitions: Transitions) -> None:
    """Whatever comes after the end changes nothing."""
    claim = a_running_job(transitions)
    others = {"acquire": acquire(claim), "cancel": claim.cancel(), "requeue": requeue(claim.keys)}
    call = others.get(write) or WRITES[write](claim)
    assert transitions(ENDINGS[ending](claim)).outcome is Outcome.DONE
    before = store.hgetall(claim.keys.record), kinds(store, claim)
    assert transitions(call).outcome is Outcome.ENDED
    assert (store.hgetall(claim.keys.record), kinds(store, claim)) == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ended_job_is_kept_for_its_retention(ending: Status, store: redis.Redis, transitions: Transitions) -> None:
    """Record and stream get their time to live at the end; the last event says how it ended."""
    claim = a_running_job(transitions)
    transitions(ENDINGS[ending](claim))
    record = record_of(store, claim)
    assert record.status is ending
    assert record.expires_at == record.finished_at + 600_000
    assert kinds(store, claim)[-1] == EventKind(ending)
    assert 0 < store.pttl(claim.keys.record) <= 600_000
    assert 0 < store.pttl(claim.keys.stream) <= 600_000
    assert store.zcard(running_key("toy")) == 0


def test_append_adds_each_slice_once(store: redis.Redis, transitions: Transitions) -> None:
    """The same slice again is accepted and ignored; a slice too far is refused."""
    claim = a_running_job(transitions)
    assert transitions(claim.append(an_entry(0), an_entry(0))).outcome is Outcome.DONE
    assert transitions(claim.append(an_entry(0))).outcome is Outcome.DONE
    assert transitions(claim.append(an_entry(2))).outcome is Outcome.GAP
    assert record_of(store, claim).done == (1,)
    assert kinds(store, claim).count(EventKind.SLICE) == 1


def test_restart_voids_the_slices(store: redis.Redis, transitions: Transitions) -> None:
    """Other weights begin anew, and the stream says so."""
    claim = a_running_job(transitions)
    transitions(claim.append(an_entry(0)))
    assert transitions(claim.restart(weights="other", numerics="n")).outcome is Outcome.DONE
    record = record_of(store, claim)
    assert (record.done, record.weights) == ((0,), "other")
    assert kinds(store, claim)[-1] is EventKind.RESTARTED


def test_release_spends_no_attempt(store: redis.Redis, transitions: Transitions) -> None:
    """A job handed back is still running, and at once to be had."""
    claim = a_running_job(transitions)
    assert transitions(claim.release()).outcome is Outcome.DONE
    record = record_of(store, claim)
    assert (record.status, record.attempts, record.lease_until) == (Status.RUNNING, 0, 0)
    assert transitions(acquire(a_claim(record.request))).outcome is Outcome.DONE


def test_a_queued_job_is_canceled_at_once(store: redis.Redis, transitions: Transitions) -> None:
    """Nobody has to be asked."""
    request = a_request()
    transitions(create(request, bound=9))
    assert transitions(cancel(request.keys)).outcome is Outcome.DONE
    assert record_of(store, a_claim(request)).status is Status.CANCELED
    assert store.zcard(queued_key("toy")) == 0


def test_a_running_job_is_canceled_by_its_worker(store: redis.Redis, transitions: Transitions) -> None:
    """The worker hears of it with its next write, which still counts, and then stops."""
    claim = a_running_job(transitions)
    assert transitions(cancel(claim.keys)).outcome is Outcome.CANCELING
    assert record_of(store, claim).status is Status.RUNNING
    assert transitions(claim.renew(lease_seconds=30)).outcome is Outcome.CANCELING
    assert transitions(claim.append(an_entry(0))).outcome is Outcome.CANCELING
    assert transitions(claim.cancel()).outcome is Outcome.DONE
    record = record_of(store, claim)
    assert (record.status, record.done) == (Status.CANCELED, (1,))


def test_an_orphaned_job_is_canceled_at_once(store: redis.Redis, transitions: Transitions) -> None:
    """A dead worker need not be asked."""
    claim = a_running_job(transitions, lease_seconds=BRIEF)
    time.sleep(2 * BRIEF)
    assert transitions(cancel(claim.keys)).outcome is Outcome.DONE
    assert record_of(store, claim).status is Status.CANCELED


@pytest.mark.parametrize("then", ["acquire", "release"])
def test_a_cancel_survives_its_worker(then: str, store: redis.Redis, transitions: Transitions) -> None:
    """A job that was asked to stop is not begun again by the next worker."""
    claim = a_running_job(transitions)
    assert transitions(cancel(claim.keys)).outcome is Outcome.CANCELING
    if then == "release":
        transitions(claim.release())
    else:
        store.hset(claim.keys.record, "lease_until", 1)
        assert transitions(acquire(Claim(keys=claim.keys, token="other"))).outcome is Outcome.ENDED
    assert record_of(store, claim).status is Status.CANCELED


def test_too_many_fruitless_attempts_fail_the_job(store: redis.Redis, transitions: Transitions) -> None:
    """The attempt after the last allowed one ends it, with the reason."""
    claim = a_running_job(transitions, lease_seconds=BRIEF)
    time.sleep(2 * BRIEF)
    refused = transitions(acquire(Claim(keys=claim.keys, token="other"), max_attempts=1))
    record = record_of(store, claim)
    assert refused.outcome is Outcome.ENDED
    assert (record.status, record.error) == (Status.FAILED, POISONED)


def test_an_attempt_with_a_slice_is_not_fruitless(transitions: Transitions) -> None:
    """A long job may lose any number of workers as long as it moves."""
    claim = a_running_job(transitions)
    transitions(claim.append(an_entry(0)))
    transitions(claim.renew(lease_seconds=BRIEF))
    time.sleep(2 * BRIEF)
    assert transitions(acquire(Claim(keys=claim.keys, token="other"), max_attempts=1)).outcome is Outcome.DONE


def test_requeue_lets_a_job_wait_once(store: redis.Redis, transitions: Transitions) -> None:
    """A second reaper changes nothing."""
    claim = a_running_job(transitions)
    store.hset(claim.keys.record, "lease_until", 1)
    assert [transitions(requeue(claim.keys)).outcome for _ in range(2)] == [Outcome.DONE, Outcome.STALE]
    assert transitions(next_job("toy")).value == claim.keys.id


def test_requeue_is_refused_while_a_lease_lives(transitions: Transitions) -> None:
    """A job at work needs no ticket."""
    assert transitions(requeue(a_running_job(transitions).keys)).outcome is Outcome.LEASED


@pytest.mark.parametrize("write", [*WRITES, "acquire", "cancel"])
def test_an_unknown_job_is_refused(write: str, store: redis.Redis, transitions: Transitions) -> None:
    """No transition but create makes a record."""
    calls = {**WRITES, "acquire": acquire, "cancel": Claim.cancel}
    claim = a_claim(a_request())
    assert transitions(calls[write](claim)).outcome is Outcome.UNKNOWN
    assert not store.exists(claim.keys.record)


def test_expire_forgets_jobs_past_their_retention(store: redis.Redis, transitions: Transitions) -> None:
    """The lists of jobs do not outgrow the jobs."""
    request = a_request(retention_seconds=0)
    transitions(create(request, bound=9))
    transitions(create(a_request(), bound=9))
    transitions(cancel(request.keys))
    time.sleep(BRIEF)
    assert transitions(expire()).value == "1"
    assert store.zcard(owned_key("", "jobs")) == 1


def test_a_worker_is_announced_until_its_time_runs_out(store: redis.Redis, transitions: Transitions) -> None:
    """Goodbye removes it at once, silence in time."""
    transitions(announce("toy", "quiet", seconds=BRIEF))
    transitions(announce("toy", "polite", seconds=30))
    time.sleep(2 * BRIEF)
    transitions(announce("toy", "new", seconds=30))
    transitions(announce("toy", "polite", seconds=0))
    assert store.zrange(workers_key("toy"), 0, -1) == [b"new"]


def test_a_complete_job_ends_once_it_is_stored(store: redis.Redis, transitions: Transitions) -> None:
    """Until then it has no final event and no webhook, and no list lets a worker or the reaper find it."""
    webhook = Webhook(url="https://example.com/", events=(WebhookEvent.SUCCEEDED,))
    request = replace(a_request(), webhook=webhook, deadline_seconds=60)
    transitions(create(request, bound=9, results=True))
    claim = a_claim(request)
    transitions(acquire(claim))
    assert transitions(claim.finish()).outcome is Outcome.COMPLETE
    assert (record_of(store, claim).status, record_of(store, claim).finished_at) == (Status.RUNNING, 0)
    assert kinds(store, claim)[-1] is EventKind.STATUS
    assert not store.exists("spn:outbox:owners", *model_keys(claim.keys.model)[:3])
    transitions(stored(claim.keys, keep_seconds=60, expires_at=9**14))
    record = record_of(store, claim)
    assert (record.status, record.expires_at) == (Status.SUCCEEDED, 9**14)
    assert record.started_at <= record.finished_at <= record.expires_at
    assert kinds(store, claim)[-1] is EventKind.SUCCEEDED
    assert store.exists("spn:outbox:owners")
    assert store.zrange(owned_key("", "jobs"), 0, -1) == [f"{request.id}:succeeded".encode()]
    assert 50_000 < store.pttl(claim.keys.record) <= 60_000

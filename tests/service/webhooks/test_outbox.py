"""The outbox: which transitions put what into it, and how a delivery gets out, over a real Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from models.config import Stage
from service.contract.record import JobRecord
from service.contract.redis_keys import OUTBOX, delivery_key
from service.contract.request import JobRequest, Webhook
from service.contract.statuses import Status, WebhookEvent
from service.contract.transitions import (
    Claim,
    Idempotency,
    Outcome,
    Transitions,
    cancel,
    create,
    dispatch,
    postpone,
    settle,
)
from service.webhooks.outbox import Delivery, SlicePosition
from tests.harness.drawing import POISONED, a_claim, a_request, acquire, an_entry, events_of, record_of

BRIEF = 0.02
URL = "https://example.com/hook"

Scene = Callable[[Transitions, Claim], None]


def begin(transitions: Transitions, claim: Claim) -> None:
    """A worker takes the job."""
    transitions(acquire(claim))


def draw(transitions: Transitions, claim: Claim) -> None:
    """The first slice, sent twice."""
    begin(transitions, claim)
    transitions(claim.append(an_entry(0)))
    transitions(claim.append(an_entry(0)))


def finish(transitions: Transitions, claim: Claim) -> None:
    """The end, told twice."""
    begin(transitions, claim)
    transitions(claim.finish())
    transitions(claim.finish())


def fail(transitions: Transitions, claim: Claim) -> None:
    """By its worker."""
    begin(transitions, claim)
    transitions(claim.fail(POISONED))


def poison(transitions: Transitions, claim: Claim) -> None:
    """By the attempt that is one too many."""
    transitions(acquire(claim, lease_seconds=BRIEF))
    time.sleep(2 * BRIEF)
    transitions(acquire(replace(claim, token="other"), max_attempts=1))


def cancel_queued(transitions: Transitions, claim: Claim) -> None:
    """Before anybody took it."""
    transitions(cancel(claim.keys))


def cancel_running(transitions: Transitions, claim: Claim) -> None:
    """By its worker, which was asked to."""
    begin(transitions, claim)
    transitions(cancel(claim.keys))
    transitions(claim.cancel())


def cancel_released(transitions: Transitions, claim: Claim) -> None:
    """By the worker that hands it back."""
    begin(transitions, claim)
    transitions(cancel(claim.keys))
    transitions(claim.release())


SCENES: list[tuple[Scene, WebhookEvent, Status]] = [
    (begin, WebhookEvent.STARTED, Status.RUNNING),
    (draw, WebhookEvent.SLICE, Status.RUNNING),
    (finish, WebhookEvent.SUCCEEDED, Status.SUCCEEDED),
    (fail, WebhookEvent.FAILED, Status.FAILED),
    (poison, WebhookEvent.FAILED, Status.FAILED),
    (cancel_queued, WebhookEvent.CANCELED, Status.CANCELED),
    (cancel_running, WebhookEvent.CANCELED, Status.CANCELED),
    (cancel_released, WebhookEvent.CANCELED, Status.CANCELED),
]


@pytest.fixture
def transitions(store: redis.Redis) -> Transitions:
    """Over the session's Redis."""
    return Transitions(store)


def hooked(*events: WebhookEvent) -> JobRequest:
    """A job that tells of `events`."""
    return replace(a_request(), webhook=Webhook(url=URL, events=events))


def played(transitions: Transitions, request: JobRequest, scene: Scene) -> Claim:
    """The job after `scene`."""
    claim = a_claim(request)
    transitions(create(request, bound=9))
    scene(transitions, claim)
    return claim


def pending(store: redis.Redis) -> list[str]:
    """The ids of all deliveries, the earliest first."""
    return [str(each, "ascii") for each in store.zrange(OUTBOX, 0, -1) if isinstance(each, bytes)]


def taken(store: redis.Redis, transitions: Transitions, *, seconds: float = 30) -> Delivery:
    """The delivery that is due first."""
    reply = transitions(dispatch(seconds=seconds))
    assert reply.outcome is Outcome.DONE
    return Delivery.decode(reply.value, store.hgetall(delivery_key(reply.value)))


@pytest.mark.parametrize(("scene", "event", "status"), SCENES)
def test_an_event_that_was_asked_for_is_in_the_outbox_once(
    scene: Scene, event: WebhookEvent, status: Status, store: redis.Redis, transitions: Transitions
) -> None:
    """With the status of then and a copy of the request, under the id of its entry in the stream."""
    request = hooked(event)
    claim = played(transitions, request, scene)
    (delivery,) = pending(store)
    assert delivery in {f"msg_{request.id}-{entry.id}" for entry in events_of(store, claim)}
    due = taken(store, transitions)
    assert (due.id, due.event, due.status, due.request, due.attempt) == (delivery, event, status, request, 1)
    assert due.position == (SlicePosition(image=0, step=0, stage=Stage.BASE) if event is WebhookEvent.SLICE else None)
    assert due.error == (POISONED if event is WebhookEvent.FAILED else None)


@pytest.mark.parametrize(("scene", "event", "status"), SCENES)
def test_an_event_that_was_not_asked_for_is_not(
    scene: Scene, event: WebhookEvent, status: Status, store: redis.Redis, transitions: Transitions
) -> None:
    """A job that tells of all other events says nothing of this one; a job without a webhook says nothing at all."""
    claim = played(transitions, hooked(*(set(WebhookEvent) - {event})), scene)
    told = {store.hget(delivery_key(delivery), "event") for delivery in pending(store)}
    assert event.encode() not in told
    store.flushall()
    claim = played(transitions, a_request(), scene)
    assert not store.keys(f"{OUTBOX}*")
    assert record_of(store, claim).status is status


def test_given_slices_are_told_like_others(store: redis.Redis, transitions: Transitions) -> None:
    """They are slice events of the stream too."""
    request = replace(a_request(num_images=2, start_slices=2), webhook=Webhook(url=URL, events=(WebhookEvent.SLICE,)))
    transitions(create(request, bound=9, start=[an_entry(0), an_entry(1)]))
    assert len(pending(store)) == 4


def test_a_second_start_is_not_told(store: redis.Redis, transitions: Transitions) -> None:
    """Another worker that goes on does not begin the job."""
    claim = played(transitions, hooked(WebhookEvent.STARTED), begin)
    transitions(claim.release())
    transitions(acquire(replace(claim, token="other")))
    assert len(pending(store)) == 1


def test_a_refused_write_tells_nothing(store: redis.Redis, transitions: Transitions) -> None:
    """What a zombie draws or ends is no event."""
    claim = played(transitions, hooked(WebhookEvent.SLICE, WebhookEvent.SUCCEEDED), begin)
    zombie = replace(claim, token="zombie")
    assert transitions(zombie.append(an_entry(0))).outcome is Outcome.LOST
    assert transitions(zombie.finish()).outcome is Outcome.LOST
    assert pending(store) == []


def test_an_idempotent_replay_tells_nothing_more(store: redis.Redis, transitions: Transitions) -> None:
    """The second request made no second job."""
    request, once = hooked(WebhookEvent.SLICE), Idempotency(key="k", fingerprint="f")
    for again in (request, hooked(WebhookEvent.SLICE)):
        transitions(create(again, bound=9, idempotency=once, start=[an_entry(0)]))
    assert len(pending(store)) == 1


def test_a_record_from_before_webhooks_has_none(store: redis.Redis, transitions: Transitions) -> None:
    """A request without the field still decodes, and its events go nowhere."""
    request = a_request()
    transitions(create(request, bound=9))
    old = request.to_json().replace(b',"webhook":null', b"")
    assert b"webhook" not in old
    store.hset(request.keys.record, "request", old)
    transitions(cancel(request.keys))
    record = JobRecord.decode(store.hgetall(request.keys.record))
    assert (record.request, record.status) == (request, Status.CANCELED)
    assert pending(store) == []


def test_a_delivery_outlives_its_job_for_a_day_at_most(store: redis.Redis, transitions: Transitions) -> None:
    """Its hash is its own, and bounded; one that has gone is forgotten when its turn comes."""
    claim = played(transitions, hooked(WebhookEvent.CANCELED), cancel_queued)
    store.delete(claim.keys.record, claim.keys.stream)
    (delivery,) = pending(store)
    assert 86_000 < store.ttl(delivery_key(delivery)) <= 86_400
    store.delete(delivery_key(delivery))
    assert transitions(dispatch(seconds=30)).outcome is Outcome.EMPTY
    assert pending(store) == []


def test_a_taken_delivery_is_hidden_until_its_time_is_up(store: redis.Redis, transitions: Transitions) -> None:
    """Then whoever asks gets it again, as the next attempt."""
    played(transitions, hooked(WebhookEvent.CANCELED), cancel_queued)
    first = taken(store, transitions, seconds=0.1)
    assert transitions(dispatch(seconds=30)).outcome is Outcome.EMPTY
    time.sleep(0.12)
    again = taken(store, transitions)
    assert (again.id, again.attempt) == (first.id, 2)


def test_a_settled_delivery_is_gone(store: redis.Redis, transitions: Transitions) -> None:
    """Nothing of it stays in Redis."""
    played(transitions, hooked(WebhookEvent.CANCELED), cancel_queued)
    transitions(settle(taken(store, transitions).id))
    assert not store.keys(f"{OUTBOX}*")


def test_a_failed_delivery_is_due_again_later(store: redis.Redis, transitions: Transitions) -> None:
    """After its pause, not before."""
    played(transitions, hooked(WebhookEvent.CANCELED), cancel_queued)
    due = taken(store, transitions)
    assert transitions(postpone(due.id, attempt=1, seconds=0.1, patience_seconds=60)).outcome is Outcome.DONE
    assert transitions(dispatch(seconds=30)).outcome is Outcome.EMPTY
    time.sleep(0.12)
    assert taken(store, transitions).attempt == 2


def test_a_delivery_is_dropped_when_its_time_is_over(store: redis.Redis, transitions: Transitions) -> None:
    """The time counts from the first attempt."""
    played(transitions, hooked(WebhookEvent.CANCELED), cancel_queued)
    due = taken(store, transitions)
    assert transitions(postpone(due.id, attempt=1, seconds=61, patience_seconds=60)).outcome is Outcome.ENDED
    assert not store.keys(f"{OUTBOX}*")


def test_a_late_sender_does_not_disturb_the_next(store: redis.Redis, transitions: Transitions) -> None:
    """Its failure counts no more once another has the delivery, or has settled it."""
    played(transitions, hooked(WebhookEvent.CANCELED), cancel_queued)
    late = taken(store, transitions, seconds=0)
    taken(store, transitions)
    score = store.zscore(OUTBOX, late.id)
    assert transitions(postpone(late.id, attempt=1, seconds=0, patience_seconds=60)).outcome is Outcome.STALE
    assert store.zscore(OUTBOX, late.id) == score
    transitions(settle(late.id))
    assert transitions(postpone(late.id, attempt=2, seconds=0, patience_seconds=60)).outcome is Outcome.STALE
    assert pending(store) == []

"""Outbox: which transitions add a delivery, and how it leaves, over a real Redis."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from models.config import Stage
from service.contract.record import JobRecord
from service.contract.redis_keys import OUTBOX
from service.contract.request import JobRequest, Webhook
from service.contract.statuses import Status, WebhookEvent
from service.contract.stream import SliceEntry
from service.contract.transitions import Claim, Idempotency, Outcome, Transitions, cancel, create
from service.webhooks.outbox import Delivery, Outbox, OutboxLoad, SlicePosition
from service.webhooks.payload import WebhookPayload
from service.webhooks.slots import FULL
from tests.harness.drawing import (
    POISONED,
    a_claim,
    a_likelihood,
    a_request,
    a_score_request,
    acquire,
    an_entry,
    events_of,
    record_of,
)

T = TypeVar("T")
NO_LOAD: Mapping[str, int] = {}
KIB, MIB = 1 << 10, 1 << 20
BRIEF = 0.02
URL = "https://example.com/hook"

Step = Callable[[Transitions, Claim], None]


def begin(transitions: Transitions, claim: Claim) -> None:
    """Let a worker take the job."""
    transitions(acquire(claim))


def draw(transitions: Transitions, claim: Claim) -> None:
    """Publish the first slice, twice."""
    begin(transitions, claim)
    transitions(claim.append(an_entry(0)))
    transitions(claim.append(an_entry(0)))


def finish(transitions: Transitions, claim: Claim) -> None:
    """End the job, twice."""
    begin(transitions, claim)
    transitions(claim.finish())
    transitions(claim.finish())


def fail(transitions: Transitions, claim: Claim) -> None:
    """Fail the job by its worker."""
    begin(transitions, claim)
    transitions(claim.fail(POISONED))


def poison(transitions: Transitions, claim: Claim) -> None:
    """Fail the job by one attempt too many."""
    transitions(acquire(claim, lease_seconds=BRIEF))
    time.sleep(2 * BRIEF)
    transitions(acquire(replace(claim, token="other"), max_attempts=1))


def cancel_queued(transitions: Transitions, claim: Claim) -> None:
    """Cancel the job before a worker takes it."""
    transitions(cancel(claim.keys))


def cancel_running(transitions: Transitions, claim: Claim) -> None:
    """Cancel the job while its worker runs it."""
    begin(transitions, claim)
    transitions(cancel(claim.keys))
    transitions(claim.cancel())


def cancel_released(transitions: Transitions, claim: Claim) -> None:
    """Cancel the job while its worker returns it."""
    begin(transitions, claim)
    transitions(cancel(claim.keys))
    transitions(claim.release())


STEPS: list[tuple[Step, WebhookEvent, Status]] = [
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
    """Return transitions over the session's Redis."""
    return Transitions(store)


class Deliveries:
    """The outbox of the session's Redis, for tests without a loop."""

    def __init__(self, redis_url: str, store: redis.Redis) -> None:
        self._redis_url, self.store = redis_url, store

    def run(self, use: Callable[[Outbox], Awaitable[T]], *, hidden_seconds: float = 30) -> T:
        """Return the result of `use`."""

        async def connected() -> T:
            async with AsyncRedis.from_url(self._redis_url) as client:
                return await use(Outbox(client, hidden_seconds=hidden_seconds))

        return asyncio.run(connected())

    def take(
        self, *, hidden_seconds: float = 30, owners: Mapping[str, int] = NO_LOAD, lanes: Mapping[str, int] = NO_LOAD
    ) -> Delivery | None:
        """Return the next delivery that is due, or None."""
        return self.run(lambda outbox: outbox.take(owners=owners, lanes=lanes), hidden_seconds=hidden_seconds)

    def taken(
        self, *, hidden_seconds: float = 30, owners: Mapping[str, int] = NO_LOAD, lanes: Mapping[str, int] = NO_LOAD
    ) -> Delivery:
        """Return the next delivery, which must exist."""
        delivery = self.take(hidden_seconds=hidden_seconds, owners=owners, lanes=lanes)
        assert delivery is not None
        return delivery

    def key_of(self, request: JobRequest) -> str:
        """Return the key of the only delivery of a job."""
        (key,) = self.keys(f"msg_{request.id}*")
        return key

    def keys(self, pattern: str) -> list[str]:
        """Return the keys of the outbox that match."""
        found = self.store.keys(f"{OUTBOX}:{pattern}")
        return [key.decode() if isinstance(key, bytes) else key for key in found]

    def used_bytes(self) -> int:
        """Return the memory of all keys of the outbox."""
        return sum(int(self.store.memory_usage(key, samples=0) or 0) for key in self.store.keys(f"{OUTBOX}*"))

    def settle(self, delivery: Delivery) -> None:
        """Remove a delivery."""
        self.run(lambda outbox: outbox.settle(delivery.id))

    def postpone(
        self,
        delivery: Delivery,
        *,
        seconds: float,
        total_seconds: float = 60,
        pause_seconds: float = 0,
        attempt: int = 1,
    ) -> bool:
        """Return whether a failed delivery stays."""
        return self.run(
            lambda outbox: outbox.postpone(
                delivery.id,
                attempt=attempt,
                seconds=seconds,
                total_seconds=total_seconds,
                pause_seconds=pause_seconds,
            )
        )

    def load(self) -> OutboxLoad:
        """Return the size of the outbox."""
        return self.run(lambda outbox: outbox.load())

    def ids(self) -> list[str]:
        """Return the ids of all deliveries, in the order of their events."""
        return sorted(key.removeprefix(f"{OUTBOX}:") for key in self.keys("msg_*"))

    def empty(self) -> bool:
        """Return whether nothing of any delivery is left: no key but the totals, which count none."""
        load = self.load()
        keys = set(self.keys("*")) - {f"{OUTBOX}:totals"}
        return not keys and (load.deliveries, load.bytes) == (0, 0)


@pytest.fixture
def deliveries(redis_url: str, store: redis.Redis) -> Deliveries:
    """Return the outbox of the session's Redis."""
    return Deliveries(redis_url, store)


def hooked(*events: WebhookEvent, url: str = URL, owner: str = "") -> JobRequest:
    """Return a request with a webhook for `events`."""
    return replace(a_request(), webhook=Webhook(url=url, events=events), owner=owner)


def after(transitions: Transitions, request: JobRequest, step: Step) -> Claim:
    """Return the claim on a new job after `step`."""
    claim = a_claim(request)
    transitions(create(request, bound=10_000))
    step(transitions, claim)
    return claim


def canceled(transitions: Transitions, *, url: str = URL, owner: str = "", metadata: str = "") -> JobRequest:
    """Return the request of a job with one delivery in the outbox."""
    request = replace(hooked(WebhookEvent.CANCELED, url=url, owner=owner), metadata={"text": metadata})
    after(transitions, request, cancel_queued)
    return request


def test_a_score_job_sends_its_events(transitions: Transitions, deliveries: Deliveries) -> None:
    """As other jobs do; a slice event names the heat map after that slice."""
    events = (WebhookEvent.SLICE, WebhookEvent.SUCCEEDED)
    request = replace(a_score_request(), webhook=Webhook(url=URL, events=events))

    def score(transitions: Transitions, claim: Claim) -> None:
        begin(transitions, claim)
        transitions(claim.append(SliceEntry.of(a_likelihood(), 0)))
        transitions(claim.finish())

    after(transitions, request, score)
    slice_event, succeeded = (WebhookPayload.of(deliveries.taken()).data for _ in events)
    assert (slice_event.event, slice_event.slices_done) == (WebhookEvent.SLICE, 1)
    assert slice_event.url == f"/jobs/{request.id}/images/0?slices=1"
    assert (succeeded.event, succeeded.status) == (WebhookEvent.SUCCEEDED, Status.SUCCEEDED)


@pytest.mark.parametrize(("step", "event", "status"), STEPS)
def test_a_requested_event_enters_the_outbox_once(
    step: Step,
    event: WebhookEvent,
    status: Status,
    transitions: Transitions,
    deliveries: Deliveries,
) -> None:
    """With the status of that moment, under the id of its entry in the stream."""
    request = hooked(event)
    claim = after(transitions, request, step)
    (delivery,) = deliveries.ids()
    assert delivery in {f"msg_{request.id}-{entry.id}" for entry in events_of(deliveries.store, claim)}
    due = deliveries.taken()
    assert (due.id, due.event, due.status, due.job.id, due.attempt) == (delivery, event, status, request.id, 1)
    assert (due.lane.owner, due.lane.receiver, due.job.webhook.url) == ("", "example.com", URL)
    assert due.position == (SlicePosition(image=0, step=0, stage=Stage.BASE) if event is WebhookEvent.SLICE else None)
    assert due.error == (POISONED if event is WebhookEvent.FAILED else None)


@pytest.mark.parametrize(("step", "event", "status"), STEPS)
def test_other_events_do_not(
    step: Step,
    event: WebhookEvent,
    status: Status,
    transitions: Transitions,
    deliveries: Deliveries,
) -> None:
    """Neither an event that was not requested, nor any event of a job without a webhook."""
    claim = after(transitions, hooked(*(set(WebhookEvent) - {event})), step)
    assert event.encode() not in {
        deliveries.store.hget(f"{OUTBOX}:{delivery}", "event") for delivery in deliveries.ids()
    }
    deliveries.store.flushall()
    claim = after(transitions, a_request(), step)
    assert not deliveries.store.keys(f"{OUTBOX}*")
    assert record_of(deliveries.store, claim).status is status


def test_slices_of_start_are_events_like_others(transitions: Transitions, deliveries: Deliveries) -> None:
    """They are slice events of the stream too."""
    request = replace(a_request(num_images=2, start_slices=2), webhook=Webhook(url=URL, events=(WebhookEvent.SLICE,)))
    transitions(create(request, bound=9, start=[an_entry(0), an_entry(1)]))
    assert len(deliveries.ids()) == 4


def test_a_second_worker_does_not_start_the_job_again(transitions: Transitions, deliveries: Deliveries) -> None:
    """It continues the job, so there is no second started event."""
    claim = after(transitions, hooked(WebhookEvent.STARTED), begin)
    transitions(claim.release())
    transitions(acquire(replace(claim, token="other")))
    assert len(deliveries.ids()) == 1


def test_a_refused_write_adds_nothing(transitions: Transitions, deliveries: Deliveries) -> None:
    """Slices and ends of a worker that lost its lease are no events."""
    claim = after(transitions, hooked(WebhookEvent.SLICE, WebhookEvent.SUCCEEDED), begin)
    zombie = replace(claim, token="zombie")
    assert transitions(zombie.append(an_entry(0))).outcome is Outcome.LOST
    assert transitions(zombie.finish()).outcome is Outcome.LOST
    assert deliveries.ids() == []


def test_an_idempotent_replay_adds_nothing(transitions: Transitions, deliveries: Deliveries) -> None:
    """The second request made no second job."""
    request, once = hooked(WebhookEvent.SLICE), Idempotency(key="k", fingerprint="f")
    for again in (request, hooked(WebhookEvent.SLICE)):
        transitions(create(again, bound=9, idempotency=once, start=[an_entry(0)]))
    assert len(deliveries.ids()) == 1


def test_a_record_from_before_webhooks_has_none(transitions: Transitions, deliveries: Deliveries) -> None:
    """A request without the field still decodes, and its events go nowhere."""
    request = a_request()
    transitions(create(request, bound=9))
    old = request.to_json().replace(b',"webhook":null', b"")
    assert b"webhook" not in old
    deliveries.store.hset(request.keys.record, "request", old)
    transitions(cancel(request.keys))
    record = JobRecord.decode(deliveries.store.hgetall(request.keys.record))
    assert (record.request, record.status) == (request, Status.CANCELED)
    assert deliveries.ids() == []


def test_a_delivery_does_not_need_its_job(transitions: Transitions, deliveries: Deliveries) -> None:
    """The record may expire before the delivery is sent."""
    request = canceled(transitions)
    deliveries.store.delete(request.keys.record, request.keys.stream)
    assert deliveries.taken().job.id == request.id


def test_a_delivery_is_kept_for_a_day_at_most(transitions: Transitions, deliveries: Deliveries) -> None:
    """After that it is dropped instead of sent, and counted."""
    canceled(transitions)
    (delivery,) = deliveries.ids()
    deliveries.store.hset(f"{OUTBOX}:{delivery}", "at", int((time.time() - 86_401) * 1000))
    assert deliveries.take() is None
    assert deliveries.empty()
    assert deliveries.load().dropped == 1


def test_a_taken_delivery_is_hidden_until_its_time_is_up(transitions: Transitions, deliveries: Deliveries) -> None:
    """Then it is due again, as the next attempt."""
    canceled(transitions)
    first = deliveries.taken(hidden_seconds=0)
    again = deliveries.taken(hidden_seconds=3600)
    assert (again.id, again.attempt) == (first.id, 2)
    assert deliveries.take() is None


def test_a_settled_delivery_is_gone(transitions: Transitions, deliveries: Deliveries) -> None:
    """Nothing of it stays in Redis."""
    canceled(transitions)
    deliveries.settle(deliveries.taken())
    assert deliveries.empty()


def test_a_failed_delivery_is_due_after_its_pause(transitions: Transitions, deliveries: Deliveries) -> None:
    """Not before."""
    canceled(transitions)
    assert deliveries.postpone(deliveries.taken(), seconds=0)
    again = deliveries.taken()
    assert again.attempt == 2
    assert deliveries.postpone(again, seconds=3600, total_seconds=7200, attempt=2)
    assert deliveries.take() is None


def test_a_pause_of_a_receiver_holds_for_every_process(transitions: Transitions, deliveries: Deliveries) -> None:
    """New deliveries do not end it, other receivers do not wait, and then all are due."""
    canceled(transitions, url="https://a.example/")
    canceled(transitions, url="https://a.example/")
    assert deliveries.postpone(deliveries.taken(), seconds=0, pause_seconds=0.5)
    canceled(transitions, url="https://a.example/")
    assert deliveries.take() is None
    canceled(transitions, url="https://b.example/")
    assert deliveries.taken().lane.receiver == "b.example"
    time.sleep(0.6)
    assert [deliveries.taken().lane.receiver for _ in range(3)] == ["a.example"] * 3
    assert deliveries.take() is None


def test_a_delivery_is_dropped_when_its_time_is_over(transitions: Transitions, deliveries: Deliveries) -> None:
    """The time counts from the first attempt."""
    canceled(transitions)
    assert not deliveries.postpone(deliveries.taken(), seconds=61)
    assert deliveries.empty()
    assert deliveries.load().dropped == 1


def test_a_late_sender_does_not_disturb_the_next(transitions: Transitions, deliveries: Deliveries) -> None:
    """Its failure has no effect once another sender has taken the delivery, or has settled it."""
    canceled(transitions)
    late = deliveries.taken(hidden_seconds=0)
    deliveries.taken()
    assert deliveries.postpone(late, seconds=0)
    assert deliveries.take() is None
    deliveries.settle(late)
    assert deliveries.postpone(late, seconds=0, attempt=2)
    assert deliveries.empty()


def test_deliveries_to_one_receiver_do_not_hide_those_to_another(
    transitions: Transitions, deliveries: Deliveries
) -> None:
    """A full receiver, or a full owner, is passed over, whatever the number of its deliveries."""
    for _ in range(20):
        canceled(transitions, url="https://slow.example/hook", owner="studio")
    canceled(transitions, url="https://quick.example/hook", owner="studio")
    canceled(transitions, url="https://slow.example/hook", owner="other")
    slow = {"studio/slow.example": FULL}
    assert deliveries.taken(owners={"studio": 1, "other": 5}, lanes=slow).lane.id == "studio/quick.example"
    assert deliveries.taken(owners={"studio": FULL}, lanes=slow).lane.id == "other/slow.example"
    assert deliveries.take(owners={"studio": FULL}) is None
    assert deliveries.taken().lane.id == "studio/slow.example"


def test_the_owner_with_the_fewest_attempts_comes_first(transitions: Transitions, deliveries: Deliveries) -> None:
    """So a long queue of one owner does not delay another, even if its receivers are fast."""
    for _ in range(5):
        canceled(transitions, owner="busy")
    canceled(transitions, owner="other")
    assert deliveries.taken(owners={"busy": 1}).lane.owner == "other"
    assert deliveries.taken(owners={"busy": 1, "other": 1}).lane.owner == "busy"


def test_deliveries_of_a_job_share_its_request(transitions: Transitions, deliveries: Deliveries) -> None:
    """Sixteen images with all their slices take less than 20 times the request, not 500 times."""
    request = replace(a_request(num_images=16), webhook=Webhook(url=URL, events=(WebhookEvent.SLICE,)))
    request = replace(request, metadata={"text": "m" * 4000})
    claim = a_claim(request)
    transitions(create(request, bound=9))
    begin(transitions, claim)
    steps = len(request.geometry.steps)
    for image in range(16):
        for step in range(steps):
            transitions(claim.append(replace(an_entry(step), image=image)))
    assert len(deliveries.ids()) == 16 * steps
    used = deliveries.used_bytes()
    assert used < 16 * steps * 384 + 2 * len(request.to_json())
    assert used < deliveries.load().bytes * 1.2


@pytest.mark.parametrize("size", [1, 4000])
def test_the_counted_bytes_are_those_that_redis_uses(
    size: int, transitions: Transitions, deliveries: Deliveries
) -> None:
    """Within a third, so that the bounds hold."""
    for _ in range(200):
        canceled(transitions, metadata="m" * size)
    used = deliveries.used_bytes()
    counted = deliveries.load()
    assert counted.deliveries == 200
    assert 0.67 < used / counted.bytes < 1.33


def test_an_owner_fills_a_quarter_of_the_outbox_at_most(transitions: Transitions, deliveries: Deliveries) -> None:
    """Further events are dropped and counted. Slice events may have half of that, so the end of a job still fits."""
    deliveries.store.hset(
        f"{OUTBOX}:totals", mapping={"bytes": 16 * MIB, "bytes:full": 16 * MIB - 600, "bytes:half": 8 * MIB}
    )
    canceled(transitions, owner="full")
    assert (deliveries.ids(), deliveries.load().dropped) == ([], 1)
    after(transitions, hooked(WebhookEvent.SLICE, WebhookEvent.SUCCEEDED, owner="half"), draw)
    assert (deliveries.ids(), deliveries.load().dropped) == ([], 2)
    after(transitions, hooked(WebhookEvent.SLICE, WebhookEvent.SUCCEEDED, owner="half"), finish)
    assert deliveries.taken().event is WebhookEvent.SUCCEEDED


def test_all_owners_together_are_bounded(transitions: Transitions, deliveries: Deliveries) -> None:
    """By 64 MiB."""
    deliveries.store.hset(f"{OUTBOX}:totals", mapping={"bytes": 64 * MIB - 600})
    canceled(transitions, owner="studio")
    assert (deliveries.ids(), deliveries.load().dropped) == ([], 1)


@pytest.mark.parametrize(
    "fields",
    [{"status": "???"}, {"error": "{"}, {"status": b"\xff"}, {"step": "1"}, {"request": b"\xff"}, {"request": "[]"}],
)
def test_a_delivery_that_cannot_be_read_is_dropped_and_logged_once(
    fields: dict[Any, Any],
    transitions: Transitions,
    deliveries: Deliveries,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next one is taken in the same call, without a pause."""
    broken = [canceled(transitions) for _ in range(3)]
    for request in broken:
        key = f"{OUTBOX}:job:{request.id}" if "request" in fields else deliveries.key_of(request)
        deliveries.store.hset(key, mapping=fields)
    time.sleep(0.01)  # deliveries of one millisecond have no order
    readable = canceled(transitions)
    with caplog.at_level(logging.WARNING):
        assert deliveries.taken().job.id == readable.id
    assert ["cannot be read" in each.message for each in caplog.records] == [True] * 3
    assert len(deliveries.ids()) == 1


def test_an_event_of_a_newer_release_is_left_to_it(
    transitions: Transitions, deliveries: Deliveries, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays hidden in the outbox, others go on, and the log says so once for each event."""
    for _ in range(3):
        request = canceled(transitions)
        deliveries.store.hset(deliveries.key_of(request), "event", "paused")
    time.sleep(0.01)
    known = canceled(transitions)

    async def take_all(outbox: Outbox) -> list[str]:
        found = [await outbox.take(owners={}, lanes={}) for _ in range(2)]
        return [each.job.id for each in found if each]

    with caplog.at_level(logging.WARNING):
        assert deliveries.run(take_all) == [known.id]
    assert [each.message.count("'paused'") for each in caplog.records] == [1]
    assert len(deliveries.ids()) == 4


def test_unknown_fields_and_events_of_a_newer_request_are_ignored(
    transitions: Transitions, deliveries: Deliveries
) -> None:
    """A job made by a newer release is sent by this one."""
    request = canceled(transitions)
    newer = json.loads(request.to_json()) | {"colour_space": "oklab"}
    newer["webhook"]["events"].append("paused")
    deliveries.store.hset(f"{OUTBOX}:job:{request.id}", "request", json.dumps(newer))
    assert deliveries.taken().job.id == request.id


def test_deliveries_of_release_0_1_are_sent(deliveries: Deliveries) -> None:
    """Its workers keep one list of all deliveries, each with its own copy of the request."""
    request = hooked(WebhookEvent.SLICE, WebhookEvent.FAILED, owner="studio")
    now = int(time.time() * 1000)
    common: dict[Any, Any] = {"status": "running", "at": now, "request": request.to_json()}
    deliveries.store.hset(
        f"{OUTBOX}:msg_1", mapping={**common, "event": "slice", "image": 0, "step": 0, "stage": "base"}
    )
    deliveries.store.hset(
        f"{OUTBOX}:msg_2", mapping={**common, "event": "failed", "error": POISONED.to_json(), "attempts": 3}
    )
    deliveries.store.hset(f"{OUTBOX}:msg_3", mapping={"event": "failed"})
    deliveries.store.zadd(OUTBOX, {"msg_1": now, "msg_2": now + 9_000_000, "msg_3": now})
    found = {each.id: each for each in (deliveries.taken(), deliveries.taken())}
    assert found["msg_1"].position == SlicePosition(image=0, step=0, stage=Stage.BASE)
    assert found["msg_2"].error == POISONED
    assert {each.lane.owner for each in found.values()} == {"studio"}
    for each in found.values():
        deliveries.settle(each)
    assert deliveries.empty()
